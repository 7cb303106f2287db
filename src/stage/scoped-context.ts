import type { Context } from "@opentelemetry/api";

/** The key of the active span, which `@opentelemetry/api` makes of this name. With another one spans are kept as any other value. */
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

/**
 * A context that holds a scope and a span beside those of another context. The API's own copies all it holds
 * for each value that is set; each call sets these two, and needs them to be cheap.
 */
export class ScopedContext implements Context {
  readonly #base: Context;
  readonly #key: symbol;
  readonly #scope: unknown;
  readonly #span: unknown;

  constructor(base: Context, key: symbol, scope: unknown, span: unknown) {
    this.#base = base;
    this.#key = key;
    this.#scope = scope;
    this.#span = span;
  }

  getValue(key: symbol): unknown {
    if (key === this.#key) return this.#scope;
    return key === SPAN ? this.#span : this.#base.getValue(key);
  }

  setValue(key: symbol, value: unknown): Context {
    if (key === this.#key) return new ScopedContext(this.#base, key, value, this.#span);
    if (key === SPAN) return new ScopedContext(this.#base, this.#key, this.#scope, value);
    return new ScopedContext(this.#base.setValue(key, value), this.#key, this.#scope, this.#span);
  }

  deleteValue(key: symbol): Context {
    if (key === this.#key || key === SPAN) return this.setValue(key, undefined);
    return new ScopedContext(this.#base.deleteValue(key), this.#key, this.#scope, this.#span);
  }
}

/** `base` with `scope` under `key`. */
export function withScope(base: Context, key: symbol, scope: unknown): Context {
  return base instanceof ScopedContext
    ? base.setValue(key, scope)
    : new ScopedContext(base, key, scope, base.getValue(SPAN));
}
