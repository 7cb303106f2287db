/** The head of an envelope, read by hand, against a CBOR library. */
import { crc32 } from "node:zlib";
import { decode, encode } from "cborg";
import fc from "fast-check";
import { expect, test } from "vitest";
import { envelopeHeadOf } from "../../src/capsule/envelope.js";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";

const tags = { 55799: (content: () => unknown) => content() };

/** What a library says that it is; undefined where that is no envelope. */
function plainly(bytes: Uint8Array): ReturnType<typeof envelopeHeadOf> {
  if (Buffer.compare(bytes.subarray(0, 3), Buffer.from([0xd9, 0xd9, 0xf7])) !== 0) return undefined;
  let envelope: unknown;
  try {
    envelope = decode(bytes, { tags });
  } catch {
    return undefined; // no CBOR, or more than one item
  }
  if (!Array.isArray(envelope) || envelope.length !== 4) return undefined;
  const [name, format, checksum, body] = envelope as unknown[];
  const isUint = (value: unknown): value is number =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
  if (name !== "hindcast" || !isUint(format) || !isUint(checksum) || !(body instanceof Uint8Array))
    return undefined;
  return { format, checksum, bodyAt: bytes.length - body.length };
}

const envelopes = fc
  .tuple(
    fc.oneof(fc.constantFrom(0, 1, 2, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32), fc.nat()),
    fc.oneof(fc.constantFrom(0, 23, 24, 255, 256, 65_536, 2 ** 32 - 1), fc.nat()),
    fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.constantFrom(new Uint8Array(300), new Uint8Array(70_000))),
  )
  .map(([format, checksum, body]) =>
    Uint8Array.from([0xd9, 0xd9, 0xf7, ...encode(["hindcast", format, checksum, body])]),
  );

test("is what a CBOR library reads", () => {
  fc.assert(
    fc.property(envelopes, (bytes) => {
      expect(envelopeHeadOf(bytes)).toEqual(plainly(bytes));
    }),
  );
});

test("of an envelope that was cut, continued or changed is none, or what a CBOR library reads", () => {
  fc.assert(
    fc.property(envelopes, fc.nat(40), fc.nat(255), fc.nat(3), (bytes, position, change, cut) => {
      const changed = bytes.map((byte, index) => (index === position ? byte ^ change : byte));
      for (const one of [changed, bytes.subarray(0, position), changed.subarray(0, changed.length - cut)]) {
        const head = envelopeHeadOf(one);
        if (head !== undefined) expect(head).toEqual(plainly(one));
      }
      expect(envelopeHeadOf(Uint8Array.from([...bytes, change]))).toBeUndefined();
    }),
    { numRuns: 2_000 },
  );
});

test("of every capsule is found: else a store would read it to write it", () => {
  for (const valueBytes of [0, 10, 1_000, 100_000]) {
    const { bytes } = sampleCapsule({ valueBytes });
    const head = envelopeHeadOf(bytes);
    expect(head).toEqual(plainly(bytes));
    expect(crc32(bytes.subarray(head?.bodyAt))).toBe(head?.checksum);
  }
});
