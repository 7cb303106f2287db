/**
 * The platform's own clock, timers and randomness, captured when the library loads.
 * The library reads time and chance through these alone, so that nothing it patches or an
 * application replaces can make a recorder observe itself.
 */
import { randomFillSync } from "node:crypto";
import { performance } from "node:perf_hooks";
import {
  clearImmediate as cancelImmediate,
  clearTimeout as cancelTimeout,
  setImmediate as scheduleImmediate,
  setTimeout as scheduleTimeout,
} from "node:timers";

/** Milliseconds since the epoch. */
export const wallClock: () => number = Date.now.bind(Date);
/** Milliseconds on a clock that never goes back. */
export const monotonicClock: () => number = performance.now.bind(performance);
export const setImmediateOriginal: typeof scheduleImmediate = scheduleImmediate;
export const clearImmediateOriginal: typeof cancelImmediate = cancelImmediate;
export const setTimeoutOriginal: typeof scheduleTimeout = scheduleTimeout;
export const queueMicrotaskOriginal: typeof queueMicrotask = queueMicrotask;
export const clearTimeoutOriginal: typeof cancelTimeout = cancelTimeout;
/** A float in [0, 1) from the application's generator; used only where a caller asks for it outside a run. */
export const mathRandom: () => number = Math.random.bind(Math);

/** Not the named import, which becomes what it is patched with. */
const fill: typeof randomFillSync = randomFillSync;
const POOL_BYTES = 2048;
let pool = "";
let used = 0;

/** `count` unpredictable hexadecimal digits (at most 256). */
export function randomHex(count: number): string {
  if (used + count > pool.length) {
    pool = fill(Buffer.allocUnsafe(POOL_BYTES)).toString("hex");
    used = 0;
  }
  used += count;
  return pool.slice(used - count, used);
}
