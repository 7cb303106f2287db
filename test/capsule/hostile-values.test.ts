/**
 * Values made to break whoever looks at them. Whatever they are: no throw, nothing of them changed,
 * a copy within its limits, in bounded time, that encodes and decodes.
 */
import { createReadStream } from "node:fs";
import { Socket } from "node:net";
import { Readable } from "node:stream";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue } from "../../src/capsule/decode-value.js";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/capsule/limits.js";
import { Marker } from "../../src/capsule/marker.js";
import { RecordedStream } from "../../src/capsule/recorded-stream.js";
import { type Snapshot, takeSnapshot } from "../../src/capsule/snapshot.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const RUNS = isLong ? 30_000 : 2_500;

const SMALL: Limits = { depth: 24, entries: 300, valueBytes: 20_000, capsuleBytes: 100_000 };
/** What a copy may be over `valueBytes`: the last entry, and the markers on the way out of it. */
const SLACK = 8 * 1024;
/** UTF-8 takes up to 3 bytes for what counts as 1, a marker up to some 60 for what counts as 9. */
const ENCODED_FACTOR = 8;

interface Examined {
  readonly snapshot: Snapshot;
  readonly bytes: Uint8Array;
  readonly decoded: unknown;
  readonly milliseconds: number;
}

function examine(value: unknown, limits: Limits = DEFAULT_LIMITS): Examined {
  const begun = performance.now();
  const snapshot = takeSnapshot(value, limits);
  const milliseconds = performance.now() - begun;
  const bytes = encodeValue(snapshot);
  const decoded = decodeValue(bytes);
  if (snapshot.size > limits.valueBytes + SLACK) {
    throw new Error(`a copy of ${snapshot.size} bytes where ${limits.valueBytes} are allowed`);
  }
  if (bytes.byteLength > ENCODED_FACTOR * (limits.valueBytes + SLACK)) {
    throw new Error(`${bytes.byteLength} encoded bytes of a copy said to be of ${snapshot.size}`);
  }
  return { snapshot, bytes, decoded, milliseconds };
}

function explode(): never {
  throw new Error("a trap");
}

