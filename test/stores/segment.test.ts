/** Damage to a segment: whatever happens to its bytes, what comes out was put in. */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import type { CapsuleSummary } from "hindcast";
import { describe, expect, test } from "vitest";
import { encodeSummary } from "../../src/capsule/summary-codec.js";
import { type Block, entriesOf, sizeOfBlock } from "../../src/stores/block.js";
import { sizeOfRecord } from "../../src/stores/record.js";
import {
  createPacker,
  type DamagedStretch,
  decodeSegment,
  encodeSegment,
  type Packed,
} from "../../src/stores/segment.js";
import type { StoredCapsule } from "../../src/stores/store.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const RUNS = isLong ? 2_000 : 60;

/** The first bytes of every plain record: to be met inside of capsules as well. */
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

const capsule: fc.Arbitrary<StoredCapsule> = fc.record({ summary: summaries, bytes: contents });

/** What is handed to `append`, one after the other. */
const batches: fc.Arbitrary<readonly (readonly StoredCapsule[])[]> = fc.array(
  fc.array(capsule, { minLength: 1, maxLength: 4 }),
  { minLength: 1, maxLength: 3 },
);

type Compression = "deflate" | "none";

/** What is damaged as a whole: a plain record, or a block. */
interface Unit {
  readonly start: number;
  readonly end: number;
  readonly capsules: readonly StoredCapsule[];
}

interface Written {
  readonly segment: Buffer;
  readonly units: readonly Unit[];
  readonly blocks: number;
}

async function write(
  appended: readonly (readonly StoredCapsule[])[],
  compression: Compression,
): Promise<Written> {
  const pieces: Uint8Array[] = [];
  const units: Unit[] = [];
  let position = 0;
  let blocks = 0;
  const packer = createPacker(compression);
  for (const batch of appended) {
    const packed = await packer.pack(batch);
    pieces.push(...[...encodeSegment(packed, position)].flat());
    let taken = 0;
    const add = (size: number, count: number): void => {
      units.push({ start: position, end: position + size, capsules: batch.slice(taken, taken + count) });
      position += size;
      taken += count;
    };
    for (const one of packed) {
      if ("capsules" in one) {
        blocks += 1;
        add(sizeOfBlock(one), entriesOf(one)?.length ?? 0);
      } else {
        for (const record of one) add(sizeOfRecord(record), 1);
      }
    }
  }
  packer.close();
  return { segment: Buffer.concat(pieces), units, blocks };
}

const capsulesOf = (units: readonly Unit[]): StoredCapsule[] => units.flatMap(({ capsules }) => capsules);

interface Reading {
  readonly capsules: readonly StoredCapsule[];
  readonly damage: readonly DamagedStretch[];
}

function read(segment: Buffer): Reading {
  const damage: DamagedStretch[] = [];
  return { capsules: [...decodeSegment(segment, (stretch) => damage.push(stretch))], damage };
}

