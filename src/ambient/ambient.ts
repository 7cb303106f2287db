/**
 * Captures what a program reads from its platform without declaring it, and notices the rest. The patches are the
 * process's: made when the first instance asks for them, undone when the last has let go.
 */
import { syncBuiltinESMExports } from "node:module";
import type { Capture } from "../capture/capture.js";
import type { BuiltInSource } from "../stage/seam.js";
import { patchAbortSignal } from "./abort-source.js";
import { patchBodies } from "./body-source.js";
import { patchClock } from "./clock-source.js";
import { patchCompression } from "./compression-source.js";
import { patchCrypto } from "./crypto-source.js";
import { patchFetch } from "./fetch-source.js";
import { patchKeys } from "./key-source.js";
import { patchModules } from "./module-source.js";
import type { Undo } from "./patch.js";
import { patchRandom } from "./random-source.js";
import { patchSubtle } from "./subtle-source.js";
import { patchTimers } from "./timer-source.js";
import { patchUndeclared } from "./undeclared-source.js";
import { patchWebAssembly } from "./web-assembly-source.js";

/** What is captured, by name. */
export type Captures = ReadonlyMap<string, Capture>;

const builtIn = (name: BuiltInSource, patch: Capture["patch"]): readonly [BuiltInSource, Capture] => [
  name,
  { name, patch },
];

/** What the library captures by itself. */
export const BUILT_IN_CAPTURES: ReadonlyMap<BuiltInSource, Capture> = new Map([
  builtIn("random", () => [patchRandom()]),
  builtIn("clock", patchClock),
  builtIn("crypto", () => [...patchCrypto(), ...patchKeys(), ...patchSubtle()]),
  builtIn("timers", () => [...patchTimers(), patchAbortSignal()]),
  builtIn("bodies", patchBodies),
  builtIn("fetch", patchFetch),
  builtIn("undeclared", patchUndeclared),
  // After it: what reads a module is not asking for a file.
  builtIn("computation", () => [...patchCompression(), ...patchWebAssembly(), ...patchModules()]),
]);

/** A capture that patches is in use by `users` instances. `target` is what it patches, where it says so. */
interface Installed {
  readonly name: string;
  readonly target: object | undefined;
  readonly undo: readonly Undo[];
  users: number;
}

const installed: Installed[] = [];

/** Captures by `captures` until the returned function is called. */
export function captureAmbient(captures: Captures): Undo {
  const mine: Installed[] = [];
  let patched = false;
  for (const { name, target, patch } of captures.values()) {
    let known = installed.find((one) => one.name === name && one.target === target);
    if (known === undefined) {
      known = { name, target, undo: patch(), users: 0 };
      installed.push(known);
      patched = true;
    }
    known.users += 1;
    mine.push(known);
  }
  // Named imports of built-in modules are copies, which only this brings up to date.
  if (patched) syncBuiltinESMExports();
  let done = false;
  return () => {
    if (done) return;
    done = true;
    // Two captures may patch one function: what came last goes first.
    const undone = mine.reverse().map(release);
    if (undone.includes(true)) syncBuiltinESMExports();
  };
}

/** Whether nobody has it captured any more. */
function release(one: Installed): boolean {
  one.users -= 1;
  if (one.users > 0) return false;
  installed.splice(installed.indexOf(one), 1);
  for (const undo of [...one.undo].reverse()) undo();
  return true;
}
