/** The bytes as another library reads them, which has its own mind about the registered tags. */
import { decode } from "cbor2";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";
import { recordableValues } from "./recordable-values.js";
import { difference } from "./same-value.js";

const encode = (value: unknown): Uint8Array => encodeValue(takeSnapshot(value, DEFAULT_LIMITS));
const RUNS = process.env["HINDCAST_LONG"] === "1" ? 20_000 : 1_000;

describe("G12: cbor2", () => {
  test("reads every value", () => {
    fc.assert(
      fc.property(recordableValues, (value) => void decode(encode(value))),
      { numRuns: RUNS },
    );
  });

  test("reads what has a tag of its own as what it was", () => {
    // Not all of them: it gives small bignums back as numbers, and a Uint8Array as what it was handed.
    fc.assert(
      fc.property(fc.anything({ withSet: true, maxDepth: 3 }), (value) => {
        expect(difference(value, decode(encode(value)))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test("reads large bignums, dates, URLs and typed arrays so too", () => {
    const values = [
      new Float64Array([1.5, Number.NaN]),
      new Int16Array([-1]),
      new BigUint64Array([5n]),
      new Float32Array([1.5]),
      2n ** 64n,
      -(2n ** 80n),
      new URL("https://a/b?c#d"),
      "naïve 🙂",
      -0,
      Number.NaN,
      new Date(1_500),
    ];
    expect(difference(values, decode(encode(values)))).toBeUndefined();
  });
});