function sameCapsule(a: StoredCapsule | undefined, b: StoredCapsule): boolean {
  return (
    a !== undefined &&
    Buffer.compare(a.bytes, b.bytes) === 0 &&
    Buffer.compare(encodeSummary(a.summary), encodeSummary(b.summary)) === 0
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

const changed = (bytes: Buffer, position: number, change: number): void => {
  bytes[position] = (bytes[position] as number) ^ change;
};

describe.each<Compression>(["none", "deflate"])("G9: a segment, compression %s,", (compression) => {
  test("gives back what was put in, and reports no damage", async () => {
    let blocks = 0;
    await fc.assert(
      fc.asyncProperty(batches, async (appended) => {
        const written = await write(appended, compression);
        blocks += written.blocks;
        const { capsules: found, damage } = read(written.segment);
        mustBeCapsules(found, appended.flat());
        expect(damage).toEqual([]);
      }),
      { numRuns: RUNS },
    );
    expect(blocks > 0).toBe(compression === "deflate");
  });

  test("of capsules of any size gives them back, byte for byte", async () => {
    const sizes = fc.array(fc.oneof(fc.nat(200), fc.nat(20_000), fc.integer({ min: 60_000, max: 140_000 })), {
      minLength: 1,
      maxLength: 12,
    });
    const kinds = fc.infiniteStream(fc.constantFrom("noise", "text", "zeros"));
    await fc.assert(
      fc.asyncProperty(sizes, kinds, summaries, async (lengths, drawn, summary) => {
        const capsules = lengths.map((length, index) => {
          const kind = drawn.next().value ?? "text";
          const bytes = Uint8Array.from({ length }, (_, at) =>
            kind === "zeros"
              ? 0
              : kind === "text"
                ? (at * index) % 61
                : (Math.imul(at + length, 2654435761) >>> 13) & 255,
          );
          return { summary, bytes };
        });
        const written = await write([capsules], compression);
        mustBeCapsules(read(written.segment).capsules, capsules);
        for (const unit of written.units) {
          const bytes = unit.capsules.reduce((sum, one) => sum + one.bytes.byteLength, 0);
          if (unit.capsules.length > 1 && bytes > 65_536) expect(bytes).toBeLessThanOrEqual(65_536);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("cut at any byte gives every capsule that is whole, and reports the rest", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (appended) => {
        const { segment, units } = await write(appended, compression);
        for (let cut = 0; cut < segment.length; cut++) {
          const { capsules: found, damage } = read(segment.subarray(0, cut));
          const whole = units.filter(({ end }) => end <= cut);
          const offset = whole.at(-1)?.end ?? 0;
          mustBeCapsules(found, capsulesOf(whole));
          const bytes = damage.reduce((sum, stretch) => sum + stretch.bytes, 0);
          if (bytes !== cut - offset)
            expect({ cut, damage }).toEqual({ cut, damage: `${cut - offset} bytes` });
          if (cut > offset && damage.at(-1)?.tail !== true) expect(damage).toMatchObject([{ tail: true }]);
        }
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  test("with any one byte changed loses that record or block alone, and reports it", async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.infiniteStream(fc.integer({ min: 1, max: 255 })),
        async (appended, changes) => {
          const { segment, units } = await write(appended, compression);
          for (let position = 0; position < segment.length; position++) {
            const change = changes.next().value ?? 1;
            changed(segment, position, change);
            const { capsules: found, damage } = read(segment);
            changed(segment, position, change);
            const damaged = units.find(({ end }) => position < end) as Unit;
            mustBeCapsules(found, capsulesOf(units.filter((unit) => unit !== damaged)));
            const bytes = damage.reduce((sum, stretch) => sum + stretch.bytes, 0);
            if (bytes !== damaged.end - damaged.start || damage[0]?.offset !== damaged.start) {
              expect({ position, change, damage }).toEqual({
                position,
                change,
                damage: "of the whole record",
              });
            }
          }
        },
      ),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });

  test("with a stretch overwritten, cut out or put in gives nothing that was not put in", async () => {
    const damage = fc.record({
      kind: fc.constantFrom("overwrite", "cut out", "put in", "repeat"),
      at: fc.nat(10_000),
      length: fc.integer({ min: 1, max: 400 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.array(damage, { minLength: 1, maxLength: 3 }),
        async (appended, damages) => {
          let { segment } = await write(appended, compression);
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
          const capsules = appended.flat();
          for (const found of read(segment).capsules) {
            if (!capsules.some((candidate) => sameCapsule(found, candidate)))
              expect(capsules).toContain(found);
          }
        },
      ),
      { numRuns: RUNS * 10 },
    );
  });

  test("whose damaged record holds a copy of another segment gives nothing of the copy", async () => {
    const [inner = [], outer = []] = fc.sample(batches, { numRuns: 2, seed: 7 });
    const { segment: copied } = await write(inner, compression);
    // Noise around it, so that it lies in the block as it is.
    const noise = Uint8Array.from({ length: 60_000 }, (_, at) => (Math.imul(at, 2654435761) >>> 13) & 255);
    const capsules = [
      { summary: outer[0]?.[0]?.summary as CapsuleSummary, bytes: Buffer.concat([noise, copied, noise]) },
    ];
    const { segment } = await write([capsules], compression);
    mustBeCapsules(read(segment).capsules, capsules);
    changed(segment, 10, 1);
    expect(read(segment).capsules).toEqual([]);
  });
});

describe("G9: a segment", () => {
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

  test("of which one record says that it is of 4 GB is read at once", async () => {
    const capsules = fc.sample(capsule, { numRuns: 20, seed: 3 });
    const { segment } = await write([capsules], "none");
    segment.writeUInt32BE(0xffff_ffff, SIGNATURE.length + 4 + 1);
    mustBeCapsules(read(segment).capsules, capsules.slice(1));
  });

  test.each([
    ["plain records", [...SIGNATURE, 1, 2, 3, 4, 0x5a, 0, 0, 0, 1, 7, 0x5a, 0, 0, 0, 1, 7]],
    [
      "blocks",
      [
        0xd9, 0xd9, 0xf7, 0x86, 2, 0x1a, 1, 2, 3, 4, 0x1a, 0, 0, 0, 1, 0x5a, 0, 0, 0, 1, 7, 0x1a, 0, 0, 0, 1,
        0x5a, 0, 0, 0, 1, 7,
      ],
    ],
  ])("of heads of %s alone is read in time that grows with its size", (_name, bytes) => {
    // Each could begin a record as long as the rest: a reader that checked each sum to the end would be quadratic.
    const count = isLong ? 400_000 : 100_000;
    const head = Buffer.from(bytes);
    const begun = performance.now();
    expect(read(Buffer.concat(Array.from({ length: count }, () => head))).capsules).toEqual([]);
    expect(performance.now() - begun).toBeLessThan(isLong ? 10_000 : 3_000);
  });
});

describe("G9: a block that lies, its checksum right,", () => {
  const [before, lying, after] = fc.sample(fc.array(capsule, { minLength: 4, maxLength: 4 }), {
    numRuns: 3,
    seed: 5,
  }) as [StoredCapsule[], StoredCapsule[], StoredCapsule[]];

  async function readAround(lie: (block: Block) => Block): Promise<Reading> {
    const packer = createPacker("deflate");
    const packed: Packed[number][] = [];
    for (const batch of [before, lying, after]) packed.push(...(await packer.pack(batch)));
    packer.close();
    expect(packed.map((one) => "capsules" in one)).toEqual([true, true, true]);
    const lied = packed.map((one, index) => (index === 1 ? lie(one as Block) : one));
    return read(Buffer.concat([...encodeSegment(lied, 0)].flat()));
  }

  const deflated = (raw: Uint8Array, rawLength = raw.byteLength): Block["capsules"] => ({
    rawLength,
    bytes: deflateRawSync(raw),
  });
  const bomb = deflateRawSync(Buffer.alloc(50_000_000));

  test.each<[string, (block: Block) => Block]>([
    [
      "says more bytes of capsules",
      (block) => ({ ...block, capsules: { ...block.capsules, rawLength: block.capsules.rawLength + 1 } }),
    ],
    [
      "says fewer bytes of capsules",
      (block) => ({ ...block, capsules: { ...block.capsules, rawLength: block.capsules.rawLength - 1 } }),
    ],
    [
      "says more bytes of summaries",
      (block) => ({ ...block, summaries: { ...block.summaries, rawLength: block.summaries.rawLength + 1 } }),
    ],
    [
      "says fewer bytes of summaries",
      (block) => ({ ...block, summaries: { ...block.summaries, rawLength: block.summaries.rawLength - 1 } }),
    ],
    ["says 4 GB", (block) => ({ ...block, summaries: { ...block.summaries, rawLength: 0xffff_ffff } })],
    [
      "would inflate beyond what it says",
      (block) => ({ ...block, capsules: { ...block.capsules, bytes: bomb } }),
    ],
    [
      "would inflate its summaries beyond what it says",
      (block) => ({ ...block, summaries: { rawLength: bomb.length + 1, bytes: bomb } }),
    ],
    [
      "holds what is no deflate",
      (block) => ({ ...block, capsules: { ...block.capsules, bytes: Buffer.from([0xff, 0xff, 0xff]) } }),
    ],
    ["holds summaries that are none", (block) => ({ ...block, summaries: deflated(Buffer.alloc(1000)) })],
    [
      "holds one summary that is none",
      (block) => {
        const list = inflateRawSync(block.summaries.bytes);
        list.fill(0xff, 6, 20);
        return { ...block, summaries: deflated(list) };
      },
    ],
    [
      "holds half the summaries",
      (block) => ({ ...block, summaries: deflated(inflateRawSync(block.summaries.bytes).subarray(0, 300)) }),
    ],
  ])("%s: it is damage, and the others are read", async (_name, lie) => {
    const begun = performance.now();
    const { capsules, damage } = await readAround(lie);
    mustBeCapsules(capsules, [...before, ...after]);
    expect(damage).toMatchObject([{ tail: false }]);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  test("says the truth: all are read", async () => {
    mustBeCapsules((await readAround((block) => block)).capsules, [...before, ...lying, ...after]);
  });
});

describe("a segment is CBOR, one item after the other", () => {
  const tags = { 55799: (content: () => unknown) => content() };
  const sample =
    fc.sample(fc.array(capsule, { minLength: 4, maxLength: 4 }), { numRuns: 1, seed: 11 })[0] ?? [];

  test("plain records", async () => {
    const { decodeFirst } = await import("cborg");
    let { segment: rest }: { segment: Uint8Array } = await write([sample], "none");
    for (const { bytes } of sample) {
      const [item, remainder] = decodeFirst(rest, { tags }) as [unknown[], Uint8Array];
      expect(item).toHaveLength(4);
      expect(item[0]).toBe(1);
      expect(Buffer.compare(item[3] as Uint8Array, bytes)).toBe(0);
      rest = remainder;
    }
    expect(rest).toHaveLength(0);
  });

  test("a block", async () => {
    const { decode } = await import("cborg");
    const { segment, blocks } = await write([sample], "deflate");
    expect(blocks).toBe(1);
    const item = decode(segment, { tags }) as unknown[];
    expect(item).toHaveLength(6);
    expect(item[0]).toBe(2);
    expect(item[2]).toBe(inflateRawSync(item[3] as Uint8Array).length);
    const bytes = Buffer.concat(sample.map((one) => one.bytes));
    expect(item[4]).toBe(bytes.length);
  });
});

test.each<Compression>(["none", "deflate"])(
  "a capsule of no bytes comes back, compression %s",
  async (compression) => {
    const [sample] = fc.sample(capsule, { numRuns: 1, seed: 13 }) as [StoredCapsule];
    const empty = { ...sample, bytes: Uint8Array.from([]) };
    for (const batch of [[empty], [sample, empty], [empty, sample]]) {
      const { segment } = await write([batch], compression);
      mustBeCapsules(read(segment).capsules, batch);
    }
  },
);

test("a segment of plain records that an earlier version wrote is read", () => {
  // Laid out by hand, as the specification of the first kind says.
  const [{ summary, bytes }] = fc.sample(capsule, { numRuns: 1, seed: 9 }) as [StoredCapsule];
  const head = (kind: number, value: number): number[] => [
    kind,
    ...Buffer.from(Uint32Array.of(value).buffer).reverse(),
  ];
  const encoded = encodeSummary(summary);
  const segment = Buffer.from([
    ...[0xd9, 0xd9, 0xf7, 0x84, 0x01],
    ...head(0x1a, crc32(bytes, crc32(encoded, 0))),
    ...head(0x5a, encoded.byteLength),
    ...encoded,
    ...head(0x5a, bytes.byteLength),
    ...bytes,
  ]);
  mustBeCapsules(read(segment).capsules, [{ summary, bytes }]);
});
