/** Which runs are kept: decided at their end, when it is known how they went. */
import { HindcastError } from "../errors.js";
import { type Duration, milliseconds } from "../duration.js";
import type { RunSummary } from "./recording.js";

/** A reason to keep a run. `name` goes into the capsule. */
export interface KeepRule {
  readonly name: string;
  readonly keeps: (run: RunSummary) => boolean;
  /**
   * What its runs are worth when the queue to the store is full: those of a lower priority give way. Rules of a
   * higher one are asked first. Default 1, as errors, violations and slow runs have; samples and `all` have 0.
   */
  readonly priority?: number;
}

const SAMPLE_PRIORITY = 0;
const DEFAULT_PRIORITY = 1;

export function priorityOf(rule: KeepRule): number {
  return rule.priority ?? DEFAULT_PRIORITY;
}

/** What a kept run is worth: one that failed is worth no less for having been kept as one of all, or of a sample. */
export function worthOf(run: RunSummary, rule: KeepRule): number {
  const failed = run.status === "error" || run.violations > 0;
  return failed ? Math.max(priorityOf(rule), DEFAULT_PRIORITY) : priorityOf(rule);
}

/** The rules that come with the library. A run is kept by the first rule that keeps it, the highest priority first. */
export interface KeepRules {
  /** Every run. */
  all(): KeepRule;
  /** Runs that threw. */
  errors(): KeepRule;
  /** Runs in which a value did not meet its contract. */
  violations(): KeepRule;
  /** Runs that took longer: milliseconds, or text such as `"2s"`. */
  slowerThan(duration: Duration): KeepRule;
  /** A share of the runs, from 0 to 1, chosen by their id: every service of a trace that shares the id chooses alike. */
  sample(share: number): KeepRule;
}

const SAMPLE_DIGITS = 8;
const SAMPLE_SPACE = 16 ** SAMPLE_DIGITS;

export const keep: KeepRules = {
  all: () => ({ name: "all", priority: SAMPLE_PRIORITY, keeps: () => true }),
  errors: () => ({ name: "errors", keeps: (run) => run.status === "error" }),
  violations: () => ({ name: "violations", keeps: (run) => run.violations > 0 }),
  slowerThan(duration) {
    const limit = milliseconds(duration, "keep.slowerThan()");
    return { name: `slowerThan ${duration}`, keeps: (run) => run.duration > limit };
  },
  sample(share) {
    if (typeof share !== "number" || !(share >= 0 && share <= 1)) {
      throw new HindcastError("invalid-options", `keep.sample(${share}): give a share from 0 to 1.`);
    }
    // The last digits of a run's id are unpredictable bits, so no generator needs to be drawn from.
    const isChosen = (id: string): boolean =>
      Number.parseInt(id.slice(-SAMPLE_DIGITS), 16) < share * SAMPLE_SPACE;
    return { name: `sample ${share}`, priority: SAMPLE_PRIORITY, keeps: (run) => isChosen(run.id) };
  },
};
