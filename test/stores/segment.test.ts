/** Damage to a segment: whatever happens to its bytes, what comes out was put in. */
import fc from "fast-check";
import type { CapsuleSummary } from "hindcast";
import { describe, expect, test } from "vitest";
import { type DamagedStretch, decodeRecords, encodeRecords } from "../../src/stores/segment.js";
import type { StoredCapsule } from "../../src/stores/store.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const RUNS = isLong ? 2_000 : 60;

/** The first bytes of every record: to be met inside of capsules as well. */
const SIGNATURE = [0xd9, 0xd9, 0xf7, 0x84, 0x01, 0x1a];

const names = fc.constantFrom("approve-loan", "naïve 🙂", "");
const summaries: fc.Arbitrary<CapsuleSummary> = fc.record({
  id: fc.uuid({ version: 7 }),
  service: names,
  pipeline: names,
  startedAt: fc.integer({ min: 0, max: 4e12 }),
  duration: fc.double({ min: 0, max: 1e6, noNaN: true }),
  status: fc.constantFrom("ok", "error"),
  violations: fc.nat(300),
  versions: fc.array(fc.constantFrom("risk@7", "features@3")),
  exact: fc.boolean(),
  traceId: fc.option(fc.constant("0af7651916cd43dd8448eb211c80319c"), { nil: undefined }),
  kept: fc.constantFrom("all", "errors"),
});

const contents = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc
    .array(fc.oneof(fc.constant(SIGNATURE), fc.array(fc.nat(255), { maxLength: 7 })), { maxLength: 8 })
    .map((parts) => Uint8Array.from(parts.flat())),
);

const segments: fc.Arbitrary<readonly StoredCapsule[]> = fc.array(
  fc.record({ summary: summaries, bytes: contents }),
  { minLength: 1, maxLength: 4 },
);

interface Reading {
  readonly capsules: readonly StoredCapsule[];
  readonly damage: readonly DamagedStretch[];
}

function read(segment: Buffer): Reading {
  const damage: DamagedStretch[] = [];
  return { capsules: [...decodeRecords(segment, (stretch) => damage.push(stretch))], damage };
}

function sameCapsule(a: StoredCapsule | undefined, b: StoredCapsule): boolean {
  return (
    a !== undefined &&
    Buffer.compare(a.bytes, b.bytes) === 0 &&
    Buffer.compare(encodeRecords([a]), encodeRecords([b])) === 0
  );
}

/** toEqual over thousands of readings is what would take the time. */
function mustBeCapsules(actual: readonly StoredCapsule[], expected: readonly StoredCapsule[]): void {
  if (
    actual.length !== expected.length ||
    !expected.every((capsule, index) => sameCapsule(actual[index], capsule))
  ) {
    expect(actual).toEqual(expected);
    throw new Error("capsules differ in their bytes");
  }
}

/** Where each record ends. */
function endsOf(capsules: readonly StoredCapsule[]): number[] {
  return capsules.map((_, index) => encodeRecords(capsules.slice(0, index + 1)).length);
}

