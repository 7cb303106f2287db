import { BUILT_IN_PATCHES, type Patches } from "../ambient/ambient.js";
import type { Capsule } from "../capsule/capsule.js";
import type { CaptureSource } from "../stage/seam.js";

/**
 * What a replay captures: what the recorded run did, whatever the instance captures now. What the library cannot
 * make by itself, and the instance was not given, is left out; a divergence then has the cause `capture`.
 */
export async function recordedCaptures({ captures }: Capsule, own: Patches): Promise<Patches> {
  if (captures === undefined) return own;
  const recorded = new Map<CaptureSource, ReturnType<Patches["get"]> & object>();
  for (const name of captures as readonly CaptureSource[]) {
    const patch = own.get(name) ?? BUILT_IN_PATCHES.get(name as never) ?? (await patchByName(name));
    if (patch !== undefined) recorded.set(name, patch);
  }
  return recorded;
}

/** Of what is loaded only where it is wanted. */
async function patchByName(name: CaptureSource): Promise<ReturnType<Patches["get"]>> {
  if (name !== "http") return undefined;
  const { httpCapture } = await import("../http/http-capture.js");
  return httpCapture().patch;
}
