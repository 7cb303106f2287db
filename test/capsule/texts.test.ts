/** A text is written before it is measured: its bytes are those of one that was measured first. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeValue } from "../../src/capsule/decode-value.js";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { encodeInSteps } from "./encode-in-steps.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";

const LENGTHS = [
  23, 24, 85, 86, 255, 256, 257, 511, 512, 600, 2_047, 2_048, 2_049, 5_000, 16_383, 16_384, 16_385, 21_846,
  32_768, 32_769, 40_000, 65_535, 65_536, 70_000, 200_000,
];
const FILLS = { ascii: "a", latin: "é", wide: "€", pairs: "🙂", mixed: `${"a".repeat(3_000)}é` };
const HEAD_OF_TEXT = 0x60;

function inSteps(text: unknown): Uint8Array {
  const steps = encodeInSteps(takeSnapshot(text, DEFAULT_LIMITS));
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** RFC 8949, section 3: the shortest head, and UTF-8. */
function expectedOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(9);
  const { length } = bytes;
  if (length < 24) return Buffer.concat([Buffer.from([HEAD_OF_TEXT | length]), bytes]);
  if (length < 0x100) return Buffer.concat([Buffer.from([HEAD_OF_TEXT | 24, length]), bytes]);
  const width = length < 0x1_0000 ? 2 : 4;
  head[0] = HEAD_OF_TEXT | (width === 2 ? 25 : 26);
  head.writeUIntBE(length, 1, width);
  return Buffer.concat([head.subarray(0, 1 + width), bytes]);
}

test.each(Object.entries(FILLS))("texts of every length have the shortest head: %s", (_name, fill) => {
  for (const length of LENGTHS) {
    const text = fill
      .repeat(Math.ceil(length / fill.length))
      .slice(0, length)
      .toWellFormed();
    const expected = expectedOf(text);
    expect(expected.equals(encodeValue(takeSnapshot(text, DEFAULT_LIMITS))), `${length}`).toBe(true);
    expect(expected.equals(inSteps(text)), `${length} in steps`).toBe(true);
    // As a part of something, after what was written before it.
    const parts = Buffer.concat([Buffer.from([0x82, 0x01]), expected]);
    expect(parts.equals(encodeValue(takeSnapshot([1, text], DEFAULT_LIMITS))), `${length} in a list`).toBe(
      true,
    );
    expect(parts.equals(inSteps([1, text])), `${length} in a list, in steps`).toBe(true);
  }
});

test("texts with half a pair, or with the character that replaces one, come back as they were", () => {
  const text = fc
    .tuple(
      fc.constantFrom(...LENGTHS),
      fc.constantFrom(...Object.values(FILLS)),
      fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom("\ud83d", "\ude42", "\ufffd")),
        {
          maxLength: 3,
        },
      ),
    )
    .map(([length, fill, odd]) => {
      let made = fill.repeat(Math.ceil(length / fill.length)).slice(0, length);
      for (const [share, unit] of odd) {
        const place = Math.floor(share * length);
        made = `${made.slice(0, place)}${unit}${made.slice(place)}`;
      }
      return made;
    });
  fc.assert(
    fc.property(text, fc.boolean(), (value, alone) => {
      const given = alone ? value : { before: "x".repeat(700), value, after: [value, "é"] };
      const bytes = encodeValue(takeSnapshot(given, DEFAULT_LIMITS));
      expect(Buffer.compare(bytes, inSteps(given))).toBe(0);
      expect(decodeValue(bytes)).toEqual(given);
    }),
    { numRuns: 300 },
  );
}, 60_000);

test("a text that begins with U+FEFF keeps it, wherever it stands", () => {
  const text = fc
    .tuple(fc.constantFrom("", "\uFEFF", "\uFEFF\uFEFF"), fc.string({ unit: "binary", maxLength: 400 }))
    .map(([mark, rest]) => mark + rest);
  fc.assert(
    fc.property(text, fc.uniqueArray(text, { maxLength: 5 }), (whole, keys) => {
      const value = {
        list: [whole],
        keys: Object.fromEntries(keys.map((key) => [key, key])),
        map: new Map([[whole, 1]]),
      };
      const decoded = decodeValue(encodeValue(takeSnapshot(value, DEFAULT_LIMITS))) as typeof value;
      expect(decodeValue(encodeValue(takeSnapshot(whole, DEFAULT_LIMITS)))).toBe(whole);
      expect(decoded.list).toEqual([whole]);
      expect(Object.entries(decoded.keys)).toEqual(Object.entries(value.keys));
      expect([...decoded.map.keys()]).toEqual([whole]);
    }),
    { numRuns: 500 },
  );
});
