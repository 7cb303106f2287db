/**
 * Which call of which run the current code belongs to. The scope rides in the active OpenTelemetry
 * context where a context manager is registered, so that a process pays for one AsyncLocalStorage
 * and not for two; without one the library brings its own.
 *
 * There is one scope for all instances: a call of one instance within a run of another has that other
 * call as its `outer`, and each instance sees the innermost call that is its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import { withScope } from "./scoped-context.js";
import type { StageCall } from "./stage-call.js";

/** Inside an effect: what happens there is the effect's own business, and replay will not come by. */
const SUSPENDED: unique symbol = Symbol("inside an effect");
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
  if (scope !== undefined && scope !== SUSPENDED) (scope as StageCall).run.report("listener", error);
}

/** The innermost call of any instance, or undefined outside runs and inside effects. */
export function activeCall(active: Context = activeContext()): StageCall | undefined {
  const scope = active.getValue(KEY);
  return scope === SUSPENDED ? undefined : (scope as StageCall | undefined);
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

/** Whether the current code is part of an effect. */
export function isSuspended(active: Context = activeContext()): boolean {
  return active.getValue(KEY) === SUSPENDED;
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

/** Calls `body` as the inside of an effect. */
export function suspend<T>(body: () => T): T {
  return runIn(withScope(activeContext(), KEY, SUSPENDED), body);
}
