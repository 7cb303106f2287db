/** The port to wherever capsules go. A store knows them as bytes with a summary, and nothing of what is inside. */
import type { CapsuleSummary } from "../capsule/capsule.js";
import type { Duration } from "../duration.js";
import { HindcastError } from "../errors.js";

/** A capsule as a store holds it: `readCapsule` opens it. */
export interface StoredCapsule {
  readonly summary: CapsuleSummary;
  readonly bytes: Uint8Array;
}

/** Which capsules to find; all conditions must hold. */
export interface CapsuleQuery {
  readonly service?: string;
  readonly pipeline?: string;
  readonly status?: "ok" | "error";
  /** Only those with (or without) contract violations. */
  readonly violations?: boolean;
  readonly traceId?: string;
  /** A data or model version, as `name@version`. */
  readonly version?: string;
  readonly slowerThan?: Duration;
  /** Started at or after: milliseconds since the epoch, or a Date. */
  readonly since?: number | Date;
  /** Started before. */
  readonly until?: number | Date;
  /** At most so many. */
  readonly limit?: number;
}

/**
 * Where capsules go and come from. Pass your own through `testStore` of `hindcast/testing`: it is
 * what the library's own stores are held to.
 */
export interface Store {
  /** Takes capsules. Resolves when they are as safe as this store makes them; rejects if any of them is not. */
  append(capsules: readonly StoredCapsule[]): Promise<void>;
  /** The capsule with this id, or undefined. */
  get(id: string): Promise<StoredCapsule | undefined>;
  /** Capsules that match, in the order in which they were appended. */
  find(query?: CapsuleQuery): AsyncIterable<StoredCapsule>;
  /** Lets go of everything held open. Waits for appends under way; a second call does nothing; later appends reject. */
  close(): Promise<void>;
}

/** What an append after `close` rejects with. */
export function storeClosed(): HindcastError {
  return new HindcastError(
    "store-closed",
    "The store is closed: append before close(), or make a new store.",
  );
}
