/**
 * Finds in what a stage gave the places whose state no record can hold, so that two of them may differ and look the same.
 * It looks as the recorder does: without running anybody's getter.
 */
import { types } from "node:util";
import { platformNameOf } from "../capsule/platform-values.js";
import { RecordedHandle, standInOf } from "../capsule/recorded-handle.js";
import { RecordedStream } from "../capsule/recorded-stream.js";
import { streamKindOf } from "../streams/stream-kind.js";

export interface HiddenState {
  readonly path: readonly (string | number)[];
  /** What is there: `a function`, `the private fields of Money`. */
  readonly what: string;
}

/** Where, and in what a stage gave. */
export interface HiddenOutput extends HiddenState {
  readonly stage: string;
}

/** What is looked at of one value; beyond that it is taken for seen, as is what is cut off. */
const MOST_OBJECTS = 10_000;

/** The first such place in `value`; undefined where all of it is in the record. */
export function hiddenStateIn(value: unknown): HiddenState | undefined {
  const seen = new Set<object>();
  const path: (string | number)[] = [];
  const at = (what: string): HiddenState => ({ path: [...path], what });
  const within = (key: string | number, part: unknown): HiddenState | undefined => {
    if (typeof part !== "object" && typeof part !== "function") return undefined;
    path.push(key);
    const found = look(part);
    path.pop();
    return found;
  };
  const look = (part: unknown): HiddenState | undefined => {
    if (typeof part === "function") {
      return standInOf(part) === undefined ? at("a function") : undefined;
    }
    if (typeof part !== "object" || part === null || seen.has(part) || seen.size > MOST_OBJECTS)
      return undefined;
    seen.add(part);
    if (standInOf(part) !== undefined || types.isProxy(part)) return undefined;
    const platform = platformNameOf(part);
    if (platform === "Blob" || platform === "File") return at(`the content of a ${platform}`);
    // Items of a stream are compared one by one as they are read.
    if (platform !== undefined || part instanceof URL || streamKindOf(part) !== undefined) return undefined;
    return hiddenOf(part, at) ?? properties(part) ?? entries(part);
  };
  const properties = (holder: object): HiddenState | undefined => {
    if (ArrayBuffer.isView(holder)) return undefined;
    const isError = types.isNativeError(holder);
    for (const key of Reflect.ownKeys(holder)) {
      // To look at a stack is to write it out.
      if (isError && key === "stack") continue;
      const property = Object.getOwnPropertyDescriptor(holder, key);
      if (property === undefined) continue;
      // By convention a package's own machinery, such as the parsers that a row came through: what it gives is beside it.
      if (typeof key === "string" && key.startsWith("_")) continue;
      if (typeof key === "symbol" && Symbol.keyFor(key) === undefined) {
        return at(`a property of key ${String(key)}`);
      }
      if (property.get !== undefined || property.set !== undefined) {
        if (!isStandIn(property)) return at(`a getter "${String(key)}"`);
        continue;
      }
      const isElement = Array.isArray(holder) && /^(?:0|[1-9]\d*)$/u.test(String(key));
      const found = within(isElement ? Number(key) : String(key), property.value);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const entries = (holder: object): HiddenState | undefined => {
    if (types.isMap(holder)) {
      let index = 0;
      for (const [key, item] of Map.prototype.entries.call(holder) as IterableIterator<[unknown, unknown]>) {
        const place = typeof key === "string" ? key : index++;
        const found = within(place, key) ?? within(place, item);
        if (found !== undefined) return found;
      }
    } else if (types.isSet(holder)) {
      let index = 0;
      for (const item of Set.prototype.values.call(holder) as IterableIterator<unknown>) {
        const found = within(index++, item);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  };
  try {
    return look(value);
  } catch {
    return undefined; // what cannot be looked at is a mark in the record as well, of the same place
  }
}

/** What an object holds besides its properties and entries, where a record does not have that. */
function hiddenOf(value: object, at: (what: string) => HiddenState): HiddenState | undefined {
  if (types.isPromise(value)) return at("a promise");
  if (types.isBoxedPrimitive(value)) return at("a boxed primitive");
  if (types.isSharedArrayBuffer(value)) return at("a SharedArrayBuffer");
  if (types.isWeakMap(value) || types.isWeakSet(value)) return at("a weak collection");
  if (value instanceof RecordedStream || value instanceof RecordedHandle) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype || prototype === Array.prototype) return undefined;
  // What is recorded of a class that nobody knows is all that it can be compared by, and it is from the record.
  if (types.isProxy(prototype)) return undefined;
  return hiddenByClass(prototype, at);
}

/** Whether a getter stands for something that is not in the record. */
function isStandIn(property: { readonly get?: unknown }): boolean {
  return typeof property.get === "function" && standInOf(property.get) !== undefined;
}

/** By prototype: what its instances hide, or `""`. */
const hidden = new WeakMap<object, string>();

function hiddenByClass(prototype: object, at: (what: string) => HiddenState): HiddenState | undefined {
  let what = hidden.get(prototype);
  if (what === undefined) hidden.set(prototype, (what = whatIsHidden(prototype)));
  return what === "" ? undefined : at(what);
}

function whatIsHidden(prototype: object): string {
  for (
    let owner: object | null = prototype;
    owner !== null && owner !== Object.prototype && !types.isProxy(owner);
  ) {
    const constructor: unknown = Object.getOwnPropertyDescriptor(owner, "constructor")?.value;
    if (
      typeof constructor !== "function" ||
      Object.getOwnPropertyDescriptor(constructor, "prototype")?.value !== owner
    ) {
      return "what it inherits from an object";
    }
    const name: unknown = Object.getOwnPropertyDescriptor(constructor, "name")?.value;
    if (!SEEN_WHOLE.has(constructor)) {
      const source = Function.prototype.toString.call(constructor);
      const className = typeof name === "string" && name !== "" ? name : "its class";
      if (source.endsWith("{ [native code] }")) return `the state of ${className}`;
      if (PRIVATE.test(source)) return `the private fields of ${className}`;
    }
    owner = Object.getPrototypeOf(owner) as object | null;
  }
  return "";
}

/** A private field is declared at the start of a line, of the class, or behind another member. */
const PRIVATE = /[{;}\s]#[\p{ID_Start}$_]/u;

/** Classes of the platform whose state is in a record. */
const SEEN_WHOLE: ReadonlySet<unknown> = new Set<unknown>([
  ...[Array, Date, Map, Set, RegExp, URL, ArrayBuffer, DataView, Buffer, DOMException],
  ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError],
  ...[Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array, BigUint64Array, Int8Array, Int16Array],
  ...[Int32Array, BigInt64Array, Float32Array, Float64Array, Object.getPrototypeOf(Uint8Array)],
  (globalThis as { Float16Array?: unknown }).Float16Array,
]);
