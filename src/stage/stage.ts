/**
 * Calls a wrapped function. This is where every stage and pipeline passes.
 *
 * Invariants
 * 1. The function gets its own `this` and arguments, the caller its own result, error or promise:
 *    only contracts change a value, by parsing it (G1).
 * 2. A synchronous function stays synchronous. A promise is followed, not raced: its end is told
 *    before whoever awaits it goes on.
 * 3. Each call that began ends exactly once for those who listen; one that returned a stream, when that ends.
 */
import { types } from "node:util";
import type { Context } from "@opentelemetry/api";
import { type Checked, type Contract, type ContractMode, type Side } from "../contract/contract.js";
import { hasStandIn } from "../capsule/recorded-handle.js";
import { copyMembers } from "../copy-members.js";
import { type ContractIssue, ContractViolation, HindcastError } from "../errors.js";
import type { Definition, Outcome } from "./definition.js";
import type { Host } from "./host.js";
import { passageOfResult } from "../streams/passage.js";
import { stageStream } from "../streams/stage-stream.js";
import type { Replacement } from "./seam.js";
import { rootInput } from "./root-input.js";
import type { Run } from "./run.js";
import { activeCallOf, activeContext, isSuspended, outerCall, runIn, withCall } from "./scopes.js";
import { settlePromise } from "./settlement.js";
import { StageCall } from "./stage-call.js";
import { followThenable } from "./thenable.js";

export type AnyFunction = (...input: never[]) => unknown;
type Callable = (this: unknown, ...input: unknown[]) => unknown;

/** Calls `body` as the stage `definition`, in the run that is active or as the root of a new one. */
export function callStage(
  host: Host,
  definition: Definition,
  body: AnyFunction,
  self: unknown,
  input: readonly unknown[],
): unknown {
  const active = activeContext();
  const parent = activeCallOf(host, active);
  if (parent !== undefined && !parent.run.closed) {
    return callInRun(parent.run, parent, definition, body, self, input);
  }
  // What outlives a replay must not begin to live; what outlives a recorded run is a root of its own.
  const plain = parent?.run.conductor?.replaying === true || isSuspended(active);
  const run = plain ? undefined : host.open(definition, input);
  if (run === undefined) return callChecked(undefined, definition, body as Callable, self, input);
  return callInRun(run, undefined, definition, body, self, input);
}

/** Calls `body` as a stage of `run`: as its root where there is no `parent`. */
export function callInRun(
  run: Run,
  parent: StageCall | undefined,
  definition: Definition,
  body: AnyFunction,
  self: unknown,
  input: readonly unknown[],
): unknown {
  const active = activeContext();
  const call = new StageCall(run, definition, parent, outerCall(active), input);
  const { conductor } = run;
  const isRecordedRoot = parent === undefined && conductor !== undefined;
  const root = isRecordedRoot ? rootInput(call, conductor, input) : undefined;
  const context = run.begin(call, root?.recorded ?? input, withCall(active, call));
  // In the scope of the call: what it is told of by events is told within it.
  const given = root === undefined ? input : runIn(context, root.open);
  let result: unknown;
  try {
    result = runIn(context, () => callChecked(call, definition, body as Callable, self, given));
  } catch (error) {
    run.end(call, { status: "error", error }, false);
    throw error;
  }
  if (isThenable(result)) {
    call.asynchronous = true;
    if (isPlainPromise(result)) return followPromise(call, context, result);
    const isFollowed = followThenable(result, {
      context,
      follow: (promise) => follow(call, context, promise),
    });
    if (!isFollowed) {
      call.asynchronous = false;
      run.end(call, { status: "ok", value: result }, false);
    }
    return result;
  }
  const passage = passageOfResult(definition, result);
  if (passage !== undefined) return stageStream(call, context, passage, false);
  run.end(call, { status: "ok", value: result }, false);
  return result;
}

/** Follows a promise to its end, and hands that over when the run's order says so. */
function follow(call: StageCall, context: Context, promise: PromiseLike<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: Outcome): void => {
      const passage = outcome.status === "ok" ? passageOfResult(call.definition, outcome.value) : undefined;
      const pass = (delivered: boolean): void => {
        if (passage !== undefined) return resolve(stageStream(call, context, passage, delivered));
        call.run.end(call, outcome, delivered);
        settlePromise(outcome, resolve, reject);
      };
      const { conductor, closed } = call.run;
      // A root is awaited by whoever is outside: there is no order for it to keep.
      if (conductor === undefined || closed || call.parent === undefined) pass(false);
      else conductor.settle(call, pass, passage !== undefined);
    };
    // At once, and before whoever awaits it: with one of a subclass another promise in between would be late.
    promise.then(
      (value) => settle({ status: "ok", value }),
      (error: unknown) => settle({ status: "error", error }),
    );
  });
}

/** As `follow` does it, for the promises of most roots: with one promise less. */
function followRoot(call: StageCall, context: Context, promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      const passage = passageOfResult(call.definition, value);
      if (passage !== undefined) return stageStream(call, context, passage, false);
      call.run.end(call, { status: "ok", value }, false);
      return value;
    },
    (error: unknown) => {
      call.run.end(call, { status: "error", error }, false);
      throw error;
    },
  );
}

