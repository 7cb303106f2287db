/** Outcomes, and the promises they come from and go to. */
import type { Outcome } from "./definition.js";

/** Tells how `promise` settles. Through a promise of the platform's, which settles once whatever another's `then` does. */
export function whenSettled(promise: PromiseLike<unknown>, tell: (outcome: Outcome) => void): void {
  Promise.resolve(promise).then(
    (value) => tell({ status: "ok", value }),
    (error: unknown) => tell({ status: "error", error }),
  );
}

export function settlePromise(
  outcome: Outcome,
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
): void {
  if (outcome.status === "ok") resolve(outcome.value);
  else reject(outcome.error);
}
