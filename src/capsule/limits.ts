import { HindcastError } from "../errors.js";

/** How much of a value, and of a run, is kept. What is over a limit is replaced by a marker in place. */
export interface Limits {
  /** Nesting of objects and arrays. Default 64. */
  readonly depth: number;
  /** Entries of one array, object, Map or Set. Default 10,000. */
  readonly entries: number;
  /** Bytes of one value, estimated while it is copied. Default 1 MiB. */
  readonly valueBytes: number;
  /** Bytes of all the values of one capsule, estimated likewise. Default 16 MiB. */
  readonly capsuleBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  depth: 64,
  entries: 10_000,
  valueBytes: 1024 * 1024,
  capsuleBytes: 16 * 1024 * 1024,
};

/** Nesting beyond this could exhaust the stack of whoever reads the capsule. */
const MAXIMUM_DEPTH = 256;

/** The given limits over the defaults. Throws `invalid-options` for a limit that is not a positive integer. */
export function resolveLimits(given: Partial<Limits> = {}): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      const known = Object.keys(DEFAULT_LIMITS).join(", ");
      throw new HindcastError("invalid-options", `limits.${name} is no limit: there are ${known}.`);
    }
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new HindcastError("invalid-options", `limits.${name} is ${value}; give a positive integer.`);
    }
  }
  if (limits.depth > MAXIMUM_DEPTH) {
    throw new HindcastError("invalid-options", `limits.depth is ${limits.depth}; at most ${MAXIMUM_DEPTH}.`);
  }
  return limits;
}