/** Every trap of a Proxy throws, or only those named. */
function throwingProxy(target: object, traps?: readonly (keyof ProxyHandler<object>)[]): object {
  const all = [
    "get",
    "has",
    "ownKeys",
    "getOwnPropertyDescriptor",
    "getPrototypeOf",
    "isExtensible",
    "set",
    "deleteProperty",
    "defineProperty",
    "setPrototypeOf",
    "preventExtensions",
  ] as const;
  return new Proxy(target, Object.fromEntries((traps ?? all).map((trap) => [trap, explode])));
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function detached<T>(make: (buffer: ArrayBuffer) => T): T {
  const buffer = new ArrayBuffer(16);
  const value = make(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return value;
}

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = "innermost";
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

const getter = (get: () => unknown, key = "x"): object =>
  Object.defineProperty({ a: 1 }, key, { get, enumerable: true, configurable: true });

class Account {
  readonly #secret = 1;
  balance = 2;
  get secret(): number {
    return this.#secret;
  }
  // oxlint-disable-next-line typescript/class-literal-property-style
  get throws(): never {
    return explode();
  }
}

/** Each call makes a new one, so that what one test does to it is no other's concern. */
const hostile: Record<string, () => unknown> = {
  "a getter that throws": () => getter(explode),
  "a getter that throws undefined": () =>
    getter(() => {
      // oxlint-disable-next-line no-throw-literal
      throw undefined;
    }),
  "a getter of an array that throws": () => Object.defineProperty([1, 2, 3], 1, { get: explode }),
  "a getter that gives another object each time": () => getter(() => ({ at: {} })),
  "a getter that gives its object's like, for ever": () => {
    const make = (): object => getter(make);
    return make();
  },
  "a getter that adds keys": () => {
    const value: Record<string, unknown> = {};
    return Object.defineProperty(value, "x", { enumerable: true, get: () => Object.keys(value).length });
  },
  "a Proxy of which every trap throws": () => throwingProxy({}),
  "an array Proxy of which every trap throws": () => throwingProxy([]),
  "an instance Proxy of which ownKeys throws": () => throwingProxy(new Account(), ["ownKeys"]),
  "an instance Proxy of which get throws": () => throwingProxy(new Account(), ["get"]),
  "an array Proxy of which has throws": () => throwingProxy([undefined, undefined], ["has"]),
  "a Proxy of which getOwnPropertyDescriptor throws": () =>
    throwingProxy({ a: 1 }, ["getOwnPropertyDescriptor"]),
  "a revoked Proxy": () => revoked({}),
  "a revoked array Proxy": () => revoked([]),
  "a revoked function Proxy": () => revoked(() => 1),
  "a Proxy that says it is an array of 2^53": () =>
    new Proxy([], { get: (target, key) => (key === "length" ? 2 ** 53 - 1 : Reflect.get(target, key)) }),
  "an array Proxy whose length is no number": () =>
    new Proxy([1], { get: (target, key) => (key === "length" ? "many" : Reflect.get(target, key)) }),
  "an array Proxy whose length is negative": () =>
    new Proxy([1], { get: (target, key) => (key === "length" ? -5 : Reflect.get(target, key)) }),
  "an array Proxy of arrays of nulls without end": () => {
    const make = (): unknown[] =>
      new Proxy([] as unknown[], {
        get: (target, key) =>
          key === "length"
            ? 300
            : key === "constructor"
              ? Array
              : typeof key === "string"
                ? make()
                : Reflect.get(target, key),
        has: () => true,
      });
    return make();
  },
  "a Proxy with keys that it does not have": () =>
    new Proxy({}, { ownKeys: () => ["a", "b"], getOwnPropertyDescriptor: () => undefined }),
  "a Proxy with 5,000 keys": () =>
    new Proxy(
      {},
      {
        ownKeys: () => Array.from({ length: 5000 }, (_, index) => `k${index}`),
        getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
        get: () => 1,
      },
    ),
  "a Proxy that is nested without end": () => {
    const make = (): object =>
      new Proxy(
        {},
        {
          ownKeys: () => ["x"],
          getOwnPropertyDescriptor: () => ({ value: make(), enumerable: true, configurable: true }),
          get: make,
        },
      );
    return make();
  },
  "a Proxy with another prototype each time": () => {
    let count = 0;
    return new Proxy(
      { a: 1 },
      { getPrototypeOf: () => [Array.prototype, Map.prototype, Object.prototype, null][count++ % 4] ?? null },
    );
  },
  "a Proxy of a Map": () => new Proxy(new Map([[1, 2]]), {}),
  "a Proxy of a Date": () => new Proxy(new Date(), {}),
  "a Proxy of an Error": () => new Proxy(new Error("x"), {}),
  "a Proxy of a Uint8Array": () => new Proxy(new Uint8Array(3), {}),
  "an array whose constructor has another species": () => {
    const value = [1, 2, { a: 1 }];
    const victim = Object.freeze([7]);
    return Object.defineProperty(value, "constructor", { value: { [Symbol.species]: () => victim } });
  },
  "an array whose constructor lies on first sight": () => {
    const value = [{ a: 1 }, { b: 2 }];
    let looks = 0;
    const constructor = {
      [Symbol.species]: function species() {
        return value;
      },
    };
    return Object.defineProperty(value, "constructor", { get: () => (looks++ === 0 ? Array : constructor) });
  },
  "an array with own slice, map, length to be believed": () =>
    Object.assign([1, 2], { slice: explode, map: explode, [Symbol.iterator]: explode, concat: explode }),
  "an object with hostile constructor, then, slice": () => ({
    constructor: explode,
    then: explode,
    slice: explode,
    valueOf: explode,
  }),
  "an object whose constructor throws": () => Object.defineProperty({}, "constructor", { get: explode }),
  "an instance whose constructor throws": () =>
    Object.create(Object.defineProperty({}, "constructor", { get: explode })) as object,
  "an instance whose constructor's name throws": () =>
    Object.create({ constructor: Object.defineProperty(() => 1, "name", { get: explode }) }) as object,
  "an instance whose constructor's name is long": () =>
    Object.create({
      constructor: Object.defineProperty(() => 1, "name", { value: "\u{1f642}".repeat(100_000) }),
    }) as object,
  "an instance whose then throws": () =>
    Object.create({
      get then() {
        return explode();
      },
    }) as object,
  "an instance whose on throws": () =>
    Object.create({
      get on() {
        return explode();
      },
    }) as object,
  "a function whose name throws": () => Object.defineProperty(() => 1, "name", { get: explode }),
  "a function whose name is long": () =>
    Object.defineProperty(() => 1, "name", { value: "n".repeat(1_000_000) }),
  "a sparse array of 2^32 - 1": () => new Array(2 ** 32 - 1),
  "a sparse array with an entry at its end": () => {
    const list: unknown[] = [];
    list[2 ** 32 - 2] = 1;
    return list;
  },
  "an array in itself": () => {
    const list: unknown[] = [];
    list.push(list, [list]);
    return list;
  },
  "an object in itself": () => {
    const value: Record<string, unknown> = {};
    value["self"] = { value };
    return value;
  },
  "a Map in itself": () => {
    const map = new Map<unknown, unknown>();
    return map.set(map, map);
  },
  "a Set in itself": () => {
    const set = new Set<unknown>();
    return set.add(set);
  },
  "an error that is its own cause": () => {
    const error = new Error("x");
    error.cause = error;
    return error;
  },
  "arrays nested 100,000 deep": () => nested(100_000, (inner) => [inner]),
  "objects nested 100,000 deep": () => nested(100_000, (inner) => ({ inner })),
  "Maps nested 10,000 deep": () => nested(10_000, (inner) => new Map([[inner, inner]])),
  "causes nested 10,000 deep": () => nested(10_000, (cause) => new Error("x", { cause })),
  "a symbol": () => Symbol("s"),
  "a symbol of a long description": () => Symbol("s".repeat(1_000_000)),
  "a symbol that is well known": () => Symbol.iterator,
  "keys that are symbols": () => ({
    [Symbol("s")]: 1,
    [Symbol.iterator]: explode,
    [Symbol.toPrimitive]: explode,
  }),
  "a function with a million properties' like": () => Object.assign(() => 1, { a: { b: 1 } }),
  "a class": () => Account,
  "a toJSON that changes its object": () => {
    const value: Record<string, unknown> = { a: 1 };
    value["toJSON"] = () => (value["a"] = "changed");
    return value;
  },
  "a toJSON that throws": () => ({ a: 1, toJSON: explode, toString: explode, [Symbol.toPrimitive]: explode }),
  "an own __proto__": () => JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": null}}') as unknown,
  "an own __proto__ that throws": () => getter(explode, "__proto__"),
  "an instance with an own __proto__": () =>
    Object.defineProperty(new Account(), "__proto__", { value: 5, enumerable: true }),
  "a detached ArrayBuffer": () => detached((buffer) => buffer),
  "a detached Uint8Array": () => detached((buffer) => new Uint8Array(buffer)),
  "a detached Float64Array": () => detached((buffer) => new Float64Array(buffer)),
  "a detached DataView": () => detached((buffer) => new DataView(buffer)),
  "a detached Buffer": () => detached((buffer) => Buffer.from(buffer)),
  "a resizable ArrayBuffer that shrank under its views": () => {
    type Resizable = ArrayBuffer & { resize(length: number): void };
    const buffer = new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(16, {
      maxByteLength: 32,
    });
    const views = [
      new Uint8Array(buffer),
      new Uint8Array(buffer, 8, 8),
      new Float64Array(buffer, 8),
      new DataView(buffer, 8),
    ];
    buffer.resize(4);
    return [buffer, views];
  },
  "a SharedArrayBuffer": () => new SharedArrayBuffer(8),
  "a view of a SharedArrayBuffer": () => new Uint8Array(new SharedArrayBuffer(8)),
  "a typed array that says it is longer": () =>
    Object.defineProperty(new Uint8Array(8), "byteLength", { value: 1e12 }),
  "a large typed array of elements of no size, before a lot more": () => [
    Object.defineProperty(new Uint8Array(2_000_000), "BYTES_PER_ELEMENT", { value: 0 }),
    Array.from({ length: 300 }, (_, index) => String(index).repeat(10_000)),
  ],
  "a typed array whose length is no number": () =>
    Object.defineProperty(new Uint8Array(8), "byteLength", { value: Number.NaN }),
  "a typed array whose offset is no number": () =>
    Object.defineProperty(new Uint8Array(8), "byteOffset", { value: { valueOf: explode } }),
  "a typed array whose length throws": () =>
    Object.defineProperty(new Uint8Array(8), "byteLength", { get: explode }),
  "a typed array of another's buffer": () =>
    Object.defineProperty(new Uint8Array(8), "buffer", { value: "none" }),
  "a typed array of elements of no size": () =>
    Object.defineProperty(new Uint8Array(100_000), "BYTES_PER_ELEMENT", { value: 0 }),
  "a Buffer that is large": () => Buffer.alloc(5_000_000),
  "a Float64Array that is large": () => new Float64Array(600_001),
  "a Map with overridden iterators": () =>
    Object.defineProperty(
      Object.assign(new Map([[1, 2]]), { entries: explode, forEach: explode, [Symbol.iterator]: explode }),
      "size",
      { get: explode },
    ),
  "a subclass of Map with a hostile iterator": () =>
    new (class Endless extends Map<unknown, unknown> {
      override *[Symbol.iterator](): ReturnType<Map<unknown, unknown>["entries"]> {
        for (;;) yield [1, 2];
      }
      override get size(): never {
        return explode();
      }
    })().set(1, 2),
  "a subclass of Set with a hostile iterator": () =>
    new (class Endless extends Set<unknown> {
      override *[Symbol.iterator](): ReturnType<Set<unknown>["values"]> {
        for (;;) yield 1;
      }
      override get size(): never {
        return explode();
      }
    })().add(1),
  "a Map that grows while it is looked at": () => {
    const map = new Map<unknown, unknown>();
    const grow = (): object => getter(() => map.set(map.size, grow()));
    return map.set("x", grow());
  },
  "an array that grows while it is looked at": () => {
    const list: unknown[] = [];
    for (let index = 0; index < 3; index++) list.push(getter(() => list.push(getter(explode))));
    return list;
  },
  "an array that is emptied while it is looked at": () => {
    const list: unknown[] = [getter(() => (list.length = 0)), { a: 1 }, { b: 2 }];
    return list;
  },
  "a liar about being a Date": () => ({ [Symbol.toStringTag]: "Date", getTime: explode }),
  "a liar about being a Map": () =>
    Object.create(Map.prototype, { [Symbol.toStringTag]: { value: "Map" } }) as object,
  "a liar about being an Error": () => Object.create(Error.prototype) as object,
  "a liar about being a URL": () => Object.create(URL.prototype) as object,
  "a liar about being a Uint8Array": () => Object.create(Uint8Array.prototype) as object,
  "a liar about being an Array": () => Object.create(Array.prototype) as object,
  "a liar about being a Promise": () => Object.create(Promise.prototype) as object,
  "a Date that lies about its time": () => Object.assign(new Date(5), { getTime: explode, valueOf: explode }),
  "a Date without a prototype": () => Object.setPrototypeOf(new Date(5), null) as object,
  "a URL of another href": () => Object.defineProperty(new URL("http://a"), "href", { value: 5 }),
  "a URL that is large": () => new URL(`data:,${"x".repeat(3_000_000)}`),
  "a RegExp that is large": () => new RegExp("a".repeat(3_000_000)),
  "a RegExp of other flags": () => Object.defineProperty(/a/g, "flags", { value: "zz" }),
  "a RegExp of another source": () => Object.defineProperty(/a/g, "source", { value: "(" }),
  "a RegExp whose source is a number": () => Object.defineProperty(/a/g, "source", { value: 5 }),
  "a RegExp whose lastIndex is a BigInt": () => Object.assign(/a/g, { lastIndex: 5n }),
  "a RegExp whose lastIndex is a symbol": () => Object.assign(/a/g, { lastIndex: Symbol("s") }),
  "a RegExp whose lastIndex throws when used": () => Object.assign(/a/g, { lastIndex: { valueOf: explode } }),
  "an error with a hostile toString": () =>
    Object.assign(new Error("x"), { toString: explode, [Symbol.toPrimitive]: explode }),
  "an error whose toString is no function": () => Object.assign(new Error("x"), { toString: 5 }),
  "an error whose message is an object": () =>
    Object.assign(new Error("x"), { message: Object.create(null) as unknown }),
  "an error whose name is a symbol": () => Object.assign(new Error("x"), { name: Symbol("s") }),
  "an error whose message throws": () => Object.defineProperty(new Error("x"), "message", { get: explode }),
  "an error whose stack throws": () => Object.defineProperty(new Error("x"), "stack", { get: explode }),
  "an error whose cause throws": () => Object.defineProperty(new Error("x"), "cause", { get: explode }),
  "an AggregateError whose errors are none": () => Object.assign(new AggregateError([]), { errors: 5 }),
  "an error of class constructor": () =>
    new (class extends Error {
      static override readonly name = "constructor";
    })("x"),
  "an error of class DOMException that is none": () => new (class DOMException extends Error {})("x"),
  "a DOMException with hostile fields": () =>
    Object.defineProperty(new DOMException("x"), "message", { get: explode, enumerable: true }),
  "an object with a holey stack": () => ({ stack: [, 1], cause: [,] }), // oxlint-disable-line no-sparse-arrays
  "private fields": () => new Account(),
  "a generator": () =>
    (function* () {
      yield explode();
    })(),
  "an async generator": () =>
    (async function* () {
      yield await Promise.resolve(1);
    })(),
  "an iterator": () => [1, 2][Symbol.iterator](),
  "a promise": () => Promise.resolve({ a: 1 }),
  "a thenable": () => ({ then: explode }),
  "a WeakMap": () => new WeakMap(),
  "a WeakRef": () => new WeakRef({}),
  "a stream": () => Readable.from(["a"]),
  "a file stream": () =>
    createReadStream(import.meta.filename)
      .on("error", () => undefined)
      .destroy(),
  "a socket": () => new Socket(),
  "a web stream": () => new ReadableStream({ pull: explode }),
  "an AbortSignal": () => AbortSignal.abort(),
  "a Request, a Response, Headers, a Blob": () => [
    new Request("http://a"),
    new Response("x"),
    new Headers({ a: "b" }),
    new Blob(["x"]),
  ],
  ...Object.fromEntries(
    [Headers, FormData, URLSearchParams, Blob, File, Request, Response, AbortSignal, RecordedStream].flatMap(
      (type): [string, () => unknown][] => [
        [`a liar about being a ${type.name}`, () => Object.create(type.prototype) as object],
        [
          `a Proxy of a liar about a ${type.name}`,
          () => new Proxy(Object.create(type.prototype) as object, {}),
        ],
        [`a revoked ${type.name}`, () => revoked(Object.create(type.prototype) as object)],
        [
          `a liar about being a ${type.name} with fields of its own`,
          () =>
            Object.create(type.prototype, {
              headers: { get: explode, enumerable: true },
              size: { value: Number.NaN },
              kind: { value: explode },
              fields: { value: null },
              name: { get: explode },
              aborted: { value: true },
              entries: { value: explode },
            }) as object,
        ],
      ],
    ),
  ),
  "Proxies of Headers, a Request, a Blob": () =>
    [new Headers(), new Request("http://a"), new Blob(["x"])].map((value) => new Proxy(value, {})),
  "Headers that lie about their entries": () =>
    Object.assign(new Headers({ a: "b" }), {
      entries: explode,
      forEach: explode,
      [Symbol.iterator]: explode,
    }),
  "a Request and a Response with hostile fields": () =>
    [new Request("http://a"), new Response("x")].map((value) =>
      Object.defineProperties(value, {
        url: { get: explode },
        headers: { get: explode, enumerable: true },
        body: { get: explode },
        status: { value: {} },
      }),
    ),
  "subclasses of Request, Blob, Headers with hostile getters": () => {
    const subclass = (type: new (...input: never[]) => object, ...keys: string[]) => {
      const made = class extends (type as new (...input: unknown[]) => object) {};
      for (const key of keys) Object.defineProperty(made.prototype, key, { get: explode });
      return made;
    };
    return [
      new (subclass(Request, "url", "headers", "body"))("http://a"),
      new (subclass(Blob, "size", "text"))(["x"]),
      new (subclass(Headers, "entries", "forEach"))({ a: "b" }),
    ];
  },
  "a File of a name that is large": () => new File([], "n".repeat(3_000_000)),
  "a Request to a URL that is large": () => new Request(`http://a/${"x".repeat(3_000_000)}`),
  "Headers that are large": () => new Headers({ a: "x".repeat(3_000_000) }),
  "search parameters that are large": () =>
    new URLSearchParams(Array.from({ length: 20_000 }, (_, index): [string, string] => [`k${index}`, ""])),
  "a form that is large": () => {
    const form = new FormData();
    for (let index = 0; index < 1_000; index++) form.append("f", new File([], `${index}`));
    return form;
  },
  "an AbortSignal whose reason is hostile": () => AbortSignal.abort(getter(explode)),
  "an AbortSignal whose reason is itself": () => {
    const controller = new AbortController();
    controller.abort(controller.signal);
    return controller.signal;
  },
  "a RecordedStream of itself": () => {
    const fields: Record<string, unknown> = {};
    const stream = new RecordedStream("iterable", fields);
    fields["stream"] = stream;
    return stream;
  },
  "a RecordedStream with hostile fields": () => new RecordedStream("Readable", getter(explode) as never),
  "a class that says it is Headers": () =>
    new (class {
      get [Symbol.toStringTag](): string {
        return "Headers";
      }
    })(),
  "an object whose prototype says it is Headers": () =>
    Object.create({ [Symbol.toStringTag]: "Headers" }) as object,
  "boxed primitives": () => [Object(1), Object("x"), Object(1n), Object(Symbol("s")), Object(false)],
  "a frozen object": () => Object.freeze({ a: Object.freeze([1, Object.freeze({ b: 1 })]) }),
  "a sealed array with holes": () => Object.seal([, 1]), // oxlint-disable-line no-sparse-arrays
  "an object with the prototype of an Array": () =>
    Object.setPrototypeOf({ a: 1, length: 5 }, Array.prototype) as object,
  "an array with the prototype of an Object": () => Object.setPrototypeOf([1, 2], Object.prototype) as object,
  "an array without a prototype": () => Object.setPrototypeOf([1, 2], null) as object,
  "a Map with the prototype of an Object": () =>
    Object.setPrototypeOf(new Map([[1, 2]]), Object.prototype) as object,
  "a prototype that is a Proxy": () => Object.create(throwingProxy({})) as object,
  "a prototype that is revoked": () => Object.create(revoked({})) as object,
  "a chain of 10,000 prototypes": () =>
    nested(10_000, (inner) => Object.create(Object(inner) as object) as object),
  "objects of another realm": () =>
    runInNewContext(
      "[{ a: 1 }, [1, , 2], new Map([[1, 2]]), new Error('x'), /a/g, new Date(0), new Uint8Array(3), () => 1, Symbol('s')]",
    ),
  globalThis: () => globalThis,
  process: () => process,
  "a module's namespace": () => import.meta,
  Math: () => Math,
  Reflect: () => Reflect,
  arguments: () =>
    (function (..._values: number[]) {
      return arguments;
    })(1, 2),
  "a bigint of 100,000 digits": () => 10n ** 100_000n,
  "a negative bigint that is large": () => -(2n ** 300_000n),
  "lone surrogates": () => ["\ud800", { "\udfff\ud800": "\ud800".repeat(1000) }],
  "a long text": () => "long ".repeat(1_000_000),
  "a long text of three bytes each": () => "€".repeat(1_000_000),
  "a text cut within a pair": () => `x${"\u{1f642}".repeat(500_000)}`,
  "a long key": () => ({ ["k".repeat(1_000_000)]: 1, b: 2 }),
  "a long key of an instance": () => Object.assign(new Account(), { ["k".repeat(1_000_000)]: 1 }),
  "a long key of an error": () => Object.assign(new Error("x"), { ["k".repeat(1_000_000)]: 1 }),
  "a long key beside a getter that throws": () =>
    Object.assign(getter(explode), { ["k".repeat(1_000_000)]: 1 }),
  "many nulls": () => Array.from({ length: 200 }, () => new Array(2000).fill(null)),
  "many empty texts": () => Array.from({ length: 200 }, () => new Array(2000).fill("")),
  "many holes": () => Array.from({ length: 200 }, () => new Array(2000)),
  "many Maps of nulls": () =>
    Array.from({ length: 200 }, () => new Map(Array.from({ length: 300 }, (_, key) => [key, null]))),
  "many functions of long names": () =>
    Array.from({ length: 2000 }, () => Object.defineProperty(() => 1, "name", { value: "n".repeat(150) })),
  "many instances of a class of a long name": () => {
    const prototype = { constructor: Object.defineProperty(() => 1, "name", { value: "C".repeat(150) }) };
    return Array.from({ length: 2000 }, () => Object.create(prototype) as object);
  },
  "many empty objects": () => Array.from({ length: 5000 }, () => ({})),
  "many keys": () => Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, null])),
  "many keys with a marker's own": () =>
    Object.fromEntries(Array.from({ length: 500 }, (_, index) => ["…".repeat(index), index])),
  "many keys of an instance with a marker's own": () =>
    Object.assign(
      new Account(),
      Object.fromEntries(Array.from({ length: 500 }, (_, index) => ["…".repeat(index % 20) + index, index])),
    ),
  "a large Set": () => new Set(Array.from({ length: 5000 }, (_, index) => index)),
};

