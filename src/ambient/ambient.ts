/**
 * Captures what a program reads from its platform without declaring it, and notices the rest.
 *
 * Invariants
 * 1. What a program may take a reference to (`Math.random`, `Date`, `setTimeout`) is patched when the library is
 *    imported, and stays so: a module that is imported later takes what can be captured. Until an instance or a replay
 *    wants it, and when the last has let go, these patches are dormant, and call what they stand for.
 * 2. The others are made when the first instance asks for them, and undone when the last has let go.
 * 3. What somebody else has replaced since then is patched anew, on top, for as long as an instance wants it.
 */
import { syncBuiltinESMExports } from "node:module";
import type { Capture } from "../capture/capture.js";
import { wallClock } from "../originals.js";
import type { BuiltInSource } from "../stage/seam.js";
import { patchAbortSignal } from "./abort-source.js";
import { patchBodies } from "./body-source.js";
import { patchClock } from "./clock-source.js";
import { patchCompression } from "./compression-source.js";
import { patchCrypto } from "./crypto-source.js";
import { patchFetch } from "./fetch-source.js";
import { patchFiles } from "./file-source.js";
import { patchKeys } from "./key-source.js";
import { patchMessages } from "./message-source.js";
import { patchModules } from "./module-source.js";
import type { Undo } from "./patch.js";
import { patchRandom } from "./random-source.js";
import { patchSubtle } from "./subtle-source.js";
import { want, setLayered } from "./captured.js";
import { patchTimers } from "./timer-source.js";
import { patchUndeclared } from "./undeclared-source.js";
import { patchWebAssembly } from "./web-assembly-source.js";

/** What is captured, by name. */
export type Captures = ReadonlyMap<string, Capture>;

const builtIn = (name: BuiltInSource, patch: Capture["patch"]): readonly [BuiltInSource, Capture] => [
  name,
  { name, patch },
];

/** Not captured unless it is asked for: what is read of files may be large, and what is written is not written again. */
export const ON_DEMAND: ReadonlySet<string> = new Set(["files"] satisfies BuiltInSource[]);

/** What the library captures by itself. */
export const BUILT_IN_CAPTURES: ReadonlyMap<BuiltInSource, Capture> = new Map([
  builtIn("random", () => [patchRandom()]),
  builtIn("clock", patchClock),
  builtIn("crypto", () => [...patchCrypto(), ...patchKeys(), ...patchSubtle()]),
  builtIn("timers", () => [...patchTimers(), patchAbortSignal(), ...patchMessages()]),
  builtIn("bodies", patchBodies),
  builtIn("fetch", patchFetch),
  builtIn("undeclared", patchUndeclared),
  builtIn("files", patchFiles),
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

/** What a module takes a reference to when it is imported. */
const TAKEN: readonly BuiltInSource[] = ["random", "clock", "crypto", "timers", "fetch"];

let dormant: ReadonlyMap<string, readonly Undo[]> | undefined;

/** Patches what modules take references to, for good. Called when the library is imported. */
export function installDormant(): void {
  // The library's own clock and timers come first: what is taken from here on is captured.
  if (dormant !== undefined || typeof wallClock !== "function") return;
  dormant = new Map(TAKEN.map((name) => [name, BUILT_IN_CAPTURES.get(name)?.patch() ?? []]));
  syncBuiltinESMExports();
}

/** Whether what was patched at import is what a program meets today. */
function isInPlace(name: string, target: object | undefined): boolean {
  const undo = target === undefined ? dormant?.get(name) : undefined;
  return undo !== undefined && undo.every((one) => one.isInPlace?.() ?? true);
}

/** Captures by `captures` until the returned function is called. */
export function captureAmbient(captures: Captures): Undo {
  const mine: Installed[] = [];
  let patched = false;
  for (const { name, target, patch } of captures.values()) {
    let known = installed.find((one) => one.name === name && one.target === target);
    if (known === undefined) {
      const inPlace = isInPlace(name, target);
      known = { name, target, undo: inPlace ? [] : patch(), users: 0 };
      installed.push(known);
      if (!inPlace) patched = true;
    }
    known.users += 1;
    mine.push(known);
  }
  // Named imports of built-in modules are copies, which only this brings up to date.
  if (patched) syncBuiltinESMExports();
  const unwant = captures.size > 0 ? want() : undefined;
  noteLayers();
  let done = false;
  return () => {
    if (done) return;
    done = true;
    unwant?.();
    // Two captures may patch one function: what came last goes first.
    const undone = mine.reverse().map(release);
    if (undone.includes(true)) syncBuiltinESMExports();
    noteLayers();
  };
}

function noteLayers(): void {
  setLayered(installed.some(({ name, undo }) => dormant?.has(name) === true && undo.length > 0));
}

/** Whether nobody has it captured any more. */
function release(one: Installed): boolean {
  one.users -= 1;
  if (one.users > 0) return false;
  installed.splice(installed.indexOf(one), 1);
  for (const undo of [...one.undo].reverse()) undo();
  return one.undo.length > 0;
}
