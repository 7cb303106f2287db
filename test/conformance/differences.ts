/** What is different by design, in which condition, and why. As short as it can be. */
import type { Condition } from "./conditions.js";
import type { Difference } from "./matrix.js";

export type Position =
  | "a root"
  | "a stage"
  | "an effect"
  | "a decorated method"
  | "a method decorated in the older dialect";

/** The differences of a function wrapped as that, in that condition. */
export function byDesign(position: Position, { runs, recorded }: Condition): readonly Difference[] {
  const differences: Difference[] = [];
  const stage = position !== "an effect";
  const isRoot = stage && position !== "a stage";
  if (runs && (stage || recorded)) {
    differences.push({
      note: "the very promise",
      reason: "a promise is followed: whoever awaits it goes on when the run's order says so",
    });
  }
  if (runs && stage) {
    differences.push({
      note: "order",
      callable: /Node Readable/,
      ending: /^read slowly$/,
      reason: "the stream in the place of a Node stream reads less ahead than one that nobody looks at",
    });
  }
  if (recorded && isRoot) {
    differences.push({
      note: "order",
      callable: /Node Readable/,
      ending: /^left after one item$/,
      reason: "the stream in the place of a Node stream is let go first, and then the real one",
    });
  }
  if (recorded && !stage) {
    differences.push({
      note: "order",
      callable: /Node Readable/,
      reason: "each item of an effect's stream has its turn, and Node reads ahead meanwhile",
    });
    differences.push({
      note: "order",
      ending: /^read by two at once$/,
      reason: "each item of an effect's stream has its turn, in which the next one is produced",
    });
  }
  if (recorded && !stage) {
    for (const note of ["call: the very value", "promise: the very value"]) {
      differences.push({
        note,
        ending: /a function|a class|a Proxy that throws|an iterator|an EventTarget/,
        reason: "something live is given by a handle, so that calls of it are recorded (docs/effects.md)",
      });
    }
    differences.push({
      note: "this",
      callable: /that others are derived from/,
      reason: "the same of an instance of a class that an effect gives",
    });
  }
  if (recorded && isRoot) {
    differences.push({
      note: "arguments",
      ending: /^is aborted$/,
      reason: "a root gets a signal that follows the caller's, so that its abort has a place in the order",
    });
    differences.push({ note: "the very options", reason: "the same of options that hold such a signal" });
  }
  return differences;
}

/** Callables that an effect is not held to where it is recorded. */
export const notForEffects = {
  callable: /promise with members|promise of a subclass|promise of a client|thenable/,
  reason:
    "a replay has only the result of an effect to give, so that a recorded one gives a plain promise of it",
};
