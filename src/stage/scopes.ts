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
  const active = context.active();
  if (fallback === undefined || active.getValue(KEY) !== undefined) return active;
  return fallback.getStore() ?? active;
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

/** Calls `body` in `scoped`. */
export function runIn<T>(scoped: Context, body: () => T): T {
  return context.with(scoped, () => {
    if (context.active() === scoped) return body();
    if (fallback === undefined) fallback = new AsyncLocalStorage();
    return fallback.run(scoped, body);
  });
}

/** Calls `body` outside of every run, so that what it sets off belongs to none and keeps none alive. */
export function detached<T>(body: () => T): T {
  return context.with(ROOT_CONTEXT, () =>
    fallback === undefined ? body() : fallback.run(ROOT_CONTEXT, body),
  );
}

/** Calls `body` as the inside of an effect. */
export function suspend<T>(body: () => T): T {
  return runIn(withScope(activeContext(), KEY, SUSPENDED), body);
}
