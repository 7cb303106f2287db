import { types } from "node:util";

/**
 * Takes what a hook returned, which nobody waits for. A promise that is rejected and that nobody looks at ends
 * the process: `rejected` looks. Says whether it was a promise, of whichever realm, or something that may be one.
 */
export function unawaited(result: unknown, rejected: (error: unknown) => void): boolean {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) return false;
  if (!types.isPromise(result) && typeof (result as { then?: unknown }).then !== "function") return false;
  // Not with a method of its own, which may be anything: a new promise is made of it.
  new Promise((resolve) => resolve(result)).then(undefined, rejected);
  return true;
}
