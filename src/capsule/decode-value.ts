/**
 * Reads values back. The bytes are read by cborg, which knows nothing of this library: whatever
 * it accepts is plain CBOR. Only the meaning of the tags is added here.
 *
 * Invariants
 * 1. Hostile bytes give a `capsule-damaged` error and nothing else.
 * 2. A key named `__proto__` is an own property, never a prototype.
 */
import type { DecodeOptions, TagDecoder } from "cborg";
import { HindcastError } from "../errors.js";
import { formatPath } from "../json-path.js";
import { decodeItem } from "./decode-item.js";
import { HOLE, IS_HIDDEN, IS_SYMBOL, NAMED, TYPED_ARRAY_NAMES, type TypedArrayName } from "./copy-nodes.js";
import { TAG, TYPED_ARRAY_TAG } from "./encode-value.js";
import { isMarkerReason, Marker } from "./marker.js";
import { tellingMissing, tellingPrototype, type TellMissing } from "./missing-parts.js";
import { RecordedHandle } from "./recorded-handle.js";
import { isExchangeKind, isStreamKind, RecordedStream } from "./recorded-stream.js";
import {
  reviveAbortSignal,
  reviveBlob,
  reviveFile,
  reviveFormData,
  reviveHeaders,
  reviveRequest,
  reviveResponse,
  reviveSearchParams,
} from "./revive-platform.js";
import { setOwn } from "./snapshot.js";

/** A class whose instances a capsule may hold. */
export type RecordableClass = abstract new (...args: never[]) => object;

/** Classes by name, for giving recorded instances and errors their prototype back. */
export type ClassTable = ReadonlyMap<string, RecordableClass>;

/** A place whose value was still being read when it was referred to: a cycle, mended at the end. */
class Unfinished {
  readonly number: number;
  constructor(number: number) {
    this.number = number;
  }
}

/** A signal that is to abort. */
interface Abort {
  readonly abort: (reason: unknown) => void;
  readonly reason: unknown;
}

/**
 * The value of `bytes`. Where `tell` is given, it is told of each missing part that somebody reads; otherwise markers
 * stand there. Throws `capsule-damaged` where the bytes are not what this library writes.
 */
export function decodeValue(
  bytes: Uint8Array,
  classes: ClassTable = NO_CLASSES,
  tell?: TellMissing,
): unknown {
  const simple = decodeSimple(bytes);
  if (simple !== NOT_SIMPLE) return simple;
  if (isPrimitive(bytes)) return decodePlain(bytes);
  const shared: unknown[] = [];
  // Holes and the ends of cycles can only be put right once the whole value is there, and a signal
  // aborts for good: with its reason as it is then.
  let unfinished = false;
  let misses = false;
  const aborts: Abort[] = [];
  const tags = createTags({
    classes,
    aborts,
    tell,
    onHole: () => {
      unfinished = true;
    },
    onMarker: () => {
      misses = true;
    },
  });
  tags[TAG.shareable] = (content) => {
    const number = shared.push(undefined) - 1;
    shared[number] = new Unfinished(number);
    const value: unknown = content();
    shared[number] = value;
    return value;
  };
  tags[TAG.sharedReference] = (content) => {
    const number: unknown = content();
    if (typeof number !== "number" || number >= shared.length) throw new RangeError("a reference to nothing");
    const value = shared[number];
    if (value instanceof Unfinished) unfinished = true;
    return value;
  };
  try {
    const value: unknown = decodeItem(bytes, decodeOptions(tags));
    const visited = new Set<object>();
    const finished = unfinished ? finish(value, shared, visited) : value;
    for (const { abort, reason } of aborts) abort(unfinished ? finish(reason, shared, visited) : reason);
    return misses && tell !== undefined ? tellingMissing(finished, tell, formatPath) : finished;
  } catch (cause) {
    throw damagedValue(cause);
  }
}

const NO_CLASSES: ClassTable = new Map();
/** What `decodeSimple` gives where there is more to read. */
export const NOT_SIMPLE: unique symbol = Symbol("not simple");
/** Of the initial bytes of `false`, `true`, `null` and `undefined`. */
const SIMPLE = [false, true, null, undefined];
const FALSE = 0xf4;
const FLOAT_64 = 0xfb;

