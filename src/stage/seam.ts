/**
 * The one seam between the calls of a program and everything that watches or directs them.
 * Stages and effects know these ports and nothing behind them: telemetry and recording listen,
 * a recorder or a replay conducts.
 */
import type { Context } from "@opentelemetry/api";
import type { Side } from "../contract/contract.js";
import type { ContractIssue } from "../errors.js";
import type { EffectRecord, Version } from "../capsule/capsule.js";
import type { Held } from "../capsule/snapshot.js";
import type { Conversions, Definition, Outcome } from "./definition.js";

/** A run, as those behind the seam see it. */
export interface ObservedRun {
  readonly id: string;
  readonly seed: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of its root. */
  readonly definition: Definition;
  /** Whether the root has settled. */
  readonly closed: boolean;
  /** The root span's identity, left here by telemetry. */
  trace: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** One call of a stage, as those behind the seam see it. */
export interface ObservedCall {
  readonly run: ObservedRun;
  readonly definition: Definition;
  /** Undefined for the root. */
  readonly parent: ObservedCall | undefined;
  /** The call it was made in, of whichever instance. */
  readonly outer?: ObservedCall | undefined;
  /** Its number among the calls of the run, in the order in which they began; 0 is the root. */
  readonly index: number;
  /** How many calls of that stage its parent had made before. */
  readonly ordinal: number;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
  /** Whether it has returned a promise. */
  readonly asynchronous: boolean;
  /** Left here by telemetry until the call has ended. */
  telemetry: object | undefined;
  /** How many effects of that name the call has begun before; counts one more. */
  nextEffect(name: string): number;
  /** The same, without counting one more. */
  effectsBegun(name: string): number;
}

/**
 * What the library captures by itself of what a run reads from its platform:
 * - `random`: `Math.random`
 * - `clock`: `Date`, `performance.now`, `process.hrtime`
 * - `crypto`: randomness of `node:crypto` and Web Crypto
 * - `timers`: `setTimeout`, `setInterval`, `setImmediate`, `node:timers/promises`, `AbortSignal.timeout`
 * - `bodies`: reading a Blob, and a Request or Response that came from outside
 * - `fetch`: exchanges by `fetch`, bodies included
 * - `files`: what `node:fs` reads and writes, where that is asked for
 * - `computation`: what the platform computes on threads of its own and gives the same whenever it is asked, as compression
 * - `undeclared`: what is not captured, such as sockets, files and workers; it is noticed
 */
export type BuiltInSource =
  | "random"
  | "clock"
  | "crypto"
  | "timers"
  | "bodies"
  | "fetch"
  | "files"
  | "computation"
  | "undeclared";

/** The name of a capture: one of the library's own, or one that is given, such as `http` or `pg`. */
export type CaptureSource = string;

/** One effect of a run: its key is the call it happens in, its name, and its ordinal there. */
export interface EffectCall extends Conversions {
  readonly call: ObservedCall;
  readonly name: string;
  /** How many effects of that name the call has begun before. */
  readonly ordinal: number;
  /** Whether it is known to return a promise. */
  readonly asynchronous?: boolean | undefined;
  /**
   * What a replay gives where the record has no such effect; only for effects that reach nothing
   * outside (time, chance). Without one such an effect is refused.
   */
  readonly madeUp?: MadeUp | undefined;
  /** The effect whose part in a replay is this one's as well; its own name where there is none. */
  readonly of?: string | undefined;
  /** Why a replay of it may not be exact, where that is known beforehand. */
  readonly doubt?: string | undefined;
  /** Whether it is performed in a replay as well, where no option says otherwise: it reaches nothing outside. */
  readonly live?: boolean | undefined;
  /** Whether it is live because it gives the same for the same: there is no value of it in the record. */
  readonly computed?: boolean | undefined;
  /** What is recorded before its input: the arguments and steps of the builder that it belongs to. */
  readonly before?: readonly Held[] | undefined;
  /** Whether the program has declared it: what it gives may be live, or a builder. */
  readonly declared?: boolean | undefined;
  /** Whether it calls a function of the program. */
  readonly lent?: boolean | undefined;
  /** Whether it reads a property of something that an effect gave. */
  readonly read?: boolean | undefined;
  /** What a replay does when the effect has begun and is given as recorded: it calls the functions that it called. */
  readonly during?: (() => void) | undefined;
}

/** The name of the effect that enters an error which nobody catches. */
export const UNCAUGHT = "uncaught error";

/** An item of the stream that a call has returned. */
export interface StreamItem {
  readonly call: ObservedCall;
  /** Its number among the items of the call; 0 is the stream itself. */
  readonly ordinal: number;
  /** How it was asked for: a method of iterators, and its arguments. */
  readonly input: readonly unknown[];
}

/** Makes something up with `random`, which is not the stream that the program draws from. */
export type MadeUp<T = unknown> = (random: () => number, run: ObservedRun) => T;

/** Hears of everything in one run, in the order in which it happens. Must be quick; may throw without harm. */
export interface RunListener {
  /** Returns the context the call is to run in, where it changes it. */
  callStarted(call: ObservedCall, input: readonly unknown[], context: Context): Context | undefined;
  /** `delivered`: its end came from outside the run and was handed over in a turn of its own. */
  callEnded(call: ObservedCall, outcome: Outcome, delivered: boolean): void;
  contractViolated(call: ObservedCall, side: Side, issues: readonly ContractIssue[]): void;
  runEnded(run: ObservedRun, outcome: Outcome): void;
}

/** An effect of the record that has not begun in the replay. */
export interface UpcomingEffect {
  readonly record: EffectRecord;
  /** Its number in the record. */
  readonly index: number;
  /** Whether it is what the record has next. */
  readonly isNext: boolean;
}

/** A place in the code; its stack is only written out when somebody reads it. */
export interface Place {
  readonly stack: string;
}

/** Decides when, and with what, a run goes on: it holds the total order. */
export interface Conductor {
  /** True in a replay, where nothing may reach the outside world (G5). */
  readonly replaying: boolean;
  /** What to call in place of a stage's function; undefined for the function itself. */
  replace(call: ObservedCall): Replacement | undefined;
  /**
   * An asynchronous call has settled: `pass` hands that over, now or when its turn comes. `opens`: what it
   * has settled with is a stream, and the call goes on.
   */
  settle(call: ObservedCall, pass: (delivered: boolean) => void, opens: boolean): void;
  /** A call has returned a stream, of which `recorded` is recorded. */
  opened(call: ObservedCall, recorded: unknown, delivered: boolean): void;
  /**
   * An item of a call's stream is asked for: `perform` asks the stream. Gives what that gives, at once
   * or in a promise, and tells `settled` of it just before.
   */
  item(item: StreamItem, perform: () => unknown, settled: (outcome: Outcome) => void): unknown;
  /** In a replay: the recorded effect that the call's next one of that name is. */
  readonly upcoming?: (call: ObservedCall, name: string) => UpcomingEffect | undefined;
  /** What the program gets of what an effect gave: of something live, its handle. */
  give(effect: EffectCall, value: unknown): unknown;
  /** While recording: whether the program runs because something was handed to it, or something waits to be. */
  readonly isOpen?: () => boolean;
  /** While recording: notes that a replay may not be exact, since the program makes use of what it cannot give. */
  readonly doubt?: (name: string, message: string) => void;
  /** While recording: calls `body` in a turn of its own. */
  readonly turn?: (body: () => void) => void;
  /** Runs an effect through `perform`, or gives what is recorded of it. */
  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown;
  /**
   * Begins an effect that ends in a callback: `begin` does it and tells how it ended, `hand` gives that
   * to the program in its turn. Returns what gives it up: then `hand` is never called. `atOnce`: it is handed over
   * where it arrives, and the macrotask taken for a turn; a replay may still wait.
   */
  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome, atOnce?: boolean) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void;
  /** The program of `call` has thrown where nobody catches, or has left a rejected promise to nobody. */
  readonly uncaught?: (call: ObservedCall, error: unknown) => void;
  /**
   * What `call` asked without declaring it has answered; `source` is such as `a socket`, and `place` was
   * made where it asked. Undefined where nobody wants to know.
   */
  readonly undeclared?: (call: ObservedCall, source: string, place: Place | undefined) => void;
}

export interface Replacement {
  /** Called with the stage's `this` and parsed arguments. */
  readonly call: (self: unknown, input: readonly unknown[]) => unknown;
  /** Its result has been through the output contract already, and must not go through it again. */
  readonly parsed: boolean;
}

/** Where something of the library's, or given to it, failed. */
export type FailureSource =
  | "listener"
  | "keep"
  | "codec"
  | "store"
  | "queue"
  | "exit"
  | "waitUntil"
  | "version"
  | "seed"
  | "logger"
  | "conversion";
