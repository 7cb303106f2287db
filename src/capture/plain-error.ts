import { types } from "node:util";

const NATIVE = new Set<unknown>([
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
]);

/**
 * A driver's error as plain data, to be recorded: an `Error` with its name, message, stack and fields. One of the
 * platform's own is recorded as it is.
 */
export function plainError(error: unknown): unknown {
  if (!types.isNativeError(error) || NATIVE.has(error.constructor)) return error;
  const plain = new Error(error.message);
  const { stack } = error;
  if (error.name !== "Error") own(plain, "name", error.name);
  own(plain, "stack", stack);
  for (const [key, value] of Object.entries(error)) {
    if (typeof value !== "function" && key !== "stack") own(plain, key, value, true);
  }
  if (error.cause !== undefined) own(plain, "cause", plainError(error.cause));
  return plain;
}

function own(target: object, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable });
}

/** What `plainError` made of a driver's error, as one of the class that it was. */
export function errorOf(plain: unknown, Class: { readonly prototype: object } | undefined): unknown {
  if (Class === undefined || !types.isNativeError(plain)) return plain;
  return Object.setPrototypeOf(plain, Class.prototype) as unknown;
}
