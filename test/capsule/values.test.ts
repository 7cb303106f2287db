/** Values go through a capsule without loss: copied, encoded, decoded. */
import { deepStrictEqual } from "node:assert/strict";
import { inspect } from "node:util";
import { decode } from "cborg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, type RecordableClass } from "../../src/capsule/decode-value.js";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";
import { PaymentRefused, recordableValues } from "./recordable-values.js";
import { difference } from "./same-value.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const RUNS = isLong ? 50_000 : 1_500;

const classes = new Map<string, RecordableClass>([["PaymentRefused", PaymentRefused]]);
const classNames = new Set(classes.keys());

function encode(value: unknown): Uint8Array {
  const snapshot = takeSnapshot(value, DEFAULT_LIMITS, classNames);
  expect(snapshot.loss).toBeUndefined();
  return encodeValue(snapshot);
}

const roundTrip = (value: unknown): unknown => decodeValue(encode(value), classes);

function mustRoundTrip(value: unknown): void {
  const bytes = encode(value);
  const decoded = decodeValue(bytes, classes);
  const found = difference(value, decoded);
  if (found !== undefined) throw new Error(found);
  // What came back is recorded like what went in: a replay's values are compared by their bytes.
  expect(Buffer.compare(encode(decoded), bytes)).toBe(0);
}

describe("G3, G4: a value comes back as it was", () => {
  test("of every kind in the design, nested, shared and in cycles", () => {
    fc.assert(fc.property(recordableValues, mustRoundTrip), { numRuns: RUNS });
  });

  test("of whatever fast-check can think of", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withObjectString: true,
      withSparseArray: true,
      withTypedArray: true,
      withUnicodeString: true,
    });
    fc.assert(
      fc.property(anything, (value) => {
        mustRoundTrip(value);
        // Node 20 takes two invalid dates for unequal.
        if (!inspect(value, { depth: Infinity }).includes("Invalid Date")) {
          deepStrictEqual(roundTrip(value), value);
        }
      }),
      { numRuns: RUNS },
    );
  });

  const own = { ["__proto__"]: { polluted: true } };
  const shared = { price: 7 };
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle["self"] = cycle;
  const list: unknown[] = [1];
  list.push(list, [list]);
  const map = new Map<unknown, unknown>();
  map.set(map, map).set("set", new Set([map]));
  const failure = new Error("outer", { cause: new TypeError("inner") });
  Object.assign(failure, { code: "E_OUTER", self: failure });
  const loop = new AggregateError([failure], "all failed");
  failure.cause = loop;
  const pattern = /a+/gy;
  pattern.lastIndex = 3;
  // oxlint-disable-next-line no-sparse-arrays
  const holes = [, 1, , undefined, ,];

  test.each<[string, unknown]>([
    ["-0", -0],
    ["NaN", Number.NaN],
    ["undefined in an array, and holes", [undefined, holes]],
    ["an array of holes alone", new Array(5)],
    ["shared holes and cycles", [holes, holes, [holes]]],
    ["5n beside 5", [5, 5n, -5n, -5]],
    [
      "a Map with keys that look alike",
      new Map<unknown, unknown>([
        [1, "number"],
        ["1", "text"],
        [1n, "bigint"],
        [true, "boolean"],
        ["true", "text"],
        [null, 1],
        [undefined, 2],
        [Number.NaN, 3],
        [-0, 4],
      ]),
    ],
    [
      "a Map with equal objects as keys",
      new Map([
        [{ a: 1 }, 1],
        [{ a: 1 }, 2],
      ]),
    ],
    ["a Set of equal objects", new Set([{ a: 1 }, { a: 1 }])],
    ["a Map and Set inside themselves", map],
    ["an own __proto__", own],
    ["an own __proto__ of an object without prototype", Object.assign(Object.create(null), { x: 1 })],
    ["one object in two places", [shared, { shared }, shared]],
    [
      "one Date, one Uint8Array in two places",
      (() => {
        const [date, array] = [new Date(0), new Uint8Array(3)];
        return [date, date, array, { array }];
      })(),
    ],
    ["an object in itself", cycle],
    ["an array in itself", list],
    ["an error with code, cause and itself", failure],
    ["an AggregateError in a cycle", loop],
    ["an error without a message", new RangeError()],
    ["an error of a class that is listed", Object.assign(new PaymentRefused("no funds"), { status: 402 })],
    ["a DOMException", new DOMException("stopped", "AbortError")],
    ["lastIndex", pattern],
    [
      "a lone surrogate as text, key, and source of an expression",
      { "\ud800": "\udfff", x: ["\ud83d", /\ud800/] },
    ],
    ["a lone surrogate as a key of an error", Object.assign(new Error("\ud800"), { "\ud800": 1 })],
    ["an Invalid Date", new Date(Number.NaN)],
    ["the ends of time", [new Date(8.64e15), new Date(-8.64e15), new Date(-8.64e15 + 1)]],
    [
      "a text of every length around the heads' limits",
      [0, 22, 23, 24, 25, 255, 256, 65_535, 65_536].map((length) => "é".repeat(length)),
    ],
    ["an Error whose toString is its own", Object.assign(new Error("x"), { toString: null })],
    [
      "an Error whose message is no text",
      Object.assign(new Error("x"), { message: Object.create(null) as unknown }),
    ],
    [
      "1,000 objects shared pairwise",
      (() => {
        const objects = Array.from({ length: 1000 }, (_, id) => ({ id }));
        return [objects, objects.toReversed()];
      })(),
    ],
  ])("%s", (_name, value) => mustRoundTrip(value));

  test("an error of a class that is not listed keeps its name and fields, and its loss of class is noted", () => {
    class Unlisted extends TypeError {}
    const snapshot = takeSnapshot(Object.assign(new Unlisted("m"), { code: 7 }), DEFAULT_LIMITS);
    expect(snapshot.loss).toMatchObject({ kind: "told", path: [] });
    const decoded = decodeValue(encodeValue(snapshot));
    expect(decoded).toBeInstanceOf(Error);
    expect(decoded).toMatchObject({ name: "Unlisted", message: "m", code: 7 });
  });

  test.each<[string, () => unknown]>([
    ["a subclass of Map", () => new (class Prices extends Map<string, number> {})().set("a", 1)],
    ["a subclass of Set", () => new (class Ids extends Set<number> {})().add(1)],
    ["a subclass of Date", () => new (class Day extends Date {})(0)],
    ["a subclass of Uint8Array", () => new (class Pixels extends Uint8Array {})()],
    ["a subclass of RegExp", () => new (class Pattern extends RegExp {})("a")],
    ["a subclass of URL", () => new (class Link extends URL {})("http://a")],
    [
      "a DOMException with a cause",
      () => new DOMException("m", { name: "AbortError", cause: 5 } as unknown as string),
    ],
    [
      "an object of a class",
      () =>
        new (class Point {
          readonly x = 1;
        })(),
    ],
  ])("G7: %s comes back, or the capsule says that it does not", (_name, make) =>
    mustComeBackOrBeNoted(make()),
  );

  // Keys on what is no plain object are not looked for: it would cost the path of every call.
  test.each<[string, () => unknown]>([
    ["an array with a key of its own", () => Object.assign([1], { index: 3 })],
    ["the result of a match", () => /(?<year>\d+)/.exec("of 2026")],
    ["a key that is a registered symbol", () => ({ a: 1, [Symbol.for("s")]: 2 })],
    ["a Map with a key of its own", () => Object.assign(new Map(), { name: "prices" })],
    [
      "arguments",
      () =>
        (function (..._values: number[]) {
          return arguments;
        })(1, 2),
    ],
  ])("%s comes back with it, or it is noted", (_name, make) => mustComeBackOrBeNoted(make()));

  function mustComeBackOrBeNoted(value: unknown): void {
    const snapshot = takeSnapshot(value, DEFAULT_LIMITS);
    const decoded = decodeValue(encodeValue(snapshot));
    if (snapshot.loss === undefined) expect(difference(value, decoded)).toBeUndefined();
  }
});

