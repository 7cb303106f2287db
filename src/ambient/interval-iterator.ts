/** `setInterval` of `node:timers/promises` within a run: its ticks are those of an interval that is captured. */
import type timersPromises from "node:timers/promises";
import { captured } from "./captured.js";
import { resemble } from "./patch.js";

type Iterate = typeof timersPromises.setInterval;
type Options = { readonly signal?: AbortSignal; readonly ref?: boolean };
type Start = (callback: () => void, delay?: number) => NodeJS.Timeout;

/** `start` and `clear` are those of intervals that are captured, `wait` is the platform's own. */
export function createIntervalIterator(
  original: Iterate,
  start: Start,
  clear: (interval: NodeJS.Timeout) => void,
  wait: typeof timersPromises.setTimeout,
): Iterate {
  const iterate = <T>(delay?: number, value?: T, options?: Options): AsyncIterable<T> => {
    // The platform says what is wrong with its arguments.
    if (captured("timers") === undefined || !isValid(delay, options)) return original(delay, value, options);
    return ticks(delay, value as T, options);
  };

  async function* ticks<T>(delay: number | undefined, value: T, options: Options = {}): AsyncGenerator<T> {
    const { signal, ref } = options;
    let due = 0;
    let wake = (): void => undefined;
    const interval = start(() => {
      due += 1;
      wake();
    }, delay);
    const stop = (): void => {
      clear(interval);
      wake();
    };
    if (ref === false) interval.unref();
    signal?.addEventListener("abort", stop);
    try {
      while (signal?.aborted !== true) {
        if (due === 0) await new Promise<void>((resolve) => (wake = resolve));
        for (; due > 0; due--) yield value;
      }
      // The platform's own error.
      await wait(0, undefined, { signal });
    } finally {
      clear(interval);
      signal?.removeEventListener("abort", stop);
    }
  }

  return resemble(iterate as Iterate, original);
}

function isValid(delay: unknown, options: unknown): boolean {
  if (delay !== undefined && typeof delay !== "number") return false;
  if (options === undefined) return true;
  if (typeof options !== "object" || options === null) return false;
  const { signal, ref } = options as { readonly signal?: unknown; readonly ref?: unknown };
  if (ref !== undefined && typeof ref !== "boolean") return false;
  return signal === undefined || signal instanceof AbortSignal;
}
