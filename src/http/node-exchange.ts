/** What `node:http` has, where the process has loaded it or a replay needs it. */
import type * as Http from "node:http";
import type * as Net from "node:net";

/** Loaded when a request comes: a service without a server does not pay for it. */
export function nodeHttp(): typeof Http {
  return process.getBuiltinModule("node:http");
}

export function nodeNet(): typeof Net {
  return process.getBuiltinModule("node:net");
}

/** Own data of a request or response that somebody has put there, as far as it is plain. */
export function addedTo(object: object, own: ReadonlySet<string>): Record<string, unknown> {
  const added: Record<string, unknown> = {};
  for (const [key, { value, enumerable }] of Object.entries<TypedPropertyDescriptor<unknown>>(
    Object.getOwnPropertyDescriptors(object),
  )) {
    if (enumerable !== true || key.startsWith("_") || own.has(key)) continue;
    if (isData(value)) added[key] = value;
    else if (isBare(value)) added[key] = { ...value };
  }
  return added;
}

function isData(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function" && value !== undefined;
  if (ArrayBuffer.isView(value) || value instanceof Date || value instanceof URL) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || prototype === Array.prototype;
}

/** What parsers make in place of objects without a prototype: of a class that has nothing. */
function isBare(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || Object.getPrototypeOf(prototype) !== null) return false;
  return Reflect.ownKeys(prototype).every((key) => key === "constructor");
}