describe("G12: the bytes", () => {
  test("are the same for equal values", () => {
    fc.assert(
      fc.property(fc.clone(recordableValues, 2), ([one, other]) => {
        expect(Buffer.compare(encode(one), encode(other))).toBe(0);
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });

  test("differ for values that differ", () => {
    fc.assert(
      fc.property(recordableValues, recordableValues, (one, other) => {
        if (Buffer.compare(encode(one), encode(other)) === 0) expect(difference(one, other)).toBeUndefined();
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });

  /** Any tag as an array of its number and its content, read as any reader of CBOR may. */
  const plainTags = Object.fromEntries(
    [1, 2, 3, 27, 28, 29, 32, 64, 68, 69, 70, 71, 72, 77, 78, 79, 84, 85, 86, 258, 259, 1001].map((tag) => [
      tag,
      (content: () => unknown) => ({ tag, content: content() }),
    ]),
  );

  test("are CBOR in its strict form, with registered tags only", () => {
    fc.assert(
      fc.property(recordableValues, (value) => {
        // `strict`: each head as short as it can be.
        decode(encode(value), { tags: plainTags, useMaps: true, allowIndefinite: false, strict: true });
      }),
      { numRuns: RUNS },
    );
  });

  test("of JSON are read by a plain reader as they were", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        // A repeated object is a reference, and there is none in what JSON.parse makes.
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(difference(plain, decode(encode(plain)))).toBeUndefined();
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });

  test("are those of the RFCs' examples", () => {
    const examples: [unknown, string][] = [
      [0, "00"],
      [1000, "1903e8"],
      [-1, "20"],
      [-0, "f98000"],
      [Number.NaN, "f97e00"],
      [1.1, "fb3ff199999999999a"],
      [100000.5, "fa47c35040"],
      [undefined, "f7"],
      ["ü", "62c3bc"],
      [[1, [2, 3]], "8201820203"],
      [{ a: 1, b: [2, 3] }, "a26161016162820203"],
      [18446744073709551616n, "c249010000000000000000"],
      [-18446744073709551617n, "c349010000000000000000"],
      [new Date(1363896240000), "c11a514b67b0"],
      [new Date(1363896240500), "c1fb41d452d9ec200000"],
      [new URL("http://www.example.com"), "d82077687474703a2f2f7777772e6578616d706c652e636f6d2f"],
      [new Uint8Array([1, 2]), "d840420102"],
      [new Set([1]), "d901028101"],
    ];
    for (const [value, hex] of examples) expect(Buffer.from(encode(value)).toString("hex")).toBe(hex);
  });
});
