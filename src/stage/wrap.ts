/** Makes the function that stands for a stage, and finds the stage again by its function. */
import { HindcastError } from "../errors.js";
import type { Definition } from "./definition.js";
import type { Host } from "./host.js";
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
  // A method has no `prototype` of its own, as the functions that most stages are have none.
  const { wrapped } = {
    wrapped(this: unknown, ...input: unknown[]): unknown {
      return callStage(host, definition, body, this, input);
    },
  } as unknown as { wrapped: F };
  mirror(wrapped, body);
  entries.set(wrapped, { host, definition, body });
  return wrapped;
}

/** Gives `wrapped` the own properties of `original`, its name and length among them. */
export function mirror(wrapped: AnyFunction, original: AnyFunction): void {
  Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors<object>(original));
  Object.setPrototypeOf(wrapped, Object.getPrototypeOf(original) as object | null);
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
