/** What is live (a connection, a cursor, a builder) is in a record by what identifies it; what it did is in effects. */
import type { Marker } from "./marker.js";

/**
 * What was called on a builder and on those that came of it, in order: three entries for each call. The number of
 * the builder (0 is the one that the effect gave), the method, and the number of the builder that the method gave:
 * `NO_BUILDER` where it gave something else, which is then an effect of its own.
 */
export type BuilderLog = (number | string)[];

export const NO_BUILDER = -1;

/** Where something live was passed on. */
export class RecordedHandle {
  /** Its number in the run; -1 where it was given outside of it. */
  readonly number: number;
  /** The effect that gave it. */
  readonly name: string;
  /** Its class; undefined where an earlier place of the record has told of it. */
  readonly type: string | undefined;
  /** The names of its methods. */
  readonly methods: readonly string[];
  /** Data of its own. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    number: number,
    name: string,
    type?: string,
    methods: readonly string[] = [],
    fields: Readonly<Record<string, unknown>> = {},
  ) {
    this.number = number;
    this.name = name;
    this.type = type;
    this.methods = methods;
    this.fields = fields;
  }

  /** Such as `<handle db.open#0>`; also what `console.log` and `util.inspect` print. */
  toString(): string {
    return `<handle ${this.name}${this.number < 0 ? "" : `#${this.number}`}>`;
  }
}

Object.defineProperty(RecordedHandle.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: RecordedHandle) {
    return this.toString();
  },
});

const standIns = new WeakMap<object, () => RecordedHandle | Marker>();
/** Most processes have none, and to look costs every object that is copied. */
let anyStandIn = false;

/** Notes what is recorded of `live` where it is part of a value. */
export function setStandIn(live: object, describe: () => RecordedHandle | Marker): void {
  anyStandIn = true;
  standIns.set(live, describe);
}

/** Whether something else is recorded in place of `value`. */
export function hasStandIn(value: object): boolean {
  return anyStandIn && standIns.has(value);
}

/** What is recorded in place of `value`; undefined where it is recorded as what it is. */
export function standInOf(value: object): RecordedHandle | Marker | undefined {
  return anyStandIn ? standIns.get(value)?.() : undefined;
}
