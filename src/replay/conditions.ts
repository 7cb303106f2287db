/** The conditions of a run (its input, seed and clock), and what a replay's options change of them. */
import type { Capsule, EffectRecord, ValueReference } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { encodeValue } from "../capsule/encode-value.js";
import { takeSnapshot } from "../capsule/snapshot.js";
import { CLOCK_EFFECT } from "../effects/effect.js";
import { HindcastError } from "../errors.js";
import { mustBeSeed } from "../hindcast-options.js";

/** What a run was given, besides the results of its effects. */
export type Condition = "input" | "seed" | "clock";

export interface ConditionOptions {
  /** Other arguments for the entry, in place of the recorded ones. They are given as they are. */
  readonly input?: readonly unknown[];
  /** Another seed: what `Math.random` and `hc.random` draw from. */
  readonly seed?: number;
  /**
   * Another time for the run to begin at, in milliseconds since the epoch or as a Date. Recorded readings
   * of `Date` and `hc.now` are given shifted by the difference; clocks without an epoch stay as recorded.
   */
  readonly clock?: number | Date;
}

/** Effects that read the time of day. */
const CLOCKS: ReadonlySet<string> = new Set(["Date.now", CLOCK_EFFECT]);

export function isClockEffect(name: string): boolean {
  return CLOCKS.has(name);
}

/** What a replay is to be made under. */
export interface Conditions {
  /** The capsule, with what the options say in place of what is recorded. */
  readonly capsule: Capsule;
  /** The arguments to use in place of the recorded ones. */
  readonly input: readonly unknown[] | undefined;
  readonly changed: ReadonlySet<Condition>;
  /** A line for each change. */
  readonly changes: readonly string[];
}

/** Throws `invalid-options` for an input, seed or clock that is none. */
export function conditionsOf(capsule: Capsule, options: ConditionOptions): Conditions {
  const { input } = options;
  if (input !== undefined && !Array.isArray(input)) {
    throw new HindcastError(
      "invalid-options",
      "replay({ input }): give a list of the entry's arguments, such as [applicationId].",
    );
  }
  const seed = options.seed === undefined ? capsule.seed : mustBeSeed(options.seed, "replay({ seed })");
  const startedAt = options.clock === undefined ? capsule.startedAt : timeOf(options.clock);
  const changed = new Set<Condition>();
  const changes: string[] = [];
  if (input !== undefined) {
    changed.add("input");
    changes.push("another input");
  }
  if (seed !== capsule.seed) {
    changed.add("seed");
    changes.push(`seed ${capsule.seed} -> ${seed}`);
  }
  if (startedAt !== capsule.startedAt) {
    changed.add("clock");
    changes.push(`clock ${isoTime(capsule.startedAt)} -> ${isoTime(startedAt)}`);
  }
  return { capsule: shifted({ ...capsule, seed }, startedAt), input, changed, changes };
}

function timeOf(clock: number | Date): number {
  const time = clock instanceof Date ? clock.getTime() : clock;
  if (typeof time !== "number" || Number.isNaN(new Date(time).getTime())) {
    throw new HindcastError(
      "invalid-options",
      "replay({ clock }): give the time to begin at, as a valid Date or in milliseconds since the epoch.",
    );
  }
  return time;
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}

/** The capsule of a run that begins at `startedAt`: its readings of the clock are as much later. */
function shifted(capsule: Capsule, startedAt: number): Capsule {
  const difference = startedAt - capsule.startedAt;
  if (difference === 0) return capsule;
  const values = [...capsule.values];
  const shift = (reference: ValueReference): ValueReference => {
    const reading = valueAt(capsule, reference);
    if (typeof reading !== "number") return reference;
    return values.push(encodeValue(takeSnapshot(reading + difference, capsule.limits))) - 1;
  };
  const effects = capsule.effects.map((effect): EffectRecord => {
    if (!isClockEffect(effect.name) || effect.outcome.status !== "ok") return effect;
    return { ...effect, outcome: { status: "ok", value: shift(effect.outcome.value) } };
  });
  return { ...capsule, startedAt, effects, values };
}
