/**
 * The one seam between the calls of a program and everything that watches or directs them.
 * Stages and effects know these ports and nothing behind them: telemetry and recording listen,
 * a recorder or a replay conducts.
 */
import type { Context } from "@opentelemetry/api";
import type { Side } from "../contract/contract.js";
import type { ContractIssue } from "../errors.js";
import type { Definition, Outcome } from "./definition.js";
import type { EffectCall } from "./effect-call.js";
import type { Run } from "./run.js";
import type { Scopes } from "./scopes.js";
import type { StageCall } from "./stage-call.js";

/** Hears of everything in one run, in the order in which it happens. Must be quick; may throw without harm. */
export interface RunListener {
  /** Returns the context the call is to run in, where it changes it. */
  callStarted(call: StageCall, input: readonly unknown[], context: Context): Context | undefined;
  /** `delivered`: its end came from outside the run and was handed over in a turn of its own. */
  callEnded(call: StageCall, outcome: Outcome, delivered: boolean): void;
  contractViolated(call: StageCall, side: Side, issues: readonly ContractIssue[]): void;
  runEnded(run: Run, outcome: Outcome): void;
}

/** Decides when, and with what, a run goes on: it holds the total order. */
export interface Conductor {
  /** True in a replay, where nothing may reach the outside world (G5). */
  readonly replaying: boolean;
  /** What to call in place of a stage's function; undefined for the function itself. */
  replace(call: StageCall): Replacement | undefined;
  /** An asynchronous call has settled: `pass` hands that over, now or when its turn comes. */
  settle(call: StageCall, pass: (delivered: boolean) => void): void;
  /** Runs an effect through `perform`, or gives what is recorded of it. */
  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown;
}

export interface Replacement {
  /** Called with the stage's `this` and parsed arguments. */
  readonly call: (self: unknown, input: readonly unknown[]) => unknown;
  /** Its result has been through the output contract already, and must not go through it again. */
  readonly parsed: boolean;
}

/** Where something of the library's, or given to it, failed. */
export type FailureSource = "listener" | "keep" | "codec" | "store" | "version" | "seed" | "logger";

/** What stages and effects need of the instance they belong to. */
export interface Host {
  readonly scopes: Scopes;
  /** Begins a run with this root, or returns undefined where nothing would listen to it. */
  open(root: Definition, input: readonly unknown[]): Run | undefined;
}