/** What can be seen of a value without running any code of its own. */
function fingerprint(value: unknown): string {
  const seen = new Map<object, number>();
  let budget = 3_000;
  const look = (part: unknown, depth: number): string => {
    if (typeof part === "string") return part.length > 50 ? `text of ${part.length}` : JSON.stringify(part);
    if ((typeof part !== "object" && typeof part !== "function") || part === null) {
      return typeof part === "bigint" ? "bigint" : String(part);
    }
    const known = seen.get(part);
    if (known !== undefined) return `#${known}`;
    seen.set(part, seen.size);
    if (depth > 6 || budget-- < 0 || ArrayBuffer.isView(part)) return "…";
    try {
      const keys = Reflect.ownKeys(part).slice(0, 100);
      const fields = keys.map((key) => {
        // Node keeps the entries of Headers sorted from when they are first looked at.
        if (typeof key === "symbol" && key.description === "headers map sorted") return "";
        const descriptor = Reflect.getOwnPropertyDescriptor(part, key);
        const flags = [descriptor?.enumerable, descriptor?.configurable, descriptor?.writable]
          .map(Number)
          .join("");
        const content = descriptor && "value" in descriptor ? look(descriptor.value, depth + 1) : "accessor";
        return `${String(key).slice(0, 50)}:${flags}:${content}`;
      });
      const state = [Reflect.isExtensible(part), Reflect.getPrototypeOf(part) === Object.prototype].join();
      return `{${state};${fields.join()}}`;
    } catch {
      return "unreadable"; // a Proxy that throws looks like this before and after
    }
  };
  return look(value, 0);
}

