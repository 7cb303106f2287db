/** Which runs are kept: decided at their end, when it is known how they went. */
import { HindcastError } from "../errors.js";
import { type Duration, milliseconds } from "../duration.js";
import type { RunSummary } from "./recording.js";

/** A reason to keep a run. `name` goes into the capsule. */
export interface KeepRule {
  readonly name: string;
  readonly keeps: (run: RunSummary) => boolean;
}

/** The rules that come with the library. A run is kept by the first rule that keeps it. */
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
  all: () => ({ name: "all", keeps: () => true }),
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
    return { name: `sample ${share}`, keeps: (run) => isChosen(run.id) };
  },
};