/** The commonest results of effects, which are read while a replay goes on: numbers, and those that are one byte. */
export function decodeSimple(bytes: Uint8Array): unknown {
  const initial = bytes[0] ?? 0xff;
  if (bytes.byteLength === 1) {
    if (initial < 24) return initial;
    return initial >= FALSE && initial < FALSE + SIMPLE.length ? SIMPLE[initial - FALSE] : NOT_SIMPLE;
  }
  if (initial === 24 && bytes.byteLength === 2) return bytes[1];
  if (initial === 25 && bytes.byteLength === 3) return ((bytes[1] as number) << 8) | (bytes[2] as number);
  if (initial === FLOAT_64 && bytes.byteLength === 9) {
    for (let index = 0; index < 8; index++) DOUBLE_BYTES[index] = bytes[index + 1] as number;
    return DOUBLE.getFloat64(0);
  }
  return NOT_SIMPLE;
}

const DOUBLE_BYTES = new Uint8Array(8);
const DOUBLE = new DataView(DOUBLE_BYTES.buffer);

/** What has no parts needs no tags either. */
function isPrimitive(bytes: Uint8Array): boolean {
  const major = (bytes[0] ?? 0) >> 5;
  return (
    major === MAJOR_UNSIGNED || major === MAJOR_NEGATIVE || major === MAJOR_TEXT || major === MAJOR_SIMPLE
  );
}

function decodePlain(bytes: Uint8Array): unknown {
  try {
    return decodeItem(bytes, PLAIN);
  } catch (cause) {
    throw damagedValue(cause);
  }
}

function damagedValue(cause: unknown): HindcastError {
  return new HindcastError(
    "capsule-damaged",
    "A value of the capsule cannot be read: its bytes are damaged.",
    { cause },
  );
}

/** Tags in the library's own tables: text that has no UTF-8, and nothing else. */
export const TEXT_TAGS: NonNullable<DecodeOptions["tags"]> = {
  [TAG.namedObject]: (content) => {
    const [name, bytes] = content() as unknown[];
    if (name !== NAMED.utf16) throw new TypeError("not a text");
    return utf16(bytes);
  },
};

/** How this library reads CBOR, with the given meaning for tags. */
export function decodeOptions(tags: NonNullable<DecodeOptions["tags"]>): DecodeOptions {
  return {
    allowBigInt: true,
    allowIndefinite: false,
    allowUndefined: true,
    tags,
    rejectDuplicateMapKeys: true,
  };
}

const [MAJOR_UNSIGNED, MAJOR_NEGATIVE, MAJOR_TEXT, MAJOR_SIMPLE] = [0, 1, 3, 7];
const PLAIN = decodeOptions({});

/** What making a value of an item takes. */
interface Decoding {
  readonly classes: ClassTable;
  readonly aborts: Abort[];
  readonly tell: TellMissing | undefined;
  readonly onHole: () => void;
  readonly onMarker: () => void;
}

function createTags(decoding: Decoding): TagDecoder[] {
  const tags: TagDecoder[] = [];
  tags[TAG.epochTime] = (content) => new Date(Math.round((content() as number) * 1000));
  tags[TAG.extendedTime] = (content) => {
    const parts = new Map(content.entries() as Iterable<[unknown, number]>);
    return new Date((parts.get(1) ?? Number.NaN) * 1000 + (parts.get(-3) ?? 0));
  };
  tags[TAG.unsignedBignum] = (content) => bigintOf(content() as Uint8Array);
  tags[TAG.negativeBignum] = (content) => -1n - bigintOf(content() as Uint8Array);
  tags[TAG.uri] = (content) => new URL(content() as string);
  tags[TAG.set] = (content) => new Set(content() as unknown[]);
  tags[TAG.map] = (content) => new Map(content.entries() as Iterable<[unknown, unknown]>);
  for (const name of TYPED_ARRAY_NAMES) {
    tags[TYPED_ARRAY_TAG[name]] = (content) => typedArray(name, content() as Uint8Array);
  }
  tags[TAG.namedObject] = (content) => namedObject(content() as unknown[], decoding);
  return tags;
}

