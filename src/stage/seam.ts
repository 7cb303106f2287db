/**
 * The one seam between the calls of a program and everything that watches or directs them.
 * Stages and effects know these ports and nothing behind them: telemetry and recording listen,
 * a recorder or a replay conducts.
 */
import type { Context } from "@opentelemetry/api";
import type { Side } from "../contract/contract.js";
import type { ContractIssue } from "../errors.js";
import type { Version } from "../capsule/capsule.js";
import type { Conversion, Definition, Outcome } from "./definition.js";

/** A run, as those behind the seam see it. */
export interface ObservedRun {
  readonly id: string;
  readonly seed: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of its root. */
  readonly definition: Definition;
  /** The root span's identity, left here by telemetry. */
  trace: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** One call of a stage, as those behind the seam see it. */
export interface ObservedCall {
  readonly run: ObservedRun;
  readonly definition: Definition;
  /** Undefined for the root. */
  readonly parent: ObservedCall | undefined;
  /** Its number among the calls of the run, in the order in which they began; 0 is the root. */
  readonly index: number;
  /** How many calls of that stage its parent had made before. */
  readonly ordinal: number;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
  /** Whether it has returned a promise. */
  readonly asynchronous: boolean;
}

/**
 * What a run reads from its platform without declaring it:
 * - `random`: `Math.random`
 * - `clock`: `Date`, `performance.now`, `process.hrtime`
 * - `crypto`: randomness of `node:crypto` and Web Crypto
 * - `timers`: `setTimeout`, `setInterval`, `setImmediate`, `node:timers/promises`, `AbortSignal.timeout`
 * - `bodies`: reading a Blob, and a Request or Response that came from outside
 */
export type CaptureSource = "random" | "clock" | "crypto" | "timers" | "bodies";

/** One effect of a run: its key is the call it happens in, its name, and its ordinal there. */
export interface EffectCall {
  readonly call: ObservedCall;
  readonly name: string;
  /** How many effects of that name the call has begun before. */
  readonly ordinal: number;
  /**
   * What a replay gives where the record has no such effect; only for effects that reach nothing
   * outside (time, chance). Without one such an effect is refused.
   */
  readonly madeUp?: (() => unknown) | undefined;
  /** Whether it is performed in a replay as well, where no option says otherwise: it reaches nothing outside. */
  readonly live?: boolean;
  /** What is recorded in place of its input and its result, and how a replay makes the result again. */
  readonly record?: Conversion | undefined;
  readonly revive?: Conversion | undefined;
}

/** Hears of everything in one run, in the order in which it happens. Must be quick; may throw without harm. */
export interface RunListener {
  /** Returns the context the call is to run in, where it changes it. */
  callStarted(call: ObservedCall, input: readonly unknown[], context: Context): Context | undefined;
  /** `delivered`: its end came from outside the run and was handed over in a turn of its own. */
  callEnded(call: ObservedCall, outcome: Outcome, delivered: boolean): void;
  contractViolated(call: ObservedCall, side: Side, issues: readonly ContractIssue[]): void;
  runEnded(run: ObservedRun, outcome: Outcome): void;
}

/** Decides when, and with what, a run goes on: it holds the total order. */
export interface Conductor {
  /** True in a replay, where nothing may reach the outside world (G5). */
  readonly replaying: boolean;
  /** What to call in place of a stage's function; undefined for the function itself. */
  replace(call: ObservedCall): Replacement | undefined;
  /** An asynchronous call has settled: `pass` hands that over, now or when its turn comes. */
  settle(call: ObservedCall, pass: (delivered: boolean) => void): void;
  /** Runs an effect through `perform`, or gives what is recorded of it. */
  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown;
  /**
   * Begins an effect that ends in a callback: `begin` does it and tells how it ended, `hand` gives that
   * to the program in its turn. Returns what gives it up: then `hand` is never called.
   */
  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void;
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
  | "version"
  | "seed"
  | "logger"
  | "conversion";
