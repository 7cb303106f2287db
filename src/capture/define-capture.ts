import { patch, resemble, type Undo } from "../ambient/patch.js";
import { declarePreparation } from "../effects/preparations.js";
import { HindcastError } from "../errors.js";
import { isSuspended, suspend } from "../stage/scopes.js";
import type { Capture } from "./capture.js";
import { type CapturedRun, capturedRun } from "./captured-run.js";

/** What a capture is made of. */
export interface CaptureDefinition {
  /** Such as `pg`. */
  readonly name: string;
  /** The module that it patches. */
  readonly target?: object;
  /**
   * Effects that prepare what runs share, such as `connect`. Where the recorded run has one and its replay has not, or
   * the other way about, that is no difference: the replay gives what `otherwise` of the effect gives.
   */
  readonly preparations?: readonly string[];
  /** Patches it, by `tools`, and returns how that is undone. */
  readonly patch: (tools: CaptureTools) => readonly Undo[];
}

/** What patches are made with. */
export interface CaptureTools {
  /** The run that the current code is part of; undefined where the original is to be called: outside of runs and inside of effects. */
  readonly run: () => CapturedRun | undefined;
  /** Calls `body` as the inside of an effect: nothing in it is captured. */
  readonly inside: <Value>(body: () => Value) => Value;
  /** Whether the current code is part of an effect. */
  readonly isInside: () => boolean;
  /**
   * Puts what `make` makes of a method in its place, with the method's name, length and own properties. A property that
   * is locked, or is no function, stays as it is.
   */
  readonly method: <Target extends object>(
    target: Target,
    name: keyof Target & string,
    make: (original: CapturedMethod) => MethodSubstitute,
  ) => Undo;
}

/** A method, whatever it takes and gives. */
export type CapturedMethod = (this: unknown, ...input: unknown[]) => unknown;
/** What is put in its place, with the types of that method. */
export type MethodSubstitute = (this: never, ...input: never[]) => unknown;

/** Makes a capture, to be given as `hindcast({ capture: { [name]: … } })`. */
export function defineCapture({ name, target, preparations = [], patch: make }: CaptureDefinition): Capture {
  if (typeof name !== "string" || name === "" || typeof make !== "function") {
    throw new HindcastError("invalid-options", "defineCapture({ name, patch }): give a name and a function.");
  }
  for (const preparation of preparations) declarePreparation(`${name}.${preparation}`);
  const tools: CaptureTools = {
    run: () => capturedRun(name),
    inside: suspend,
    isInside: () => isSuspended(),
    method: replaceMethod,
  };
  return { name, target, patch: () => make(tools) };
}

function replaceMethod<Target extends object>(
  target: Target,
  name: keyof Target & string,
  make: (original: CapturedMethod) => MethodSubstitute,
): Undo {
  const methods = target as Record<string, unknown>;
  const original = methods[name];
  if (typeof original !== "function") return () => undefined;
  return patch(methods, name, () => resemble(make(original as CapturedMethod), original));
}
