/**
 * Work that gives the same again whenever it is given the same: compression, hashing, key derivation. It is an effect, so
 * that its end has a place in the order; nothing of it is recorded, since a replay performs it again, in that place.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Conversion, Outcome } from "../stage/definition.js";
import type { CaptureSource, EffectCall } from "../stage/seam.js";
import { suspend } from "../stage/scopes.js";
import { captured, nextEffect } from "./captured.js";
import { resemble } from "./patch.js";

/** A method of the platform's. */
export type Method = (this: unknown, ...input: unknown[]) => unknown;
type Callback = (this: unknown, ...outcome: unknown[]) => void;

/** The program makes its value again. */
const NOTHING: Conversion = { output: () => undefined };

/** The next effect of that name in the call, performed in a replay as well. */
export function nextComputation(call: Parameters<typeof nextEffect>[0], name: string): EffectCall {
  return { ...nextEffect(call, name), live: true, computed: true, record: NOTHING };
}

/** Stands for a method that gives a promise of what it computes. */
export function computesPromise(source: CaptureSource, name: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = captured(source);
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    return conductor.effect(nextComputation(call, name), [], () => Reflect.apply(original, this, input));
  }, original);
}

/** Stands for a method that computes at once, or later where its last argument is a callback. */
export function computesCallback(source: CaptureSource, name: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const callback = input.at(-1);
    const capture = typeof callback === "function" ? captured(source) : undefined;
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const hand = AsyncLocalStorage.bind(callback as Callback);
    let given: { readonly self: unknown; readonly outcome: readonly unknown[] } | undefined;
    let returned: unknown;
    conductor.start(
      nextComputation(call, name),
      [],
      (arrive) => {
        const last = function (this: unknown, ...outcome: unknown[]): void {
          given = { self: this, outcome };
          arrive(outcomeOf(outcome));
        };
        returned = suspend(() => Reflect.apply(original, this, [...input.slice(0, -1), last]));
      },
      (outcome) => {
        // Another function may stand for it in a replay.
        if (given === undefined) hand.apply(undefined, argumentsOf(outcome));
        else hand.apply(given.self, [...given.outcome]);
      },
    );
    return returned;
  }, original);
}

/** What a callback was given, as an outcome. */
export function outcomeOf([error, value]: readonly unknown[]): Outcome {
  return error == null ? { status: "ok", value } : { status: "error", error };
}

/** An outcome, as a callback is given it. */
export function argumentsOf(outcome: Outcome): unknown[] {
  return outcome.status === "ok" ? [null, outcome.value] : [outcome.error];
}
