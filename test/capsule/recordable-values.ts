/** Every value that a capsule keeps without loss, as the design lists them. */
import fc from "fast-check";
import { TYPED_ARRAY_NAMES } from "../../src/capsule/copy-nodes.js";
import { RecordedStream, STREAM_KINDS } from "../../src/capsule/recorded-stream.js";

export class PaymentRefused extends Error {
  override readonly name = "PaymentRefused";
}

/** Code units at will: halves of surrogate pairs as well. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc
    .array(fc.integer({ min: 0xd7ff, max: 0xe000 }), { maxLength: 5 })
    .map((units) => String.fromCharCode(...units)),
  fc.string({ minLength: 22, maxLength: 26 }), // where the writer's short form ends
  fc.string({ minLength: 254, maxLength: 258 }),
);

const keys = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("a", "b", "id", "length", "0", "10", "…", "", "then", "toJSON", "stack"),
  },
  { weight: 2, arbitrary: fc.constantFrom("__proto__", "constructor", "hasOwnProperty", "toString", "size") },
  { weight: 2, arbitrary: anyText },
);

const bytes = fc.uint8Array({ maxLength: 40 });
const typedArrays = fc
  .tuple(fc.constantFrom(...TYPED_ARRAY_NAMES, "DataView" as const), bytes, fc.nat(2))
  .filter(([name]) => name in globalThis)
  .map(([name, content, offset]) => {
    const constructor = (
      globalThis as unknown as Record<string, new (...args: unknown[]) => ArrayBufferView>
    )[name];
    const unit = (constructor as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const length = Math.floor(content.length / unit);
    // Somewhere inside a larger buffer, where a view may begin.
    const buffer = new ArrayBuffer((offset + length + 1) * unit);
    new Uint8Array(buffer, offset * unit).set(content.subarray(0, length * unit));
    return new (constructor as new (...args: unknown[]) => ArrayBufferView)(buffer, offset * unit, length);
  });

const numbers = fc.oneof(
  fc.double(),
  fc.float(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 2 ** 64, 2 ** 32, -(2 ** 32) - 1),
  fc.constantFrom(
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    -24,
    -25,
    -256,
    -257,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    65_504,
    2 ** -24,
  ),
);

const bigints = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom(
    0n,
    -1n,
    5n,
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 64n),
    -(2n ** 64n) - 1n,
    2n ** 2000n,
    -(2n ** 255n),
  ),
);

const dates = fc.oneof(
  fc.date({ noInvalidDate: false }),
  fc
    .constantFrom(
      8.64e15,
      -8.64e15,
      8.64e15 - 1,
      -8.64e15 + 1,
      0,
      -1,
      1,
      253_402_300_800_000,
      -62_135_596_800_001,
    )
    .map((time) => new Date(time)),
);

const regExps = fc
  .tuple(
    fc.constantFrom("a+", "", "\\/", "[\\u{1f642}]", "(?<year>\\d{4})", "\\n"),
    fc.subarray(["g", "i", "m", "s", "y", "u", "d"]),
    fc.nat(1000),
  )
  .map(([source, flags, lastIndex]) => {
    const expression = new RegExp(
      source,
      source.includes("\\u{") ? [...new Set([...flags, "u"])].join("") : flags.join(""),
    );
    expression.lastIndex = lastIndex;
    return expression;
  });

const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const headerPairs = fc.array(
  fc.tuple(
    fc.oneof(token, fc.constantFrom("set-cookie", "content-type")),
    fc.stringMatching(/^[!-~]{0,12}$/),
  ),
  { maxLength: 5 },
);
const files = fc
  .tuple(bytes, fc.constantFrom("", "text/plain", "image/png"), fc.string(), fc.nat())
  .map(
    ([content, type, name, lastModified]) => new File([content], name.toWellFormed(), { type, lastModified }),
  );
const signals = fc.oneof(
  fc.constant(undefined).map(() => new AbortController().signal),
  fc
    .oneof(anyText, fc.constant(undefined), fc.integer(), fc.dictionary(token, token))
    .map((reason) => AbortSignal.abort(reason)),
);
const webUrls = fc.webUrl({ withQueryParameters: true, withFragments: true });

/** The platform's own classes, and what stands for a stream. */
export const platformValues = fc.oneof(
  headerPairs.map((pairs) => new Headers(pairs)),
  fc.array(fc.tuple(fc.string(), fc.string())).map((pairs) => new URLSearchParams(pairs)),
  fc.array(fc.tuple(anyText, fc.oneof(anyText, files)), { maxLength: 4 }).map((pairs) => {
    const form = new FormData();
    for (const [name, value] of pairs) {
      if (typeof value === "string") form.append(name, value);
      else form.append(name, value);
    }
    return form;
  }),
  fc.tuple(bytes, fc.constantFrom("", "text/plain")).map(([content, type]) => new Blob([content], { type })),
  files,
  signals,
  fc
    .record({
      url: webUrls,
      headers: headerPairs,
      method: fc.constantFrom("GET", "POST", "PUT", "BREW"),
      body: anyText,
      redirect: fc.constantFrom("follow", "manual", "error" as const),
      credentials: fc.constantFrom("include", "omit", "same-origin" as const),
      mode: fc.constantFrom("cors", "no-cors", "same-origin" as const),
      cache: fc.constantFrom("default", "no-store", "reload" as const),
      keepalive: fc.boolean(),
      signal: signals,
    })
    .map(({ url, body, mode, method, ...options }) => {
      const withBody = method === "GET" ? {} : { body };
      return new Request(url, {
        ...options,
        ...withBody,
        method,
        mode: method === "GET" || method === "POST" ? mode : "cors",
      });
    }),
  fc
    .record({
      status: fc.constantFrom(200, 201, 204, 205, 301, 304, 404, 500, 599),
      statusText: fc.stringMatching(/^[ -~]{0,9}$/),
      headers: headerPairs,
      body: fc.option(anyText),
    })
    .map(
      ({ body, ...options }) => new Response([204, 205, 304].includes(options.status) ? null : body, options),
    ),
  fc.constant(undefined).map(() => Response.error()),
  webUrls.map((url) => Response.redirect(url, 303)),
  fc
    .tuple(fc.constantFrom(...STREAM_KINDS), fc.dictionary(fc.string(), fc.integer()))
    .map(([kind, fields]) => new RecordedStream(kind, { ...fields })),
);

