/** What the benchmark and its processes tell each other. */
import type { ClockSource } from "../main-thread-clock.js";
import type { PayloadName } from "../payloads.js";

export type Hello = { readonly version: string; readonly clock: ClockSource } | { readonly failed: string };

export interface BlockRequest {
  readonly payload: PayloadName;
  /** How long the main thread is to be at work in the block, at the least. */
  readonly milliseconds: number;
  /** Calls after which it ends before that. */
  readonly enough: number;
}

export interface Block {
  /** Nanoseconds of the main thread for each call, of each batch: until the caller has its result. */
  readonly path: readonly number[];
  /** Nanoseconds of the main thread for each call, with all that comes after it. */
  readonly whole: number;
  /** What the contender has dropped so far. */
  readonly lost: number;
}
