import type { Version } from "../capsule/capsule.js";
import { seededRandom } from "../seeded-random.js";
import { unawaited } from "../unawaited.js";
import type { Definition, VersionSource } from "./definition.js";
import type { Run } from "./run.js";
import type { ObservedCall } from "./seam.js";

/** One call of a stage in a run. Its place (`key`) is the same in every execution of the same program. */
export class StageCall implements ObservedCall {
  readonly run: Run;
  readonly definition: Definition;
  readonly parent: StageCall | undefined;
  /** The call it was made in, of whichever instance; its parent, unless a run of another one is in between. */
  readonly outer: StageCall | undefined;
  readonly index: number;
  readonly ordinal: number;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
  asynchronous = false;
  telemetry: ObservedCall["telemetry"];
  #effects: Map<string, number> | undefined;
  #stages: Map<string, number> | undefined;
  #random: (() => number) | undefined;

  constructor(
    run: Run,
    definition: Definition,
    parent: StageCall | undefined,
    outer: StageCall | undefined,
    input: readonly unknown[],
  ) {
    this.outer = outer;
    this.run = run;
    this.definition = definition;
    this.parent = parent;
    this.index = run.nextCallIndex();
    this.ordinal = parent === undefined ? 0 : parent.#nextStage(definition.name);
    this.data = resolveVersion(run, definition.data, input);
    this.model = resolveVersion(run, definition.model, input);
  }

  /** Such as `approve-loan#0/risk#0`. */
  get key(): string {
    const own = `${this.definition.name}#${this.ordinal}`;
    return this.parent === undefined ? own : `${this.parent.key}/${own}`;
  }

  /** The next float in [0, 1) of this call's stream. */
  random(): number {
    if (this.#random === undefined) this.#random = seededRandom(this.run.seed, this.key);
    return this.#random();
  }

  nextEffect(name: string): number {
    if (this.#effects === undefined) this.#effects = new Map();
    return count(this.#effects, name);
  }

  effectsBegun(name: string): number {
    return this.#effects?.get(name) ?? 0;
  }

  #nextStage(name: string): number {
    if (this.#stages === undefined) this.#stages = new Map();
    return count(this.#stages, name);
  }
}

function count(counts: Map<string, number>, name: string): number {
  const before = counts.get(name) ?? 0;
  counts.set(name, before + 1);
  return before;
}

function resolveVersion(
  run: Run,
  source: VersionSource | undefined,
  input: readonly unknown[],
): Version | undefined {
  if (typeof source !== "function") return source;
  try {
    const given = source(...(input as never[]));
    // A promise is no version, and that is told; that it is rejected is told to nobody.
    unawaited(given, () => undefined);
    const { name, version, digest } = given;
    if (
      typeof name !== "string" ||
      typeof version !== "string" ||
      (digest !== undefined && typeof digest !== "string")
    ) {
      throw new TypeError("A version function returned no { name, version, digest? } of texts.");
    }
    return { name, version, digest };
  } catch (error) {
    run.report("version", error);
    return { name: "unknown", version: "unknown" };
  }
}