/** Getters that change their own object are seen to do so, whoever calls them. */
const CHANGES_ITSELF = /grows|emptied|adds keys|another prototype|Proxy/;

describe("G2, G3, G8: a hostile value does no harm", () => {
  test.each(Object.entries(hostile))("%s", (name, make) => {
    const value = make();
    const isStable = !CHANGES_ITSELF.test(name) && value !== globalThis && value !== process;
    const before = isStable ? fingerprint(value) : "";
    const alone = examine(value);
    if (isStable) expect(fingerprint(value)).toBe(before);
    expect(alone.milliseconds).toBeLessThan(1_000);
    // Twice in one value, as the second time it is a reference to the first.
    examine([make(), value, { value, again: value }], SMALL);
    examine(new Map([[value, [value]]]), SMALL);
    examine(new Error("x", { cause: value }), SMALL);
    examine(
      nested(20, (inner) => [inner, value]),
      SMALL,
    );
  });

  /** Not the value itself: fast-check looks into what it hands out, and some of these do not bear it. */
  interface Recipe {
    readonly text: string;
    readonly make: () => unknown;
  }

  const { recipe: mixtures } = fc.letrec<{ recipe: Recipe }>((tie) => {
    const recipe = tie("recipe");
    const names = Object.keys(hostile).filter(
      (name) => !/globalThis|process|100,000|10,000|large|socket|stream/.test(name),
    );
    const keys = fc.constantFrom(
      "a",
      "b",
      "…",
      "__proto__",
      "then",
      "cause",
      "message",
      "constructor",
      "length",
    );
    const of = (name: string, parts: readonly Recipe[], make: (values: unknown[]) => unknown): Recipe => ({
      text: `${name}(${parts.map(({ text }) => text).join(", ")})`,
      make: () => make(parts.map((part) => part.make())),
    });
    const one = (name: string, make: (inner: unknown) => unknown): fc.Arbitrary<Recipe> =>
      recipe.map((part) => of(name, [part], ([inner]) => make(inner)));
    const many = (name: string, make: (values: unknown[]) => unknown): fc.Arbitrary<Recipe> =>
      fc.array(recipe, { maxLength: 5 }).map((parts) => of(name, parts, make));
    const keyed = (name: string, makeTarget: () => object): fc.Arbitrary<Recipe> =>
      fc.array(fc.tuple(keys, recipe), { maxLength: 4 }).map((list) =>
        of(
          `${name} of ${list.map(([key]) => key).join()}`,
          list.map(([, part]) => part),
          (values) => {
            const target = makeTarget();
            for (const [index, [key]] of list.entries()) {
              const value = values[index];
              Object.defineProperty(target, key, {
                value,
                enumerable: true,
                configurable: true,
                writable: true,
              });
            }
            return target;
          },
        ),
      );
    const traps = ["has", "ownKeys", "get", "getOwnPropertyDescriptor", "getPrototypeOf"] as const;
    return {
      recipe: fc.oneof(
        { depthSize: "small", maxDepth: 5 },
        fc.constantFrom(...names).map((name) => ({ text: name, make: hostile[name] ?? explode })),
        fc.anything().map((value) => ({ text: fc.stringify(value), make: () => value })),
        many("array", (values) => values),
        many("Set", (values) => new Set(values)),
        many("Map", (values) => new Map(values.map((value, index) => [value, values[index + 1]]))),
        keyed("object", () => ({})),
        keyed("instance", () => new Account()),
        keyed("error", () => new TypeError("x")),
        one("twice", (inner) => [inner, { inner }, inner]),
        one("getter", (inner) => getter(() => inner)),
        one("array Proxy", (inner) => new Proxy([inner], {})),
        one("object Proxy", (inner) => new Proxy({ inner }, {})),
        one(
          "instance Proxy",
          (value) =>
            new Proxy(new Account(), {
              ownKeys: () => ["x"],
              get: () => value,
              getOwnPropertyDescriptor: () => ({ value, enumerable: true, configurable: true }),
            }),
        ),
        ...traps.map((trap) =>
          one(`Proxy without ${trap}`, (inner) => throwingProxy([inner, undefined], [trap])),
        ),
      ),
    };
  });

  test(`in mixtures, ${RUNS} of them`, () => {
    let slowest = 0;
    fc.assert(
      fc.property(
        mixtures.map((recipe) => ({ ...recipe, [fc.toStringMethod]: () => recipe.text })),
        fc.record({
          depth: fc.integer({ min: 1, max: 64 }),
          entries: fc.integer({ min: 1, max: 400 }),
          valueBytes: fc.constantFrom(1, 10, 100, 1_000, 20_000),
          capsuleBytes: fc.constant(100_000),
        }),
        ({ make }, limits) => {
          const { milliseconds, snapshot } = examine(make(), limits);
          slowest = Math.max(slowest, milliseconds);
          if (snapshot.loss !== undefined) expect(snapshot.loss.marker).toBeInstanceOf(Marker);
        },
      ),
      // Not shrunk: the recipe tells enough, and thousands of these values at a time fill the memory.
      { numRuns: RUNS, endOnFailure: true },
    );
    expect(slowest).toBeLessThan(1_000);
  });
});

