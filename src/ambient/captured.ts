/**
 * Whether what the program is about to read from its platform belongs to a run that records or
 * replays it. Everything that is patched asks here first, and is itself where the answer is no.
 */
import { isQuiet } from "../stage/quiet.js";
import { activeCall, activeContext } from "../stage/scopes.js";
import type { CaptureSource, Conductor, EffectCall, MadeUp } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";

/** The call that reads, and what conducts its run. */
export interface Captured {
  readonly call: StageCall;
  readonly conductor: Conductor;
}

/** Set by the OpenTelemetry SDK around what its exporters do: that is no part of the program. */
const TRACING_SUPPRESSED = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/** The captured call that the current code is part of. */
export function captured(source: CaptureSource): Captured | undefined {
  if (isQuiet()) return undefined;
  const call = activeCall();
  if (call === undefined || activeContext().getValue(TRACING_SUPPRESSED) === true) return undefined;
  const { conductor, closed, captures } = call.run;
  return conductor === undefined || closed || !captures.has(source) ? undefined : { call, conductor };
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
  if (capture === undefined) return perform();
  const { call, conductor } = capture;
  return conductor.effect(nextEffect(call, name, madeUp), input, perform) as T;
}

/** Bytes that a replay makes up where the record has none. */
export function bytesOf(random: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}
