/**
 * Captures what a program reads from its platform without declaring it. The patches are the
 * process's: made when the first instance asks for them, undone when the last has let go.
 */
import { syncBuiltinESMExports } from "node:module";
import type { CaptureSource } from "../stage/seam.js";
import { patchAbortSignal } from "./abort-source.js";
import { patchBodies } from "./body-source.js";
import { patchClock } from "./clock-source.js";
import { patchCrypto } from "./crypto-source.js";
import type { Undo } from "./patch.js";
import { patchRandom } from "./random-source.js";
import { patchTimers } from "./timer-source.js";

const PATCHES: Readonly<Record<CaptureSource, () => Undo[]>> = {
  random: () => [patchRandom()],
  clock: patchClock,
  crypto: patchCrypto,
  timers: () => [...patchTimers(), patchAbortSignal()],
  bodies: patchBodies,
};

/** Every source there is. */
export const CAPTURE_SOURCES: readonly CaptureSource[] = ["random", "clock", "crypto", "timers", "bodies"];

const installed = new Map<CaptureSource, { users: number; readonly undo: readonly Undo[] }>();

/** Captures `sources` until the returned function is called. */
export function captureAmbient(sources: Iterable<CaptureSource>): Undo {
  const mine = [...sources];
  for (const source of mine) {
    const known = installed.get(source);
    if (known === undefined) installed.set(source, { users: 1, undo: PATCHES[source]() });
    else known.users += 1;
  }
  // Named imports of built-in modules are copies, which only this brings up to date.
  syncBuiltinESMExports();
  let done = false;
  return () => {
    if (done) return;
    done = true;
    for (const source of mine) release(source);
    syncBuiltinESMExports();
  };
}

function release(source: CaptureSource): void {
  const known = installed.get(source);
  if (known === undefined) return;
  known.users -= 1;
  if (known.users > 0) return;
  installed.delete(source);
  for (const undo of [...known.undo].reverse()) undo();
}
