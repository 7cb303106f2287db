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

/** Under which field the names of its class, and of those that it is made of, are recorded. */
const CLASS = "errorClass";

/**
 * A driver's error as plain data, to be recorded: an `Error` with its name, message, stack and fields, and the name of
 * its classes. One of the platform's own is recorded as it is.
 */
export function plainError(error: unknown): unknown {
  if (!isError(error) || NATIVE.has(error.constructor)) return error;
  const plain = new Error(error.message);
  own(plain, "stack", error.stack);
  if (error.name !== "Error") own(plain, "name", error.name);
  own(plain, CLASS, classNames(error), true);
  for (const [key, value] of Object.entries(error)) {
    if (typeof value !== "function" && key !== "stack") own(plain, key, plainError(value), true);
  }
  if (error.cause !== undefined) own(plain, "cause", plainError(error.cause));
  return plain;
}

/** Some drivers make their errors without the platform. */
function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

function own(target: object, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable });
}

/** From its own class up to the platform's. */
function classNames(error: object): string {
  const names: string[] = [];
  let prototype = Object.getPrototypeOf(error) as object | null;
  while (prototype !== null && !NATIVE.has(prototype.constructor)) {
    names.push(prototype.constructor.name);
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return names.join(" ");
}

/** What `plainError` made of a driver's error, as one of the nearest of its classes that is among `classes`. */
export function errorOf(plain: unknown, classes: Readonly<Record<string, unknown>>): unknown {
  if (!types.isNativeError(plain) || !Object.hasOwn(plain, CLASS)) return plain;
  const names = String(Reflect.get(plain, CLASS)).split(" ");
  Reflect.deleteProperty(plain, CLASS);
  const Class = names.map((name) => classes[name]).find((one) => typeof one === "function");
  if (Class === undefined) return plain;
  return Object.setPrototypeOf(plain, (Class as { prototype: object }).prototype) as unknown;
}