function namedObject(parts: unknown[], decoding: Decoding): unknown {
  const [name, first, second, third, fourth] = parts;
  switch (name) {
    case NAMED.marker:
      if (!isMarkerReason(first)) throw new TypeError("a marker without a reason");
      decoding.onMarker();
      return new Marker(first, second as string, third as number | undefined, fourth);
    case NAMED.hole:
      decoding.onHole();
      return HOLE;
    case NAMED.utf16:
      return utf16(first);
    case NAMED.fields:
      return pairs(first as unknown[]);
    case NAMED.regExp: {
      const expression = new RegExp(first as string, second as string);
      expression.lastIndex = third as number;
      return expression;
    }
    case NAMED.buffer:
      return Buffer.from(exactBuffer(first as Uint8Array));
    case NAMED.dataView:
      return new DataView(exactBuffer(first as Uint8Array));
    case NAMED.arrayBuffer:
      return exactBuffer(first as Uint8Array);
    case NAMED.error:
      return reviveError(first as string, second as Record<string, unknown>, decoding);
    case NAMED.instance:
      return reviveInstance(first as string, second as Record<string, unknown>, decoding);
    case NAMED.headers:
      return reviveHeaders(first as [string, unknown][]);
    case NAMED.formData:
      return reviveFormData(first as [string, unknown][]);
    case NAMED.searchParams:
      return reviveSearchParams(first as [string, unknown][]);
    case NAMED.blob:
      return reviveBlob(first, second as string);
    case NAMED.file:
      return reviveFile(first, second as string, third as string, fourth as number);
    case NAMED.request:
      return reviveRequest(first as Record<string, unknown>);
    case NAMED.response:
      return reviveResponse(first as Record<string, unknown>);
    case NAMED.abortSignal: {
      const { signal, abort } = reviveAbortSignal();
      if (first === true) decoding.aborts.push({ abort, reason: second });
      return signal;
    }
    case NAMED.stream:
      if (!isStreamKind(first) && !isExchangeKind(first)) throw new TypeError("a stream of no kind");
      return new RecordedStream(first, second as Record<string, unknown>);
    case NAMED.extended:
      return extend(first as string, second, third as unknown[][], decoding.classes);
    case NAMED.handle:
      return handleFrom(parts.slice(1));
    default:
      throw new TypeError("an object of an unknown name");
  }
}

function handleFrom([number, name, type, methods, fields]: unknown[]): RecordedHandle {
  if (typeof number !== "number" || typeof name !== "string") throw new TypeError("a handle of no effect");
  if (type === undefined) return new RecordedHandle(number, name);
  if (typeof type !== "string" || !Array.isArray(methods)) throw new TypeError("a handle of no class");
  return new RecordedHandle(number, name, type, methods as string[], fields as Record<string, unknown>);
}

const BUILT_IN_ERRORS: Readonly<Record<string, ErrorConstructor>> = {
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError: AggregateError as unknown as ErrorConstructor,
};

function reviveError(type: string, fields: Record<string, unknown>, { classes, tell }: Decoding): Error {
  if (type === "DOMException") {
    const { message, name, ...rest } = fields;
    const exception = new DOMException(textOf(message), textOf(name));
    for (const [key, value] of Object.entries(rest))
      Object.defineProperty(exception, key, {
        value,
        writable: true,
        enumerable: key !== "cause",
        configurable: true,
      });
    return exception;
  }
  const builtIn = Object.hasOwn(BUILT_IN_ERRORS, type) ? BUILT_IN_ERRORS[type] : undefined;
  // Made by Error itself, so that it is a native error with a stack; the class comes by its prototype.
  const error = new Error();
  const prototype = builtIn?.prototype ?? (classes.get(type)?.prototype as object | undefined);
  const unknown = tell === undefined ? Error.prototype : tellingPrototype(type, Error.prototype, tell);
  Object.setPrototypeOf(error, prototype ?? unknown);
  for (const [key, value] of Object.entries(fields)) {
    const hidden = key === "message" || key === "cause" || key === "errors";
    Object.defineProperty(error, key, { value, writable: true, enumerable: !hidden, configurable: true });
  }
  if (prototype === undefined && !Object.hasOwn(fields, "name")) {
    Object.defineProperty(error, "name", {
      value: type,
      writable: true,
      enumerable: false,
      configurable: true,
    });
  }
  // The stack of this function would mislead; where it was thrown is in the capsule, beside the value.
  const message = fields["message"];
  error.stack = `${type}${typeof message === "string" && message !== "" ? `: ${message}` : ""}\n    at <recorded>`;
  return error;
}