const leaves = fc.oneof(
  { weight: 4, arbitrary: platformValues },
  { weight: 8, arbitrary: numbers },
  { weight: 8, arbitrary: anyText },
  { weight: 4, arbitrary: fc.constantFrom(undefined, null, true, false) },
  { weight: 3, arbitrary: bigints },
  { weight: 2, arbitrary: dates },
  { weight: 2, arbitrary: regExps },
  {
    weight: 1,
    arbitrary: fc.webUrl({ withQueryParameters: true, withFragments: true }).map((url) => new URL(url)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("data:,x", "file:///a%20b", "urn:isbn:0451450523").map((url) => new URL(url)),
  },
  { weight: 3, arbitrary: typedArrays },
  { weight: 1, arbitrary: bytes.map((content) => Uint8Array.from(content).buffer) },
  { weight: 1, arbitrary: bytes.map((content) => Buffer.from(content)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(anyText, fc.constantFrom("AbortError", "TimeoutError", "DataCloneError", "Own"))
      .map(([message, name]) => new DOMException(message.toWellFormed(), name)),
  },
);

function assign(target: object, entries: readonly (readonly [string, unknown])[]): object {
  for (const [key, value] of entries) {
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return target;
}

const ERRORS = [
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  PaymentRefused,
];

const { value: trees } = fc.letrec((tie) => {
  const value = tie("value");
  const entries = fc.array(fc.tuple(keys, value), { maxLength: 5 });
  const details = fc.array(
    fc.tuple(fc.constantFrom("code", "status", "__proto__", "details", "\ud800"), value),
    { maxLength: 2 },
  );
  const causes = fc.option(fc.record({ cause: value }), { nil: undefined });
  return {
    value: fc.oneof({ depthSize: "small", maxDepth: 5, withCrossShrink: true }, leaves, tie("container")),
    container: fc.oneof(
      fc.array(value, { maxLength: 6 }),
      fc.sparseArray(value, { maxNumElements: 4, maxLength: 12 }),
      entries.map((list) => assign({}, list)),
      entries.map((list) => assign(Object.create(null) as object, list)),
      fc.array(fc.tuple(value, value), { maxLength: 4 }).map((list) => new Map(list)),
      fc.array(value, { maxLength: 5 }).map((list) => new Set(list)),
      fc
        .tuple(fc.constantFrom(...ERRORS), fc.option(anyText, { nil: undefined }), causes, details)
        .map(([type, message, options, list]) => assign(new type(message, options), list)),
      fc
        .tuple(fc.array(value, { maxLength: 3 }), anyText, causes, details)
        .map(([errors, message, options, list]) =>
          assign(new AggregateError(errors, message, options), list),
        ),
    ),
  };
});

const links = fc.array(fc.record({ from: fc.nat(100), to: fc.nat(100), asKey: fc.boolean() }), {
  maxLength: 4,
});

/** A value of the design's list: cycles and shared references included. */
export const recordableValues: fc.Arbitrary<unknown> = fc
  .tuple(trees, links)
  .map(([tree, list]) => link(tree, list));

function link(tree: unknown, list: readonly { from: number; to: number; asKey: boolean }[]): unknown {
  const objects = objectsIn(tree);
  const containers = objects.filter(
    (one) =>
      !(one instanceof Date || one instanceof RegExp || one instanceof URL || one instanceof DOMException) &&
      !isPlatformValue(one),
  );
  for (const { from, to, asKey } of list) {
    const source = containers[from % containers.length];
    const target = objects[to % objects.length];
    if (source === undefined || target === undefined) continue;
    if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) continue;
    if (Array.isArray(source)) source.push(target);
    else if (source instanceof Map) source.set(asKey ? target : "link", asKey ? "link" : target);
    else if (source instanceof Set) source.add(target);
    else if (source instanceof Error && asKey) {
      Object.defineProperty(source, "cause", {
        value: target,
        enumerable: false,
        writable: true,
        configurable: true,
      });
    } else assign(source, [["link", target]]);
  }
  return tree;
}

/** Of a class that keeps what it holds inside: a field that is put on one is not recorded. */
export function isPlatformValue(value: object): boolean {
  return [Headers, FormData, URLSearchParams, Blob, AbortSignal, Request, Response, RecordedStream].some(
    (type) => value instanceof type,
  );
}

function objectsIn(tree: unknown): object[] {
  const found = new Set<object>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || found.has(value)) return;
    found.add(value);
    if (value instanceof Map) [...value].flat().forEach(visit);
    else if (value instanceof Set) value.forEach(visit);
    else if (!ArrayBuffer.isView(value)) {
      for (const key of Object.getOwnPropertyNames(value)) {
        if (key !== "stack") visit((value as Record<string, unknown>)[key]);
      }
    }
  };
  visit(tree);
  return [...found];
}
