import type { Hindcast, StoredCapsule } from "hindcast";

/** The capsule that an instance recorded last, of the given pipeline or of any. */
export async function newestCapsule(hc: Hindcast, pipeline?: string): Promise<StoredCapsule> {
  await hc.flush();
  let newest: StoredCapsule | undefined;
  for await (const stored of hc.store.find(pipeline === undefined ? {} : { pipeline })) newest = stored;
  if (newest === undefined) throw new Error("nothing was recorded");
  return newest;
}
