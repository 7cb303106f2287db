/**
 * Whether what the program is about to read from its platform belongs to a run that records or
 * replays it. Everything that is patched asks here first, and is itself where the answer is no.
 */
import { isQuiet } from "../stage/quiet.js";
import { activeCall, isSuppressed, suspend } from "../stage/scopes.js";
import type { CaptureSource, Conductor, EffectCall, MadeUp } from "../stage/seam.js";
import { isBystander } from "./bystander.js";
import { evaluations } from "./evaluations.js";
import type { StageCall } from "../stage/stage-call.js";

/** The call that reads, and what conducts its run. */
export interface Captured {
  readonly call: StageCall;
  readonly conductor: Conductor;
}

/** How many instances and replays want anything captured; none where what is patched is dormant. */
let wanting = 0;
/** Whether patches lie on patches of this library's, with somebody else's between them. */
let isLayered = false;

/** Counts one that wants something captured, until the returned function is called. */
export function want(): () => void {
  wanting += 1;
  return () => {
    wanting -= 1;
  };
}

export function setLayered(layered: boolean): void {
  isLayered = layered;
}

/** Calls what lies below a patch: where that may be one as well, the reading is not one of the program's twice. */
export function below<T>(perform: () => T): T {
  return isLayered ? suspend(perform) : perform();
}

/** The captured call that the current code is part of. */
export function captured(source: CaptureSource): Captured | undefined {
  if (wanting === 0 || isQuiet()) return undefined;
  const call = activeCall();
  if (call === undefined) return undefined;
  const { conductor, closed, captures } = call.run;
  if (conductor === undefined || closed || !captures.has(source) || isSuppressed()) return undefined;
  return evaluations.underWay || isBystander(source) ? undefined : { call, conductor };
}

/**
 * The call in which a bystander asks for what would be captured if the program did. Only to be asked where
 * `captured(source)` has just said that nothing is: then there is no other reason left.
 */
export function bystanding(source: CaptureSource): Captured | undefined {
  const call = activeCall();
  if (call === undefined || isQuiet()) return undefined;
  const { conductor, closed, captures } = call.run;
  if (conductor === undefined || closed || !captures.has(source) || isSuppressed()) return undefined;
  return { call, conductor };
}

/** The next effect of that name in the call. */
export function nextEffect(call: StageCall, name: string, madeUp?: MadeUp): EffectCall {
  return { call, name, ordinal: call.nextEffect(name), madeUp };
}

/** Reads through `perform`: as an effect named `name` within a captured run, and as it is elsewhere. */
export function read<T>(
  source: CaptureSource,
  name: string,
  input: readonly unknown[],
  perform: () => T,
  madeUp: MadeUp<T>,
): T {
  const capture = captured(source);
  return capture === undefined ? perform() : readFor(capture, name, input, perform, madeUp);
}

/** The same, within a run that is known to be captured. */
export function readFor<T>(
  { call, conductor }: Captured,
  name: string,
  input: readonly unknown[],
  perform: () => T,
  madeUp: MadeUp<T>,
): T {
  const effect = nextEffect(call, name, madeUp);
  return conductor.effect(effect, input, isLayered ? () => below(perform) : perform) as T;
}

/** Bytes that a replay makes up where the record has none. */
export function bytesOf(random: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}
