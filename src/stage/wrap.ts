/** Makes the function that stands for a stage, and finds the stage again by its function. */
import { types } from "node:util";
import { HindcastError } from "../errors.js";
import { copyMetadata } from "./copy-metadata.js";
import type { Definition } from "./definition.js";
import type { Host } from "./host.js";
import { noteSource } from "./source-hash.js";
import { type AnyFunction, callStage } from "./stage.js";

/** What stands behind a wrapped function. */
export interface Entry {
  readonly host: Host;
  readonly definition: Definition;
  /** The function that was wrapped. */
  readonly body: AnyFunction;
}

/** Keyed by the function itself, so that a wrapped function has no property that the bare one has not. */
const entries = new WeakMap<object, Entry>();

/** The stage or pipeline behind a function, or undefined where it is not a wrapped one. */
export function entryOf(wrapped: unknown): Entry | undefined {
  return typeof wrapped === "function" ? entries.get(wrapped) : undefined;
}

/** `body`, wrapped as `definition`: the same `this`, `name`, `length` and own properties. */
export function wrapStage<F extends AnyFunction>(host: Host, definition: Definition, body: F): F {
  const wrapped = standIn(body, (self, input) => callStage(host, definition, body, self, input));
  entries.set(wrapped, { host, definition, body });
  noteSource(definition, body);
  return wrapped;
}

/**
 * A function in the place of `body` that does `call` when it is called. With `new` it is `body` itself:
 * what constructs is no stage.
 */
export function standIn<F extends AnyFunction>(
  body: F,
  call: (self: unknown, input: readonly unknown[]) => unknown,
): F {
  const made = substituteOf(body, call);
  copyMetadata(body, made);
  return made;
}

function substituteOf<F extends AnyFunction>(
  body: F,
  call: (self: unknown, input: readonly unknown[]) => unknown,
): F {
  const constructs = isConstructor(body);
  // A Proxy shows of itself what it likes, or nothing, and a bound function constructs without a `prototype`:
  // only a Proxy in front of it is like it.
  if (types.isProxy(body) || (constructs && !Object.hasOwn(body, "prototype"))) {
    return new Proxy(body, { apply: (_body, self, input: unknown[]) => call(self, input) });
  }
  const made = constructs ? constructible(body, call) : callable(call);
  Object.defineProperties(made, Object.getOwnPropertyDescriptors<object>(body));
  Object.setPrototypeOf(made, Object.getPrototypeOf(body) as object | null);
  return made as unknown as F;
}

/** A method has no `prototype` of its own, as the functions that most stages are have none. */
function callable(call: (self: unknown, input: readonly unknown[]) => unknown): object {
  const methods = {
    made(this: unknown, ...input: unknown[]): unknown {
      return call(this, input);
    },
  } as unknown as { readonly made: object };
  return methods.made;
}

function constructible(
  body: AnyFunction,
  call: (self: unknown, input: readonly unknown[]) => unknown,
): object {
  return function made(this: unknown, ...input: unknown[]): unknown {
    if (new.target === undefined) return call(this, input);
    return Reflect.construct(body, input, new.target === made ? body : new.target) as unknown;
  };
}

/** Whether `new` may be used with it; nothing of it is called. */
function isConstructor(body: AnyFunction): boolean {
  try {
    Reflect.construct(Object, [], body);
    return true;
  } catch {
    return false; // it is how the platform says so
  }
}

/** The name to go by: the given one, or the function's own. Throws `invalid-options` where there is neither. */
export function nameOf(given: string | undefined, body: AnyFunction | undefined, what: string): string {
  const name = given ?? body?.name ?? "";
  if (typeof name !== "string" || name === "") {
    throw new HindcastError(
      "invalid-options",
      `A ${what} without a name: give \`name\`, or a function that has one.`,
    );
  }
  return name;
}

export function mustBeFunction(body: unknown, name: string, what: string): asserts body is AnyFunction {
  if (typeof body !== "function") {
    const kind = body === null ? "null" : typeof body;
    throw new HindcastError("invalid-options", `The ${what} "${name}" wraps ${kind}; give it a function.`);
  }
}