describe("G9: a segment", () => {
  test("gives back what was put in, and reports no damage", () => {
    fc.assert(
      fc.property(segments, (capsules) => {
        const { capsules: found, damage } = read(encodeRecords(capsules));
        mustBeCapsules(found, capsules);
        expect(damage).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test("cut at any byte gives every capsule that is whole, and reports the rest", () => {
    fc.assert(
      fc.property(segments, (capsules) => {
        const segment = encodeRecords(capsules);
        const ends = endsOf(capsules);
        for (let cut = 0; cut < segment.length; cut++) {
          const { capsules: found, damage } = read(segment.subarray(0, cut));
          const whole = ends.filter((end) => end <= cut).length;
          const offset = whole === 0 ? 0 : (ends[whole - 1] as number);
          mustBeCapsules(found, capsules.slice(0, whole));
          const bytes = damage.reduce((sum, stretch) => sum + stretch.bytes, 0);
          if (bytes !== cut - offset)
            expect({ cut, damage }).toEqual({ cut, damage: `${cut - offset} bytes` });
          if (cut > offset && damage.at(-1)?.tail !== true) expect(damage).toMatchObject([{ tail: true }]);
        }
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    );
  });

  test("with any one byte changed loses that record alone, and reports it", () => {
    fc.assert(
      fc.property(segments, fc.infiniteStream(fc.integer({ min: 1, max: 255 })), (capsules, changes) => {
        const segment = encodeRecords(capsules);
        const ends = endsOf(capsules);
        for (let position = 0; position < segment.length; position++) {
          const change = changes.next().value ?? 1;
          segment[position] = (segment[position] as number) ^ change;
          const { capsules: found, damage } = read(segment);
          segment[position] = (segment[position] as number) ^ change;
          const damaged = ends.findIndex((end) => position < end);
          mustBeCapsules(
            found,
            capsules.filter((_, index) => index !== damaged),
          );
          const start = damaged === 0 ? 0 : (ends[damaged - 1] as number);
          const bytes = damage.reduce((sum, stretch) => sum + stretch.bytes, 0);
          if (bytes !== (ends[damaged] as number) - start || damage[0]?.offset !== start) {
            expect({ position, change, damage }).toEqual({ position, change, damage: "of the whole record" });
          }
        }
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    );
  });

  test("with a stretch overwritten, cut out or put in gives nothing that was not put in", () => {
    const damage = fc.record({
      kind: fc.constantFrom("overwrite", "cut out", "put in", "repeat"),
      at: fc.nat(10_000),
      length: fc.integer({ min: 1, max: 400 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    });
    fc.assert(
      fc.property(segments, fc.array(damage, { minLength: 1, maxLength: 3 }), (capsules, damages) => {
        let segment = encodeRecords(capsules);
        for (const { kind, at, length, bytes } of damages) {
          const start = at % (segment.length + 1);
          const [before, stretch, after] = [
            segment.subarray(0, start),
            segment.subarray(start, start + length),
            segment.subarray(start + length),
          ];
          const middle = {
            overwrite: [bytes],
            "cut out": [],
            "put in": [bytes, stretch],
            repeat: [stretch, stretch],
          };
          segment = Buffer.concat([before, ...middle[kind], after]);
        }
        for (const capsule of read(segment).capsules) {
          if (!capsules.some((candidate) => sameCapsule(capsule, candidate)))
            expect(capsules).toContain(capsule);
        }
      }),
      { numRuns: RUNS * 20 },
    );
  });

  test("of anything at all gives nothing, and does not throw", () => {
    fc.assert(
      fc.property(contents, (bytes) => {
        const { capsules, damage } = read(Buffer.from(bytes));
        expect(capsules).toEqual([]);
        expect(damage.reduce((sum, stretch) => sum + stretch.bytes, 0)).toBe(bytes.length);
      }),
      { numRuns: RUNS * 5 },
    );
  });

  test("whose damaged record holds a copy of another segment gives nothing of the copy", () => {
    const [inner, outer] = fc.sample(segments, { numRuns: 2, seed: 7 });
    const copied = encodeRecords(inner ?? []);
    const capsules = [{ summary: outer?.[0]?.summary as CapsuleSummary, bytes: Uint8Array.from(copied) }];
    const segment = encodeRecords(capsules);
    mustBeCapsules(read(segment).capsules, capsules);
    segment[10] = (segment[10] as number) ^ 1;
    expect(read(segment).capsules).toEqual([]);
  });

  test("of which one record says that it is of 4 GB is read at once", () => {
    const capsules = (fc.sample(segments, { numRuns: 20, seed: 3 }) as StoredCapsule[][]).flat();
    const segment = encodeRecords(capsules);
    segment.writeUInt32BE(0xffff_ffff, SIGNATURE.length + 4 + 1);
    mustBeCapsules(read(segment).capsules, capsules.slice(1));
  });

  test("of signatures alone is read in time that grows with its size", () => {
    // Each could begin a record as long as the rest: a reader that checked each sum to the end would be quadratic.
    const count = isLong ? 400_000 : 100_000;
    const head = Buffer.from([...SIGNATURE, 1, 2, 3, 4, 0x5a, 0, 0, 0, 1, 7, 0x5a, 0, 0, 0, 1, 7]);
    const begun = performance.now();
    expect(read(Buffer.concat(Array.from({ length: count }, () => head))).capsules).toEqual([]);
    expect(performance.now() - begun).toBeLessThan(isLong ? 10_000 : 3_000);
  });
});

test("a segment's records are CBOR, one after the other", async () => {
  const { decodeFirst } = await import("cborg");
  const capsules = fc.sample(segments, { numRuns: 1, seed: 11 })[0] ?? [];
  let rest: Uint8Array = encodeRecords(capsules);
  const tags = { 55799: (content: () => unknown) => content() };
  for (const capsule of capsules) {
    const [item, remainder] = decodeFirst(rest, { tags }) as [unknown[], Uint8Array];
    expect(item).toHaveLength(4);
    expect(item[0]).toBe(1);
    expect(Buffer.compare(item[3] as Uint8Array, capsule.bytes)).toBe(0);
    rest = remainder;
  }
  expect(rest).toHaveLength(0);
});