describe("G8: what is over a limit has a marker in its place", () => {
  const limits: Limits = { ...SMALL, valueBytes: 1_000 };

  test.each<[string, unknown, string, number | undefined]>([
    ["a text", "x".repeat(5_000), "bytes", 5_000],
    ["a Buffer", Buffer.alloc(5_000), "bytes", 5_000],
    ["a bigint", 2n ** 100_000n, "bytes", undefined],
    ["a symbol", Symbol("s"), "symbol", undefined],
    ["a function", () => 1, "function", undefined],
    ["a promise", Promise.resolve(), "unsupported", undefined],
    ["a RegExp", new RegExp("a".repeat(5_000)), "bytes", 5_000],
    ["a URL", new URL(`data:,${"x".repeat(4_994)}`), "bytes", 5_000],
  ])("%s", (_name, value, reason, size) => {
    const { decoded, snapshot } = examine(value, limits);
    expect(decoded).toBeInstanceOf(Marker);
    expect(decoded).toMatchObject({ reason, size });
    expect(snapshot.loss).toMatchObject({ path: [], kind: "lost", marker: { reason } });
  });

  test("the head of a long text, a long Buffer and a long Float64Array is kept", () => {
    expect(examine("é".repeat(5_000), limits).decoded).toMatchObject({ kept: "é".repeat(1_000) });
    expect(examine(Buffer.alloc(5_000, 7), limits).decoded).toMatchObject({ kept: expect.any(Buffer) });
    const { kept } = examine(new Float64Array(5_000).fill(1.5), limits).decoded as Marker;
    expect(kept).toBeInstanceOf(Float64Array);
    expect((kept as Float64Array).every((item) => item === 1.5)).toBe(true);
  });

  test("the entries that fit are kept, and the marker is behind them", () => {
    const cases: [unknown, (decoded: never) => unknown, (decoded: never) => unknown][] = [
      [
        Array.from({ length: 1_000 }, (_, index) => index),
        (list: number[]) => list[299],
        (list: unknown[]) => list.at(-1),
      ],
      [
        new Set(Array.from({ length: 1_000 }, (_, index) => index)),
        (set: Set<unknown>) => (set.has(299) ? 299 : "none"),
        (set: Set<unknown>) => [...set].at(-1),
      ],
      [
        new Map(Array.from({ length: 1_000 }, (_, index) => [index, index])),
        (map: Map<number, number>) => map.get(299),
        (map: Map<unknown, unknown>) => [...map.keys()].at(-1),
      ],
      [
        Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, index])),
        (object: Record<string, unknown>) => object["k299"],
        (object: Record<string, unknown>) => object["…"],
      ],
    ];
    for (const [value, last, marker] of cases) {
      const { decoded } = examine(value, SMALL);
      expect(last(decoded as never)).toBe(299);
      expect(marker(decoded as never)).toBeInstanceOf(Marker);
      expect(marker(decoded as never)).toMatchObject({ reason: "entries" });
    }
  });

  test("a getter that throws costs its own field alone", () => {
    const value = {
      before: 1,
      get broken(): never {
        return explode();
      },
      after: { x: 2 },
    };
    const { decoded, snapshot } = examine(value);
    expect(decoded).toMatchObject({ before: 1, after: { x: 2 }, broken: { reason: "unreadable" } });
    expect(snapshot.loss).toMatchObject({ path: ["broken"], kind: "told" });
  });

  test("what throws twice has a marker in both places", () => {
    const proxy = throwingProxy(new Account(), ["ownKeys"]);
    const { decoded } = examine({ first: proxy, second: proxy, other: { a: 1 } });
    expect(decoded).toMatchObject({
      first: { reason: "unreadable" },
      second: { reason: "unreadable" },
      other: { a: 1 },
    });
  });

  test("what a broken value held is there, where it is met again outside of it", () => {
    const shared = { a: 1 };
    const broken = throwingProxy([shared, undefined], ["has"]);
    const { decoded } = examine([broken, shared]);
    expect((decoded as unknown[])[1]).toEqual({ a: 1 });
  });

  test("a value copied where the stack is nearly used up is a marker, or whole", () => {
    const shared = { a: 1 };
    const value = nested(60, (inner) => ({ inner, shared, list: [shared, inner] }));
    let examined = 0;
    const sink = (): void => {
      try {
        sink();
      } finally {
        if (examined < 200) {
          examined += 1;
          let snapshot: Snapshot | undefined;
          try {
            snapshot = takeSnapshot(value, DEFAULT_LIMITS);
          } catch (error) {
            // With no stack left at all not even the call of takeSnapshot can be made.
            expect(error).toBeInstanceOf(RangeError);
          }
          if (snapshot !== undefined) pending.push(snapshot);
        }
      }
    };
    const pending: Snapshot[] = [];
    try {
      sink();
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
    for (const snapshot of pending) decodeValue(encodeValue(snapshot));
  });
});

