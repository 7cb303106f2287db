import { CborWriter } from "../../src/capsule/encode-value.js";
import type { Held } from "../../src/capsule/snapshot.js";

/** One copied value as CBOR, written in steps. */
export function* encodeInSteps(held: Held): Generator<undefined, Uint8Array> {
  const writer = new CborWriter();
  yield* writer.snapshotInSteps(held);
  return yield* writer.bytesInSteps();
}