/** Follows a promise, and gives one that has the members that somebody has put on it. */
function followPromise(call: StageCall, context: Context, promise: object): Promise<unknown> {
  // Node itself puts symbols on promises, so that to look for those alone would cost every call.
  if (Object.getOwnPropertyNames(promise).length > 0) {
    const followed = follow(call, context, promise as Promise<unknown>);
    copyMembers(promise, followed);
    return followed;
  }
  return call.parent === undefined
    ? followRoot(call, context, promise as Promise<unknown>)
    : follow(call, context, promise as Promise<unknown>);
}

function isPlainPromise(value: PromiseLike<unknown>): boolean {
  return types.isPromise(value) && Object.getPrototypeOf(value) === Promise.prototype;
}

/** Calls `body` between its contracts. `call` is undefined where nobody listens. */
function callChecked(
  call: StageCall | undefined,
  definition: Definition,
  body: Callable,
  self: unknown,
  input: readonly unknown[],
): unknown {
  const { input: contract } = definition;
  if (contract === undefined) return callBody(call, definition, body, self, input);
  if (!isAsynchronous(body)) return callParsed(call, definition, contract, body, self, input);
  try {
    return callParsed(call, definition, contract, body, self, input);
  } catch (error) {
    return Promise.reject(error);
  }
}

function callParsed(
  call: StageCall | undefined,
  definition: Definition,
  contract: Contract,
  body: Callable,
  self: unknown,
  input: readonly unknown[],
): unknown {
  const { mode } = definition;
  const checked = check(contract, input[0]);
  if (checked instanceof Promise) {
    mustBeAsynchronous(definition, body, "input");
    return checked.then((settled) => {
      const parsed = conclude(call, definition.name, "input", mode, input[0], settled);
      return callBody(call, definition, body, self, replaceFirst(input, parsed));
    });
  }
  const parsed = conclude(call, definition.name, "input", mode, input[0], checked);
  return callBody(call, definition, body, self, replaceFirst(input, parsed));
}

function callBody(
  call: StageCall | undefined,
  definition: Definition,
  body: Callable,
  self: unknown,
  input: readonly unknown[],
): unknown {
  const replacement: Replacement | undefined = call?.run.conductor?.replace(call);
  const result = replacement === undefined ? Reflect.apply(body, self, input) : replacement.call(self, input);
  const { output: contract, mode, name } = definition;
  if (contract === undefined || replacement?.parsed === true) return result;
  if (isThenable(result)) {
    return Promise.resolve(result).then((value) => {
      const checked = check(contract, value);
      return checked instanceof Promise
        ? checked.then((settled) => conclude(call, name, "output", mode, value, settled))
        : conclude(call, name, "output", mode, value, checked);
    });
  }
  const checked = check(contract, result);
  if (checked instanceof Promise) throw asynchronousContract(definition, "output");
  return conclude(call, name, "output", mode, result, checked);
}

/** A contract whose own code throws has not been met. */
function check(contract: Contract, value: unknown): Checked | Promise<Checked> {
  try {
    const checked = contract.check(value);
    return checked instanceof Promise ? checked.catch(failed) : checked;
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): Checked {
  const reason = error instanceof Error ? error.name : typeof error;
  const issue: ContractIssue = {
    path: [],
    expected: "a contract that can be evaluated",
    received: `its ${reason}`,
  };
  return { ok: false, issues: [issue] };
}

/** The value to go on with: the parsed one, or in `observe` the one that came. */
function conclude(
  call: StageCall | undefined,
  stage: string,
  side: Side,
  mode: ContractMode,
  value: unknown,
  checked: Checked,
): unknown {
  if (checked.ok) return checked.value;
  call?.run.violated(call, side, checked.issues);
  if (mode === "enforce") throw new ContractViolation(stage, side, checked.issues);
  return value;
}

function replaceFirst(input: readonly unknown[], first: unknown): readonly unknown[] {
  if (input.length === 0 ? first === undefined : Object.is(input[0], first)) return input;
  return [first, ...input.slice(1)];
}

const ASYNC_FUNCTION: unknown = Object.getPrototypeOf(async () => undefined);

/** Whether it is an `async` function: one that does not throw at once. */
export function isAsynchronous(body: unknown): boolean {
  return Object.getPrototypeOf(body) === ASYNC_FUNCTION;
}

function mustBeAsynchronous(definition: Definition, body: AnyFunction, side: Side): void {
  if (!isAsynchronous(body)) throw asynchronousContract(definition, side);
}

function asynchronousContract(definition: Definition, side: Side): HindcastError {
  return new HindcastError(
    "contract-asynchronous",
    `The ${side} contract of stage "${definition.name}" is asynchronous, but its function is not: ` +
      "make it an async function, or mend the schema.",
  );
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const kind = typeof value;
  if ((kind !== "object" && kind !== "function") || value === null) return false;
  try {
    // What stands for something live takes it for the program's question.
    if (!hasStandIn(value as object) && value instanceof Promise) return true;
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false; // a getter or a Proxy that throws: whoever awaits the value will hear of it there
  }
}
