/** Tells what is live, and has a handle, from what is data, and is recorded as it is. Runs no getter. */
import { Readable } from "node:stream";
import { types } from "node:util";
import { Marker } from "../capsule/marker.js";
import { platformNameOf } from "../capsule/platform-values.js";
import { RecordedStream } from "../capsule/recorded-stream.js";
import { memberName } from "./live.js";

/** Methods of what is told of; more are called all the same. */
const MAXIMUM_METHODS = 256;
/** Data of so many parts is looked through before it is told with a handle. */
const MAXIMUM_PARTS = 20_000;
const MAXIMUM_DEPTH = 16;
const MAXIMUM_NAMESPACES = 3;

/**
 * Whether what an effect gave is live. `classes` are those that a replay makes again. `deep`: also for what lies in
 * plain objects, as in `tx.users.find`; for a result in general that would be too much, since many hold a function somewhere.
 */
export function isLive(value: object, classes: ReadonlySet<string>, deep = false): boolean {
  try {
    if (typeof value === "function") return true;
    if (Array.isArray(value)) return false;
    // What a Proxy has is known when it is asked for.
    if (types.isProxy(value)) return true;
    if (isBuiltIn(value)) return false;
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype || prototype === null) {
      return (
        ownMethods(value).length > 0 ||
        holdsStream(value) ||
        (deep && holdsMethods(value, MAXIMUM_NAMESPACES))
      );
    }
    return !classes.has(typeOf(value)) && methodsOf(value).length > 0;
  } catch {
    return false; // a Proxy that throws: whoever uses it will hear of it there
  }
}

/** Such as the head of a response, with its body. */
function holdsStream(value: object): boolean {
  return Object.keys(value).some((key) => {
    const part: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    return part instanceof Readable || part instanceof ReadableStream;
  });
}

/** Whether a plain object has a function of its own, or is made of such. */
function holdsMethods(value: object, depth: number): boolean {
  if (ownMethods(value).length > 0) return true;
  if (depth === 0) return false;
  return Object.keys(value).some((key) => {
    const part: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    if (typeof part !== "object" || part === null || types.isProxy(part)) return false;
    return Object.getPrototypeOf(part) === Object.prototype && holdsMethods(part, depth - 1);
  });
}

/** What streams have besides their items; what has other methods as well is more than a stream. */
const METHODS_OF_STREAMS: ReadonlySet<string> = new Set([
  "next",
  "return",
  "throw",
  "tee",
  "toReadableStream",
  "@@iterator",
  "@@asyncIterator",
  "@@asyncDispose",
  "@@dispose",
]);

/** Whether something that can be iterated is live all the same, such as a cursor: it is no generator or stream. */
export function isLiveIterable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    if (types.isProxy(value)) return !Array.isArray(value);
    // A body has more than a stream: `json()`, `text()`.
    if (value instanceof Readable) return methodsOf(value).includes("json");
    if (types.isGeneratorObject(value) || value instanceof ReadableStream) return false;
    if (value instanceof RecordedStream || value instanceof Response) return false;
    if (typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] !== "function") return false;
    if (Object.prototype.toString.call(value).endsWith("Generator]")) return false;
    // An iterator: whoever has it asks it, and not for another one.
    if (typeof (value as { next?: unknown }).next === "function") return true;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return false;
    return methodsOf(value).some((name) => !METHODS_OF_STREAMS.has(name));
  } catch {
    return false; // a getter that throws: whoever uses it will hear of it there
  }
}

/** What the library records as what it is, or can tell something of by itself. */
function isBuiltIn(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    value instanceof Error ||
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    value instanceof URL ||
    types.isBoxedPrimitive(value) ||
    types.isPromise(value) ||
    types.isGeneratorObject(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    value instanceof WeakRef ||
    value instanceof Marker ||
    value instanceof RecordedStream ||
    isOfLanguage(value) ||
    platformNameOf(value) !== undefined
  );
}

function isOfLanguage(value: object): boolean {
  const tag = Object.prototype.toString.call(value);
  return tag.startsWith("[object Temporal.") || tag.startsWith("[object Intl.");
}

/** The name of its class. */
export function typeOf(value: object): string {
  if (types.isProxy(value)) return "";
  for (
    let owner: object | null = value;
    owner !== null && !types.isProxy(owner); // one may have itself for its prototype
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    const made: unknown = Object.getOwnPropertyDescriptor(owner, "constructor")?.value;
    if (typeof made !== "function") continue;
    const name: unknown = Object.getOwnPropertyDescriptor(made, "name")?.value;
    return typeof name === "string" ? name : "";
  }
  return "";
}

/** The names of its methods, its own and those of its classes. */
export function methodsOf(value: object): readonly string[] {
  if (types.isProxy(value)) return [];
  const own = ownMethods(value);
  const inherited = methodsOfPrototype(Object.getPrototypeOf(value) as object | null);
  return own.length === 0 ? inherited : [...new Set([...own, ...inherited])].slice(0, MAXIMUM_METHODS);
}

const inheritedMethods = new WeakMap<object, readonly string[]>();

function methodsOfPrototype(prototype: object | null): readonly string[] {
  if (prototype === null || prototype === Object.prototype || prototype === Function.prototype) return [];
  if (types.isProxy(prototype)) return [];
  let names = inheritedMethods.get(prototype);
  if (names === undefined) {
    const inherited = methodsOfPrototype(Object.getPrototypeOf(prototype) as object | null);
    names = [...new Set([...ownMethods(prototype), ...inherited])].slice(0, MAXIMUM_METHODS);
    inheritedMethods.set(prototype, names);
  }
  return names;
}

function ownMethods(owner: object): string[] {
  const names: string[] = [];
  for (const key of Reflect.ownKeys(owner)) {
    if (key === "constructor" || key === "prototype") continue;
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (typeof descriptor?.value === "function") names.push(memberName(key));
  }
  return names;
}

/** Data that something live has itself, which is told with it. */
export function fieldsOf(value: object): [string, unknown][] {
  if (types.isProxy(value)) return [];
  const fields: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (descriptor !== undefined && "value" in descriptor && isData(descriptor.value)) {
      fields.push([key, descriptor.value]);
    }
  }
  return fields;
}

/** Whether a value is data through and through. */
function isData(value: unknown): boolean {
  let parts = 0;
  const look = (part: unknown, depth: number): boolean => {
    if (typeof part === "function" || typeof part === "symbol") return false;
    if (typeof part !== "object" || part === null) return true;
    parts += 1;
    if (depth > MAXIMUM_DEPTH || parts > MAXIMUM_PARTS) return false;
    if (types.isProxy(part)) return false;
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype === Date.prototype || ArrayBuffer.isView(part)) return true;
    if (prototype !== Object.prototype && prototype !== Array.prototype) return false;
    for (const key of Object.keys(part)) {
      const descriptor = Object.getOwnPropertyDescriptor(part, key);
      if (descriptor === undefined || !("value" in descriptor) || !look(descriptor.value, depth + 1))
        return false;
    }
    return true;
  };
  return look(value, 0);
}
