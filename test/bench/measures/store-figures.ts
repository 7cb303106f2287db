/** What the process that measures stores and capsules tells. */
import type { PayloadName } from "../payloads.js";
import type { Distribution } from "../statistics.js";

/** Means over runs of which each has values of its own. */
export interface CapsuleSize {
  /** As encoded. */
  readonly encoded: number;
  /** In the directory of a file store with default options, with what the store adds. */
  readonly onDisk: number;
  /** Capsules that were appended together for that, as many as the queue hands over: mean. */
  readonly together: number;
  /** The same where each is appended alone, as in a service that idles. */
  readonly onDiskAlone: number;
  /** The same record as JSON: every field and every value, typed arrays as lists of numbers. */
  readonly json: number;
}

export interface WriteRate {
  /** Bytes in one append. */
  readonly batch: number;
  readonly fsync: boolean;
  /** MB a second. */
  readonly store: Distribution;
  readonly plain: Distribution;
}

export interface StoreRate {
  readonly store: string;
  /** Runs a second from the call until the store has acknowledged, one after the other as fast as they go. */
  readonly runs: number;
  readonly bytesPerCapsule: number;
  readonly lost: number;
}

export interface FindTime {
  readonly capsules: number;
  /** Milliseconds. */
  readonly get: number;
  readonly newest: number;
  readonly rare: number;
  readonly all: number;
  readonly append: number;
}

export interface StoreFigures {
  readonly sizes: Readonly<Record<PayloadName, CapsuleSize>>;
  readonly writes: readonly WriteRate[];
  readonly rates: readonly StoreRate[];
  readonly finds: readonly FindTime[];
}
