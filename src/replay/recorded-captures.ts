/** What was captured in a recorded run, and is to be captured in its replay. */
import { BUILT_IN_CAPTURES, type Captures } from "../ambient/ambient.js";
import type { Capsule } from "../capsule/capsule.js";
import type { Capture } from "../capture/capture.js";
import { HindcastError } from "../errors.js";

const BUILT_IN: ReadonlyMap<string, Capture> = BUILT_IN_CAPTURES;

/**
 * What a replay captures: what the recorded run did, whatever the instance captures now. What the library cannot
 * make by itself, and the instance was not given, is left out; a divergence then has the cause `capture`.
 */
export async function recordedCaptures({ captures }: Capsule, own: Captures): Promise<Captures> {
  if (captures === undefined) return own;
  const recorded = new Map<string, Capture>();
  for (const name of captures) {
    const capture = own.get(name) ?? BUILT_IN.get(name) ?? (name === "http" ? await loadHttp() : undefined);
    if (capture !== undefined) recorded.set(name, capture);
  }
  return recorded;
}

/** It is loaded only where it is wanted. */
async function loadHttp(): Promise<Capture> {
  const { httpCapture } = await import("../http/http-capture.js");
  return httpCapture();
}

/**
 * Why the program may not be run: it would reach the outside world through what was captured and cannot be captured
 * now. Undefined where the recorded run has read nothing that way.
 */
export function refusal(capsule: Capsule, captures: Captures): HindcastError | undefined {
  for (const name of capsule.captures ?? []) {
    if (captures.has(name)) continue;
    const effect = capsule.effects.find((one) => one.name === name || one.name.startsWith(`${name}.`));
    if (effect === undefined) continue;
    return new HindcastError(
      "replay-capsule",
      `The recorded run read through the capture "${name}" (effect "${effect.name}"), which the entry's instance does ` +
        `not have. The program was not run, as it would reach the outside world: give hindcast({ capture: { ${name} } }).`,
    );
  }
  return undefined;
}
