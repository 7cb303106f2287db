import { type Capsule, CAPSULE_FORMAT, isReadableFormat } from "../capsule/capsule.js";
import { decodeCapsule, newerFormat } from "../capsule/decode-capsule.js";
import { HindcastError } from "../errors.js";
import type { StoredCapsule } from "../stores/store.js";

/** A capsule, as a store gives it, as bytes, or read. */
export type CapsuleSource = StoredCapsule | Uint8Array | Capsule;

/** Opens a capsule. Throws `capsule-damaged`, `capsule-newer` or `capsule-shape`. */
export function readCapsule(source: CapsuleSource): Capsule {
  if (source instanceof Uint8Array) return decodeCapsule(source);
  if (typeof source === "object" && source !== null) {
    if ("bytes" in source && source.bytes instanceof Uint8Array) return decodeCapsule(source.bytes);
    if ("format" in source && isReadableFormat(source.format)) return source;
    // Read by a later version of the library, another copy of which may be in the process.
    if ("format" in source && source.format > CAPSULE_FORMAT) throw newerFormat(source.format);
  }
  throw new HindcastError(
    "replay-capsule",
    "Not a capsule: give what a store's get() or find() returned, its bytes, or what readCapsule() returned.",
  );
}
