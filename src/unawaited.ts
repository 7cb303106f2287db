import { types } from "node:util";

/**
 * Takes what a hook returned, which nobody waits for. A promise that is rejected and that nobody looks at ends
 * the process: `rejected` looks. Says whether it was a promise, of whichever realm, or something that may be one.
 */
export function unawaited(result: unknown, rejected: (error: unknown) => void): boolean {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) return false;
  if (types.isPromise(result)) {
    // Not with a method of its own, which may be anything.
    void Promise.prototype.then.call(result, undefined, rejected);
    return true;
  }
  if (typeof (result as { then?: unknown }).then !== "function") return false;
  new Promise((resolve) => resolve(result)).then(undefined, rejected);
  return true;
}
