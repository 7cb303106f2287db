/** Damage to a segment: whatever happens to its bytes, what comes out was put in. */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";
import { decode, decodeFirst, encode } from "cborg";
import fc from "fast-check";
import type { CapsuleSummary } from "hindcast";
import { describe, expect, test } from "vitest";
import { decodeSummary, encodeSummary } from "../../src/capsule/summary-codec.js";
import { blockAt, type BlockParts, encodeBlock } from "../../src/stores/block.js";
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

/** The first bytes of every record of one capsule, and of every group: to be met inside of capsules as well. */
const SIGNATURES = [
  [0xd9, 0xd9, 0xf7, 0x84, 0x01, 0x1a],
  [0xd9, 0xd9, 0xf7, 0x84, 0x03, 0x1a],
];

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
    .array(fc.oneof(fc.constantFrom(...SIGNATURES), fc.array(fc.nat(255), { maxLength: 7 })), {
      maxLength: 8,
    })
    .map((parts) => Uint8Array.from(parts.flat())),
);

/** Bytes that begin as a capsule does; a store looks no further. */
function enclose(body: Uint8Array, format = 2, checksum = crc32(body)): Uint8Array {
  const head = (major: number, argument: number): Uint8Array => {
    const encoded = encode(argument);
    encoded[0] = (encoded[0] as number) | major;
    return encoded;
  };
  const start = Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x68, ...Buffer.from("hindcast")]);
  return Uint8Array.from(
    Buffer.concat([start, head(0, format), head(0, checksum), head(0x40, body.byteLength), body]),
  );
}

// A body has a checksum that fits into fewer bytes once in hundreds: here, once in three.
const shortChecksums = [new Uint8Array(), ...[1, 2].map((bytes) => bodyWithChecksumOf(bytes))];

function bodyWithChecksumOf(bytes: number): Uint8Array {
  for (let seed = 0; ; seed++) {
    const body = Buffer.from(String(seed));
    if (crc32(body) < 256 ** bytes) return body;
  }
}

const enclosed = fc
  .tuple(
    fc.oneof(contents, fc.constantFrom(...shortChecksums)),
    fc.constantFrom(1, 2, 2, 23, 24, 300, 70_000),
  )
  .map(([body, format]) => enclose(body, format));

const capsule: fc.Arbitrary<StoredCapsule> = fc.record({
  summary: summaries,
  bytes: fc.oneof({ weight: 2, arbitrary: enclosed }, { weight: 1, arbitrary: contents }),
});

/** What is handed to `append`, one after the other. */
const batches: fc.Arbitrary<readonly (readonly StoredCapsule[])[]> = fc.array(
  fc.array(capsule, { minLength: 1, maxLength: 4 }),
  { minLength: 1, maxLength: 3 },
);

type Compression = "deflate" | "none";

const SIGNATURE_BYTES = 6;

/** Where something lies in a segment. */
type Place = readonly [start: number, end: number];

/** Capsules that are lost where a byte of their places is: one, or those of a block. */
interface Unit {
  /** What a group begins with is a place of all capsules in it. */
  readonly head: Place | undefined;
  readonly own: Place;
  readonly capsules: readonly StoredCapsule[];
}

interface Written {
  readonly segment: Buffer;
  readonly units: readonly Unit[];
  readonly kinds: ReadonlySet<Packed[number]["kind"]>;
}

async function write(
  appended: readonly (readonly StoredCapsule[])[],
  compression: Compression,
): Promise<Written> {
  const pieces: Uint8Array[] = [];
  const units: Unit[] = [];
  const kinds = new Set<Packed[number]["kind"]>();
  let position = 0;
  const packer = createPacker(compression);
  for (const batch of appended) {
    const packed = await packer.pack(batch);
    // Copied: what a packer gives is valid until it is released.
    pieces.push(Buffer.concat(encodeSegment(packed, position)));
    packer.release();
    const left = [...batch];
    for (const one of packed) {
      kinds.add(one.kind);
      units.push(...unitsOf(one, left, position));
      position += one.size;
    }
  }
  packer.close();
  const segment = Buffer.concat(pieces);
  expect(segment.length).toBe(position);
  return { segment, units, kinds };
}

