/**
 * Which call of which run the current code belongs to. The scope rides in the active OpenTelemetry
 * context where a context manager is registered, so that a process pays for one AsyncLocalStorage
 * and not for two; without one the library brings its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, context } from "@opentelemetry/api";
import type { StageCall } from "./stage-call.js";

/** Inside an effect: what happens there is the effect's own business, and replay will not come by. */
const SUSPENDED: unique symbol = Symbol("inside an effect");

/**
 * Made when a scope is opened and no context manager carries it. One for all instances: up to Node 22
 * each AsyncLocalStorage in a process slows down every `await` in it, for good.
 */
let fallback: AsyncLocalStorage<Context> | undefined;

export class Scopes {
  readonly #key = Symbol("hindcast scope");

  /** The innermost call, or undefined outside runs and inside effects. */
  active(): StageCall | undefined {
    const scope = this.context().getValue(this.#key);
    return scope === SUSPENDED ? undefined : (scope as StageCall | undefined);
  }

  /** Whether the current code is part of an effect. */
  suspended(): boolean {
    return this.context().getValue(this.#key) === SUSPENDED;
  }

  /** The active context, whoever carries it. */
  context(): Context {
    const active = context.active();
    if (fallback === undefined || active.getValue(this.#key) !== undefined) return active;
    return fallback.getStore() ?? active;
  }

  /** `context` with `call` as its scope. */
  with(base: Context, call: StageCall): Context {
    return base.setValue(this.#key, call);
  }

  /** Calls `body` in `scoped`. */
  run<T>(scoped: Context, body: () => T): T {
    return context.with(scoped, () => {
      if (context.active() === scoped) return body();
      if (fallback === undefined) fallback = new AsyncLocalStorage();
      return fallback.run(scoped, body);
    });
  }

  /** Calls `body` as the inside of an effect. */
  suspend<T>(body: () => T): T {
    return this.run(this.context().setValue(this.#key, SUSPENDED), body);
  }
}
