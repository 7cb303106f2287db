/**
 * Captures what a program reads from its platform without declaring it, and notices the rest. The patches are the
 * process's: made when the first instance asks for them, undone when the last has let go.
 */
import { syncBuiltinESMExports } from "node:module";
import type { CaptureSource } from "../stage/seam.js";
import { patchAbortSignal } from "./abort-source.js";
import { patchBodies } from "./body-source.js";
import { patchClock } from "./clock-source.js";
import { patchCrypto } from "./crypto-source.js";
import { patchFetch } from "./fetch-source.js";
import type { Undo } from "./patch.js";
import { patchRandom } from "./random-source.js";
import { patchTimers } from "./timer-source.js";
import { patchUndeclared } from "./undeclared-source.js";

/** The sources that the library captures by itself. */
export type BuiltInSource = Exclude<CaptureSource, HttpCapture["source"]>;

/** Captures clients of `node:http` and `node:https`; `httpCapture()` of `hindcast/http` makes one. */
export interface HttpCapture {
  readonly source: "http";
  readonly patch: () => Undo[];
}

/** How each source is captured. */
export type Patches = ReadonlyMap<CaptureSource, () => Undo[]>;

export const BUILT_IN_PATCHES: ReadonlyMap<BuiltInSource, () => Undo[]> = new Map([
  ["random", () => [patchRandom()]],
  ["clock", patchClock],
  ["crypto", patchCrypto],
  ["timers", () => [...patchTimers(), patchAbortSignal()]],
  ["bodies", patchBodies],
  ["fetch", patchFetch],
  ["undeclared", patchUndeclared],
]);

const installed = new Map<CaptureSource, { users: number; readonly undo: readonly Undo[] }>();

/** Captures the sources of `patches` until the returned function is called. */
export function captureAmbient(patches: Patches): Undo {
  const mine = [...patches.keys()];
  let patched = false;
  for (const [source, make] of patches) {
    const known = installed.get(source);
    if (known !== undefined) known.users += 1;
    else {
      installed.set(source, { users: 1, undo: make() });
      patched = true;
    }
  }
  // Named imports of built-in modules are copies, which only this brings up to date.
  if (patched) syncBuiltinESMExports();
  let done = false;
  return () => {
    if (done) return;
    done = true;
    const undone = mine.map(release);
    if (undone.includes(true)) syncBuiltinESMExports();
  };
}

/** Whether nobody has it captured any more. */
function release(source: CaptureSource): boolean {
  const known = installed.get(source);
  if (known === undefined) return false;
  known.users -= 1;
  if (known.users > 0) return false;
  installed.delete(source);
  for (const undo of [...known.undo].reverse()) undo();
  return true;
}
