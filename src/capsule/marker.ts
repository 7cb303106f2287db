/**
 * Why something is not in a capsule as it was:
 * - `depth`, `entries`, `bytes`: over a limit; `kept` holds what was kept, `size` how much there was
 * - `capsule`: the run had used up its bytes
 * - `function`, `symbol`, `unsupported`: nothing that can be written down
 * - `unreadable`: reading it threw (a getter, a Proxy)
 */
export type MarkerReason =
  | "depth"
  | "entries"
  | "bytes"
  | "capsule"
  | "function"
  | "symbol"
  | "unsupported"
  | "unreadable";

const REASONS: ReadonlySet<string> = new Set<MarkerReason>([
  "depth",
  "entries",
  "bytes",
  "capsule",
  "function",
  "symbol",
  "unsupported",
  "unreadable",
]);

export function isMarkerReason(reason: unknown): reason is MarkerReason {
  return typeof reason === "string" && REASONS.has(reason);
}

/** Stands in a recorded value for what could not be kept there. */
export class Marker {
  readonly reason: MarkerReason;
  /** What kind of thing it was: a class, a function's name, a symbol's description. */
  readonly detail: string;
  /** Entries (for `entries`), UTF-16 units or bytes (for `bytes`) that there were. */
  readonly size: number | undefined;
  /** The part that was kept: the head of a string, or of a typed array. */
  readonly kept: unknown;

  constructor(reason: MarkerReason, detail = "", size?: number, kept?: unknown) {
    this.reason = reason;
    this.detail = detail;
    this.size = size;
    this.kept = kept;
  }

  /** Such as `<bytes string, 50000000>`; also what `console.log` and `util.inspect` print. */
  toString(): string {
    const size = this.size === undefined ? "" : `, ${this.size}`;
    return `<${this.reason}${this.detail === "" ? "" : ` ${this.detail}`}${size}>`;
  }
}

Object.defineProperty(Marker.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Marker) {
    return this.toString();
  },
});
