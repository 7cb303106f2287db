/** Performs what is declared as an effect, or gives what is recorded of it. */
import { HindcastError } from "../errors.js";
import type { Host } from "../stage/host.js";
import { activeCallOf, suspend } from "../stage/scopes.js";
import type { EffectCall } from "../stage/seam.js";
import { functionsIn, lend, type LentFunctions, performingFor } from "./lent-function.js";
import { realInput } from "./live.js";

/** What is told of an effect beforehand. */
export interface Told extends Pick<EffectCall, "name" | "asynchronous" | "record" | "revive" | "of"> {
  /** Functions that it keeps, for one that is a method. */
  readonly lent?: LentFunctions | undefined;
  /** What it is a method of, for one of a handle. */
  readonly self?: object | undefined;
}

export function performEffect(
  host: Host,
  told: Told,
  input: readonly unknown[],
  perform: (input: readonly unknown[]) => unknown,
): unknown {
  const call = activeCallOf(host);
  const conductor = call?.run.conductor;
  const { name, asynchronous, record, revive, of, lent, self } = told;
  if (call === undefined || conductor === undefined) return perform(input);
  if (call.run.closed) {
    if (!conductor.replaying) return perform(input);
    // Nobody waits for it any more; an error that nobody handles would end the process.
    if (asynchronous === true) return new Promise(() => undefined);
    throw effectNotRecorded(name, call.definition.name, "it began after the run had ended");
  }
  const ordinal = call.nextEffect(name);
  const places = functionsIn(input);
  if (places === undefined) {
    const effect = { name, asynchronous, record, revive, of, call, ordinal, declared: true };
    return conductor.effect(effect, input, () => performInside(call.run, input, perform));
  }
  const { during, perform: lending } = lend(
    { call, conductor, name, ordinal, of: of ?? name, self, lent },
    input,
    places,
  );
  const effect = { name, asynchronous, record, revive, of, call, ordinal, declared: true, during };
  return conductor.effect(effect, input, () => lending((given) => performInside(call.run, given, perform)));
}

function performInside(
  run: object,
  input: readonly unknown[],
  perform: (input: readonly unknown[]) => unknown,
): unknown {
  return suspend(() => performingFor(run, () => perform(realInput(input))), true);
}

/** What a replay throws into the program in place of touching the outside world (G5). */
export function effectNotRecorded(name: string, stage: string, why: string): HindcastError {
  return new HindcastError(
    "effect-not-recorded",
    `Effect "${name}" in stage "${stage}" cannot be replayed: ${why}. ` +
      `To let it run for real in this replay, say so: { effects: { "${name}": "live" } }.`,
  );
}
