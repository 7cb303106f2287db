/**
 * Errors of a run that nobody catches: thrown in a callback of the platform's, or a promise that is rejected and that
 * nobody looks at. What a process does about them is the process's business, and stays so: here they are told to the run
 * that they are of, so that a record has them. Those of a replay go no further: it must not end the process it runs in.
 *
 * They are looked at where the process is told of them, and by no listener: one that listens changes what happens.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { activeCall } from "../stage/scopes.js";
import { patch, resemble } from "./patch.js";

const TOLD: ReadonlySet<unknown> = new Set(["uncaughtException", "unhandledRejection"]);
const MONITOR = "uncaughtExceptionMonitor";

/** One for the process, and for good: what a replay leaves behind may fail at any time after it. */
let isWatched = false;

export function watchUncaught(): void {
  if (isWatched) return;
  isWatched = true;
  type Emit = (event: string, ...input: unknown[]) => boolean;
  patch(process as unknown as { emit: Emit }, "emit", (original) => {
    const emit: Emit = function (this: unknown, event, ...input) {
      const isTold = TOLD.has(event);
      if (!isTold && event !== MONITOR) return Reflect.apply(original, this, [event, ...input]);
      return tell(isTold, input[0]) || Reflect.apply(original, this, [event, ...input]);
    };
    return emit;
  });
  // What is thrown there is out of its scope by the time the process is told.
  patch(globalThis, "queueMicrotask", (original) =>
    resemble((callback: () => void) => {
      const call = activeCall();
      const conductor = call?.run.conductor;
      if (call === undefined || conductor?.uncaught === undefined) return original(callback);
      const body = AsyncLocalStorage.bind(callback);
      original(() => {
        try {
          body();
        } catch (error) {
          conductor.uncaught?.(call, error);
          if (!conductor.replaying) throw error;
        }
      });
    }, original),
  );
}

/** Tells the run whose error it is. Whether that is all: a replay's goes no further. */
function tell(isTold: boolean, error: unknown): boolean {
  const call = activeCall();
  const conductor = call?.run.conductor;
  if (call === undefined || conductor?.uncaught === undefined) return false;
  if (isTold) conductor.uncaught(call, error);
  return conductor.replaying;
}