function unitsOf(one: Packed[number], left: StoredCapsule[], position: number): Unit[] {
  const own: Place = [position, position + one.size];
  if (one.kind === "record") return [{ head: undefined, own, capsules: left.splice(0, 1) }];
  if (one.kind === "block") return [{ head: undefined, own, capsules: left.splice(0, one.count) }];
  let start = position + one.capsulesAt - one.start;
  const head: Place = [position, start];
  return left.splice(0, one.count).map((capsule) => {
    const end = start + capsule.bytes.byteLength;
    const unit: Unit = { head, own: [start, end], capsules: [capsule] };
    start = end;
    return unit;
  });
}

const isIn = (position: number, [start, end]: Place): boolean => start <= position && position < end;

/** Those that a change there damages. */
const damagedAt = (units: readonly Unit[], position: number): Unit[] =>
  units.filter(({ head, own }) => isIn(position, own) || (head !== undefined && isIn(position, head)));

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
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(batches, async (appended) => {
        const written = await write(appended, compression);
        for (const kind of written.kinds) kinds.add(kind);
        const { capsules: found, damage } = read(written.segment);
        mustBeCapsules(found, appended.flat());
        expect(damage).toEqual([]);
      }),
      { numRuns: RUNS },
    );
    // A record among compressed ones is rare: its bytes are no capsule, and do not shrink.
    if (compression === "deflate") expect([...kinds]).toEqual(expect.arrayContaining(["block", "group"]));
    else expect([...kinds].toSorted()).toEqual(["group", "record"]);
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
          return { summary, bytes: index % 4 === 0 ? bytes : enclose(bytes) };
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
          const whole = units.filter(({ own: [, end] }) => end <= cut);
          const torn = units.find(({ own: [, end] }) => end > cut) as Unit;
          // Of a group that is whole up to its capsules, the damage begins with the first that is not all there.
          const isHeadTorn = torn.head !== undefined && torn.head[1] > cut;
          const offset = isHeadTorn ? torn.head[0] : torn.own[0];
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

  test("with any one byte changed loses that capsule or block alone, and reports it", async () => {
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
            const damaged = damagedAt(units, position);
            mustBeCapsules(found, capsulesOf(units.filter((unit) => !damaged.includes(unit))));
            const [first] = damaged as [Unit];
            const isInHead = first.head !== undefined && isIn(position, first.head);
            const start = isInHead ? first.head[0] : first.own[0];
            const end = (damaged.at(-1) as Unit).own[1];
            const bytes = damage.reduce((sum, stretch) => sum + stretch.bytes, 0);
            if (bytes !== end - start || damage[0]?.offset !== start || damage.length > 1) {
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

  test.each([
    ["is a capsule", enclose],
    ["is none", (bytes: Uint8Array) => bytes],
  ])(
    "whose damaged record holds a copy of another segment gives nothing of the copy, where it %s",
    async (_what, make) => {
      const [inner = [], outer = []] = fc.sample(batches, { numRuns: 2, seed: 7 });
      const { segment: copied } = await write(inner, compression);
      // Noise around it, so that it lies in the block as it is.
      const noise = Uint8Array.from({ length: 60_000 }, (_, at) => (Math.imul(at, 2654435761) >>> 13) & 255);
      const capsules = [
        {
          summary: outer[0]?.[0]?.summary as CapsuleSummary,
          bytes: make(Buffer.concat([noise, copied, noise])),
        },
      ];
      const { segment } = await write([capsules], compression);
      mustBeCapsules(read(segment).capsules, capsules);
      for (const position of [10, 1_000, segment.length - 1_000]) {
        changed(segment, position, 1);
        expect(read(segment).capsules).toEqual([]);
        changed(segment, position, 1);
      }
    },
  );
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
    const first = await write([capsules.slice(0, 4)], "none");
    const { segment, units } = await write([capsules.slice(0, 4), capsules.slice(4)], "none");
    const lost = first.units.filter(({ head }) => head?.[0] === first.units[0]?.head?.[0]);
    segment.writeUInt32BE(0xffff_ffff, SIGNATURE_BYTES + 4 + 1);
    mustBeCapsules(read(segment).capsules, capsulesOf(units.slice(lost.length)));
  });

  test.each([
    ["records", [0xd9, 0xd9, 0xf7, 0x84, 1, 0x1a, 1, 2, 3, 4, 0x5a, 0, 0, 0, 1, 7, 0x5a, 0, 0, 0, 1, 7]],
    ["groups", [0xd9, 0xd9, 0xf7, 0x84, 3, 0x1a, 1, 2, 3, 4, 0x5a, 0, 0, 0, 1, 7, 0x5a, 0, 0, 0, 1, 7]],
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

  async function readAround(lie: (block: BlockParts) => BlockParts): Promise<Reading> {
    const pieces: Uint8Array[] = [];
    let position = 0;
    for (const batch of [before, lying, after]) {
      const packer = createPacker("deflate");
      const [packed, ...more] = await packer.pack(batch);
      packer.close();
      if (packed?.kind !== "block" || more.length > 0) throw new Error("not one block");
      const block = Buffer.from(encodeBlock(packed, position));
      const parts = blockAt(Buffer.concat([...pieces, block]), position) as BlockParts;
      const written = batch === lying ? layOut(lie(parts), position) : block;
      pieces.push(written);
      position += written.length;
    }
    return read(Buffer.concat(pieces));
  }

  /** As the specification says. */
  function layOut({ summaries: list, capsules }: BlockParts, position: number): Buffer {
    const head = (kind: number, value: number): Buffer => {
      const bytes = Buffer.from([kind, 0, 0, 0, 0]);
      bytes.writeUInt32BE(value, 1);
      return bytes;
    };
    const covered = Buffer.concat(
      [list, capsules].flatMap(({ rawLength, bytes }) => [
        head(0x1a, rawLength),
        head(0x5a, bytes.byteLength),
        bytes,
      ]),
    );
    const start = Buffer.from([0xd9, 0xd9, 0xf7, 0x86, 0x02]);
    return Buffer.concat([start, head(0x1a, crc32(covered, position)), covered]);
  }

  const deflated = (raw: Uint8Array, rawLength = raw.byteLength): BlockParts["capsules"] => ({
    rawLength,
    bytes: deflateRawSync(raw),
  });
  const bomb = deflateRawSync(Buffer.alloc(50_000_000));

  test.each<[string, (block: BlockParts) => BlockParts]>([
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

  test("records, and groups", async () => {
    const [first] = sample as [StoredCapsule];
    const appended = [...sample, { summary: first.summary, bytes: Uint8Array.from([1, 2, 3]) }];
    const { segment, kinds } = await write([appended], "none");
    expect([...kinds].toSorted()).toEqual(["group", "record"]);
    const found: Uint8Array[] = [];
    for (let rest: Uint8Array = segment; rest.length > 0; ) {
      const [item, remainder] = decodeFirst(rest, { tags }) as [unknown[], Uint8Array];
      expect(item).toHaveLength(4);
      if (item[0] === 1) found.push(item[3] as Uint8Array);
      else found.push(...capsulesOfGroup(item));
      rest = remainder;
    }
    expect(found.map((bytes) => Buffer.from(bytes))).toEqual(appended.map(({ bytes }) => Buffer.from(bytes)));
  });

  function capsulesOfGroup([kind, , entries, capsules]: unknown[]): Uint8Array[] {
    expect(kind).toBe(3);
    const found: Uint8Array[] = [];
    let from = 0;
    for (let rest = entries as Uint8Array; rest.length > 0; ) {
      const [[summary, length, format, checksum], remainder] = decodeFirst(rest) as [
        [Uint8Array, number, number, number],
        Uint8Array,
      ];
      const bytes = (capsules as Uint8Array).subarray(from, from + length);
      expect(decodeSummary(summary)).toEqual(
        sample.find((one) => Buffer.compare(one.bytes, bytes) === 0)?.summary,
      );
      const [name, ...envelope] = decode(bytes, { tags }) as unknown[];
      expect(name).toBe("hindcast");
      expect(envelope.slice(0, 2)).toEqual([format, checksum]);
      found.push(bytes);
      from += length;
      rest = remainder;
    }
    return found;
  }

  test("a block", async () => {
    const { segment, kinds } = await write([sample], "deflate");
    expect([...kinds]).toEqual(["block"]);
    const item = decode(segment, { tags }) as unknown[];
    expect(item).toHaveLength(6);
    expect(item[0]).toBe(2);
    expect(item[2]).toBe(inflateRawSync(item[3] as Uint8Array).length);
    const bytes = Buffer.concat(sample.map((one) => one.bytes));
    expect(item[4]).toBe(bytes.length);
  });
});

describe("G9: a group", () => {
  const [whole] = fc.sample(
    fc.array(fc.record({ summary: summaries, bytes: enclosed }), { minLength: 5, maxLength: 5 }),
    {
      numRuns: 1,
      seed: 17,
    },
  ) as [StoredCapsule[]];

  test("whose capsule did not match its checksum when it was appended gives the others, and reports that one", async () => {
    const [, damaged] = whole as [StoredCapsule, StoredCapsule];
    const bytes = enclose(Buffer.from("of another body"), 2, 4711);
    const appended = [...whole.slice(0, 1), { ...damaged, bytes }, ...whole.slice(2)];
    const { segment, units } = await write([appended], "none");
    const { capsules, damage } = read(segment);
    mustBeCapsules(capsules, [...whole.slice(0, 1), ...whole.slice(2)]);
    const [offset] = (units[1] as Unit).own;
    expect(damage).toEqual([{ offset, bytes: bytes.length, tail: false }]);
  });

  test.each([
    ["one byte short", (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ["one byte long", (bytes: Uint8Array) => Uint8Array.from([...bytes, 0])],
    ["of another name", (bytes: Uint8Array) => bytes.map((byte, index) => (index === 6 ? byte + 1 : byte))],
    ["of a format beyond 32 bits", (bytes: Uint8Array) => withFormat(bytes, [0x1b, 0, 0, 0, 1, 0, 0, 0, 0])],
    ["of a format that is no number", (bytes: Uint8Array) => withFormat(bytes, [0x61, 0x32])],
    ["cut in its head", (bytes: Uint8Array) => bytes.subarray(0, 15)],
  ])("leaves bytes that are no capsule to a record, which gives them back: %s", async (_what, change) => {
    const appended = whole.map((one, index) => {
      if (index !== 2) return one;
      const bytes = Uint8Array.from(change(enclose(Buffer.from("a body of some bytes"))));
      return { summary: one.summary, bytes };
    });
    const { segment, kinds } = await write([appended], "none");
    expect([...kinds].toSorted()).toEqual(["group", "record"]);
    const { capsules, damage } = read(segment);
    mustBeCapsules(capsules, appended);
    expect(damage).toEqual([]);
  });

  const withFormat = (bytes: Uint8Array, format: readonly number[]): Uint8Array =>
    Uint8Array.from([...bytes.subarray(0, 13), ...format, ...bytes.subarray(14)]);

  test("gives what is asked for without reading the rest, and still tells where it is cut off", async () => {
    const { segment, units } = await write([whole], "none");
    const [wanted] = whole as [StoredCapsule];
    const select = (undecoded: Buffer): CapsuleSummary | undefined => {
      const summary = decodeSummary(undecoded);
      return summary.id === wanted.summary.id ? summary : undefined;
    };
    const readSelected = (bytes: Buffer): Reading => {
      const damage: DamagedStretch[] = [];
      return { capsules: [...decodeSegment(bytes, (stretch) => damage.push(stretch), select)], damage };
    };
    const [start, end] = (units[3] as Unit).own;
    changed(segment, end - 1, 1);
    expect(readSelected(segment)).toEqual({ capsules: [wanted], damage: [] });
    expect(readSelected(segment.subarray(0, end - 1))).toEqual({
      capsules: [wanted],
      damage: [{ offset: start, bytes: end - 1 - start, tail: true }],
    });
  });

  test("is of at most 64 KiB of capsules, or of one", async () => {
    const [{ summary }] = whole as [StoredCapsule];
    const capsules = [10_000, 10_000, 40_000, 10_000, 200_000, 100, 65_000, 65_000].map((length) => ({
      summary,
      bytes: enclose(new Uint8Array(length)),
    }));
    const { segment, units } = await write([capsules], "none");
    mustBeCapsules(read(segment).capsules, capsules);
    const groups = new Map<number | undefined, number[]>();
    for (const { head, own } of units)
      groups.set(head?.[0], [...(groups.get(head?.[0]) ?? []), own[1] - own[0]]);
    const sizes = [...groups.values()];
    expect(sizes.map((one) => one.length)).toEqual([3, 1, 1, 1, 1, 1]);
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
