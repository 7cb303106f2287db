import { encode } from "cborg";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CborReader } from "../../src/capsule/cbor-reader.js";

const items = fc.jsonValue({ maxDepth: 4 }).map((value) => encode(value));
const unsigned = fc.oneof(
  fc.integer({ min: 0, max: 30 }),
  fc.integer({ min: 0, max: 2 ** 31 }),
  fc.maxSafeInteger().map(Math.abs),
);

test("an item is passed over to its end, whatever is behind it", () => {
  fc.assert(
    fc.property(items, fc.uint8Array({ maxLength: 8 }), (item, behind) => {
      const reader = new CborReader(Buffer.concat([item, behind]));
      expect(Buffer.compare(reader.item(), item)).toBe(0);
      expect(reader.position).toBe(item.length);
    }),
  );
});

test("an item that is cut off throws, wherever it is cut", () => {
  fc.assert(
    fc.property(items, (item) => {
      for (let length = 0; length < item.length; length++) {
        const reader = new CborReader(item.subarray(0, length));
        expect(() => reader.skip()).toThrow(RangeError);
      }
    }),
  );
});

test("numbers, texts and bytes are read as a library writes them, one after the other", () => {
  const one = fc.oneof(
    unsigned.map((value) => ({ value, read: (reader: CborReader): unknown => reader.unsigned() })),
    fc
      .string({ unit: "grapheme", maxLength: 40 })
      .map((value) => ({ value, read: (reader: CborReader): unknown => reader.text() })),
    fc
      .uint8Array({ maxLength: 300 })
      .map((value) => ({ value, read: (reader: CborReader): unknown => reader.byteString() })),
  );
  fc.assert(
    fc.property(fc.array(one), fc.boolean(), (parts, twice) => {
      // The same text twice in a row is read once.
      const all = twice ? parts.flatMap((part) => [part, part]) : parts;
      const reader = new CborReader(Buffer.concat(all.map(({ value }) => encode(value))));
      for (const { value, read } of all) expect(read(reader)).toStrictEqual(value);
    }),
  );
});

test("what is another kind of item is told, and is no number", () => {
  expect(new CborReader(encode("1")).unsigned()).toBeNaN();
  expect(new CborReader(encode(1.5)).unsigned()).toBeNaN();
  expect(new CborReader(encode(-1)).unsigned()).toBeNaN();
  expect(new CborReader(Buffer.from("1bffffffffffffffff", "hex")).unsigned()).toBeNaN();
  expect(new CborReader(encode(-1)).unsignedOrMinusOne()).toBe(-1);
  expect(new CborReader(encode(-2)).unsignedOrMinusOne()).toBeNaN();
  expect(new CborReader(encode({})).arrayLength()).toBeNaN();
  expect(new CborReader(encode([])).mapLength()).toBeNaN();
  expect(new CborReader(encode(1)).text()).toBeUndefined();
  expect(new CborReader(encode("a")).byteString()).toBeUndefined();
});