/** Gives a value its class, where it is of one that is listed, and its further properties. */
function extend(type: string, base: unknown, properties: unknown[][], classes: ClassTable): unknown {
  if (typeof base !== "object" || base === null) throw new TypeError("properties of nothing");
  const prototype = classes.get(type)?.prototype as object | undefined;
  if (prototype !== undefined) Object.setPrototypeOf(base, prototype);
  for (const [key, flags, value] of properties as [string, number, unknown][]) {
    const name = (flags & IS_SYMBOL) !== 0 ? Symbol.for(key) : key;
    const enumerable = (flags & IS_HIDDEN) === 0;
    Object.defineProperty(base, name, { value, writable: true, enumerable, configurable: true });
  }
  return base;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function reviveInstance(type: string, fields: Record<string, unknown>, { classes, tell }: Decoding): object {
  if (type === "") return Object.setPrototypeOf(fields, null) as object;
  const known = classes.get(type)?.prototype as object | undefined;
  const unknown = tell && tellingPrototype(type, Object.prototype, tell);
  const prototype = known ?? unknown;
  return prototype === undefined ? fields : (Object.setPrototypeOf(fields, prototype) as object);
}

function pairs(list: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (let index = 0; index + 1 < list.length; index += 2)
    setOwn(fields, list[index] as string, list[index + 1]);
  return fields;
}

const TYPED_ARRAYS = globalThis as unknown as Readonly<
  Record<TypedArrayName, (new (buffer: ArrayBuffer) => ArrayBufferView) | undefined>
>;

function typedArray(name: TypedArrayName, bytes: Uint8Array): ArrayBufferView {
  const constructor = TYPED_ARRAYS[name];
  if (constructor === undefined) throw new TypeError(`this Node has no ${name}`);
  return new constructor(exactBuffer(bytes));
}

function utf16(bytes: unknown): string {
  return Buffer.from(exactBuffer(bytes as Uint8Array)).toString("utf16le");
}

/** An aligned buffer of just these bytes, which no other value shares. */
function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  if (!(bytes instanceof Uint8Array)) throw new TypeError("a typed array without bytes");
  return new Uint8Array(bytes).buffer;
}

function bigintOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(exactBuffer(bytes)).toString("hex")}`);
}

/** Turns holes back into empty slots, and the ends of cycles into what they stand for. */
function finish(value: unknown, shared: readonly unknown[], visited: Set<object>): unknown {
  const visit = (part: unknown): unknown => {
    if (part instanceof Unfinished) return shared[part.number];
    if (typeof part !== "object" || part === null || visited.has(part)) return part;
    visited.add(part);
    if (Array.isArray(part)) {
      for (let index = 0; index < part.length; index++) {
        const item: unknown = part[index];
        if (item === HOLE) Reflect.deleteProperty(part, index);
        else if (typeof item === "object" && item !== null) part[index] = visit(item);
      }
    } else if (part instanceof Map) {
      const entries = [...part].map(([key, item]) => [visit(key), visit(item)] as const);
      part.clear();
      for (const [key, item] of entries) part.set(key, item);
    } else if (part instanceof Set) {
      const items = [...part].map(visit);
      part.clear();
      for (const item of items) part.add(item);
    } else if (!ArrayBuffer.isView(part)) {
      for (const key of Object.getOwnPropertyNames(part)) {
        const field: unknown = (part as Record<string, unknown>)[key];
        if (typeof field === "object" && field !== null) {
          const finished = visit(field);
          if (finished !== field) {
            const descriptor = Object.getOwnPropertyDescriptor(part, key) as PropertyDescriptor;
            Object.defineProperty(part, key, { ...descriptor, value: finished });
          }
        }
      }
    }
    return part;
  };
  return visit(value);
}
