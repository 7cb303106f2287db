/**
 * Which call of which run the current code belongs to. The scope rides in the active OpenTelemetry
 * context where a context manager is registered, so that a process pays for one AsyncLocalStorage
 * and not for two; without one the library brings its own.
 *
 * There is one scope for all instances: a call of one instance within a run of another has that other
 * call as its `outer`, and each instance sees the innermost call that is its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { types } from "node:util";
import { type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Run } from "./run.js";
import { withScope } from "./scoped-context.js";
import type { StageCall } from "./stage-call.js";

/**
 * The scope inside an effect: what happens there is the effect's own business, and replay will not come by. What an
 * effect has begun (a subscription, a timer, a connection) may go on for as long as the process does. It is inside
 * until the effect has settled, or its run has ended without waiting for it; then it belongs to nothing.
 */
class Suspension {
  /** The run, until then: what outlives an effect holds no run alive. */
  #run: Run | undefined;
  readonly replaying: boolean;

  constructor(run: Run | undefined) {
    this.#run = run;
    this.replaying = run?.conductor?.replaying === true;
  }

  get open(): boolean {
    if (this.#run?.closed === true) this.#run = undefined;
    return this.#run !== undefined;
  }

  settle(): void {
    this.#run = undefined;
  }
}
/** Not `createContextKey`, which gives two copies of this package the same key. */
const KEY = Symbol("hindcast scope");

/** Under which OpenTelemetry's SDK notes that its own work goes on, which is not to be traced. */
const SUPPRESS_TRACING = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/**
 * Made when a scope is opened and no context manager carries it. One for all instances: up to Node 22
 * each AsyncLocalStorage in a process slows down every `await` in it, for good.
 */
let fallback: AsyncLocalStorage<Context> | undefined;

/** The active context, whoever carries it. */
export function activeContext(): Context {
  const active = managedContext() ?? ROOT_CONTEXT;
  if (fallback === undefined || active.getValue(KEY) !== undefined) return active;
  return fallback.getStore() ?? active;
}

/** What the registered context manager calls active; undefined where it throws. */
function managedContext(): Context | undefined {
  try {
    return context.active();
  } catch {
    return undefined; // told for each scope that is opened, and not wherever somebody looks for one
  }
}

/** Tells the instance whose scope it is of a context manager that has failed. */
function reportOf(scoped: Context, error: unknown): void {
  const scope = scoped.getValue(KEY);
  if (scope !== undefined && !(scope instanceof Suspension))
    (scope as StageCall).run.report("listener", error);
}

/** The innermost call of any instance, or undefined outside runs and inside effects. */
export function activeCall(active: Context = activeContext()): StageCall | undefined {
  const scope = active.getValue(KEY);
  return scope instanceof Suspension ? undefined : (scope as StageCall | undefined);
}

/** The innermost call of the given instance. */
export function activeCallOf(owner: object, active?: Context): StageCall | undefined {
  let call = activeCall(active);
  while (call !== undefined && call.run.owner !== owner) call = call.outer;
  return call;
}

/**
 * What a new call is made in, of whichever instance. Calls whose run is over are passed by: a pipeline that starts itself
 * again from a timer would otherwise hold on to every run before it.
 */
export function outerCall(active?: Context): StageCall | undefined {
  let call = activeCall(active);
  while (call?.run.closed === true) call = call.outer;
  return call;
}

/** Whether the current code is part of an effect that has not settled, or of what one has begun in a replay. */
export function isSuspended(active: Context = activeContext()): boolean {
  const scope = active.getValue(KEY);
  // What was performed for a replay has no part in the world that goes on beside it.
  return scope instanceof Suspension && (scope.replaying || scope.open);
}

/** Whether the current code is telemetry's own work, an exporter's say: no part of the program, whatever its scope. */
export function isSuppressed(): boolean {
  return activeContext().getValue(SUPPRESS_TRACING) === true;
}

/** `base` with `call` as its scope. */
export function withCall(base: Context, call: StageCall): Context {
  return withScope(base, KEY, call);
}

/** Calls `body` in `scoped`: once, whatever the registered context manager does, which is somebody else's and may throw. */
export function runIn<T>(scoped: Context, body: () => T): T {
  let begun = false;
  let ended: { readonly value: T } | undefined;
  try {
    return context.with(scoped, () => {
      begun = true;
      const value = isActive(scoped) ? body() : runInOwn(scoped, body);
      ended = { value };
      return value;
    });
  } catch (error) {
    // The body's own; or no stack is left, and then none is for the body either.
    if (ended === undefined && (begun || error instanceof RangeError)) throw error;
    reportOf(scoped, error);
    return ended === undefined ? runInOwn(scoped, body) : ended.value;
  }
}

function isActive(scoped: Context): boolean {
  try {
    return context.active() === scoped;
  } catch (error) {
    reportOf(scoped, error);
    return false;
  }
}

function runInOwn<T>(scoped: Context, body: () => T): T {
  if (fallback === undefined) fallback = new AsyncLocalStorage();
  return fallback.run(scoped, body);
}

/** Calls `body` outside of every run, so that what it sets off belongs to none and keeps none alive. */
export function detached<T>(body: () => T): T {
  return runIn(ROOT_CONTEXT, () => (fallback === undefined ? body() : fallback.run(ROOT_CONTEXT, body)));
}

/**
 * Calls `body` as the inside of an effect, which has settled when what `body` returns has. `atOnce`: what is no promise
 * has settled by then; otherwise the effect may still end in a callback.
 */
export function suspend<T>(body: () => T, atOnce = false): T {
  const active = activeContext();
  const scope = active.getValue(KEY);
  // What an effect calls is inside of that one, however long it takes itself.
  if (scope instanceof Suspension) return body();
  const suspension = new Suspension((scope as StageCall | undefined)?.run);
  const settle = (): void => suspension.settle();
  let result: T;
  try {
    result = runIn(withScope(active, KEY, suspension), body);
  } catch (error) {
    settle();
    throw error;
  }
  // One of a class of its own may begin its work when it is asked for its result, and is not asked here.
  if (types.isPromise(result) && Object.getPrototypeOf(result) === Promise.prototype) {
    void Promise.prototype.then.call(result, settle, settle);
  } else if (atOnce) settle();
  return result;
}