describe("G8, G11: time is bounded, whatever the size", () => {
  const best = (run: () => unknown): number => {
    let least = Infinity;
    for (let round = 0; round < 3; round++) {
      const begun = performance.now();
      run();
      least = Math.min(least, performance.now() - begun);
    }
    return least;
  };

  test.each<[string, () => unknown, number]>([
    ["a text of 50 MB", () => "x".repeat(50_000_000), 50],
    ["an array of 1,000,000 numbers", () => Array.from({ length: 1_000_000 }, (_, index) => index), 50],
    ["an array of 1,000,000 objects", () => Array.from({ length: 1_000_000 }, (_, id) => ({ id })), 100],
    [
      "a Map of 1,000,000",
      () => new Map(Array.from({ length: 1_000_000 }, (_, index) => [index, index])),
      100,
    ],
    ["a Buffer of 200 MB", () => Buffer.alloc(200_000_000), 50],
    ["10,000,000 nulls", () => Array.from({ length: 1_000 }, () => new Array(10_000).fill(null)), 200],
  ])("%s", (_name, make, milliseconds) => {
    const value = make();
    expect(best(() => takeSnapshot(value, DEFAULT_LIMITS))).toBeLessThan(milliseconds);
    examine(value);
  });

  test("an object of 200,000 keys, which can only be listed as a whole", () => {
    const value = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, index]));
    const listing = best(() => Object.keys(value));
    expect(best(() => takeSnapshot(value, DEFAULT_LIMITS))).toBeLessThan(10 * listing + 50);
    examine(value);
  });
});
