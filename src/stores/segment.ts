/**
 * A segment: a file that is only ever appended to. It is a CBOR sequence (RFC 8742) of groups of capsules (`group.ts`),
 * blocks of compressed ones (`block.ts`), and records of single ones (`record.ts`).
 *
 * The checksum of each starts from its position in the file: a recorded value that happens to hold a
 * segment's bytes is not taken for records when the one around it is damaged.
 *
 * Lengths are of fixed width, so that each record begins with the same bytes. After damage the reader
 * goes on at the next place where those bytes begin a record whose checksum is right.
 */
import type { CapsuleSummary } from "../capsule/capsule.js";
import { Scratch } from "../capsule/scratch.js";
import { decodeSummary, SummaryEncoder } from "../capsule/summary-codec.js";
import { isHindcastError } from "../errors.js";
import { type Block, blockAt, blockOf, type BlockParts, encodeBlock, entriesOf, inflated } from "./block.js";
import { Deflater } from "./deflater.js";
import { capsuleOf, encodeGroup, type Group, groupAt, type GroupEntry, groupOf } from "./group.js";
import { encodeRecord, type PlainRecord, recordAt, recordOf } from "./record.js";
import { PREFIX } from "./record-head.js";
import type { StoredCapsule } from "./store.js";

/**
 * Capsules that are together in a group or a block. What one damaged byte may cost; and twice the window of deflate, so
 * that larger blocks would hardly compress better.
 */
const TOGETHER_BYTES = 64 * 1024;
/** What a summary counts for. */
const SUMMARY_BYTES = 256;

/** A stretch of a segment that is no record. */
export interface DamagedStretch {
  readonly offset: number;
  readonly bytes: number;
  /** True at the end of the segment: a write that was cut off, or is under way. */
  readonly tail: boolean;
}

/** Such a stretch, and the file it is in. */
export interface DamagedSegment extends DamagedStretch {
  readonly file: string;
}

/** Capsules that are ready to be written, anywhere. */
export type Packed = readonly One[];

type One = Block | Group | PlainRecord;

/** Does what of the work is the same at any position of a segment. */
export interface Packer {
  /** To be called when what the last call gave has been released. */
  pack(capsules: readonly StoredCapsule[]): Packed | Promise<Packed>;
  /** What the last call gave is not used any more. */
  release(): void;
  close(): void;
}

export function createPacker(compression: "deflate" | "none"): Packer {
  const deflater = compression === "deflate" ? new Deflater() : undefined;
  const summaries = new SummaryEncoder();
  const scratch = new Scratch();

  const plain = (capsules: readonly StoredCapsule[], from: number, to: number, into: One[]): void => {
    for (let index = from; index < to; ) {
      const group = groupOf(capsules, index, to, summaries, scratch);
      into.push(group ?? recordOf(capsules[index] as StoredCapsule));
      index += group?.count ?? 1;
    }
  };

  const compressed = async (capsules: readonly StoredCapsule[], by: Deflater): Promise<Packed> => {
    const packed: One[] = [];
    for (let from = 0; from < capsules.length; ) {
      const to = togetherFrom(capsules, from);
      // One after the other: a service needs the other threads of the pool itself.
      const block = await blockOf(capsules.slice(from, to), summaries, scratch, by);
      if (block === undefined) plain(capsules, from, to, packed);
      else packed.push(block);
      from = to;
    }
    return packed;
  };

  return {
    pack(capsules) {
      if (deflater !== undefined) return compressed(capsules, deflater);
      const packed: One[] = [];
      for (let from = 0; from < capsules.length; ) {
        const to = togetherFrom(capsules, from);
        plain(capsules, from, to, packed);
        from = to;
      }
      return packed;
    },
    release: () => scratch.reset(),
    close: () => deflater?.close(),
  };
}

/** Of the capsules that begin at `from`, where those end that are damaged together, or compressed together. */
function togetherFrom(capsules: readonly StoredCapsule[], from: number): number {
  let room = TOGETHER_BYTES;
  let to = from;
  for (; to < capsules.length; to++) {
    room -= (capsules[to] as StoredCapsule).bytes.byteLength + SUMMARY_BYTES;
    if (room < 0) break;
  }
  return Math.max(to, from + 1);
}

/** Packed capsules, in pieces to be written one after the other from `position` of the segment. */
export function encodeSegment(packed: Packed, position: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = position;
  for (const one of packed) {
    for (const piece of encoded(one, at)) pieces.push(piece);
    at += one.size;
  }
  return pieces;
}

function encoded(one: One, position: number): Uint8Array[] {
  switch (one.kind) {
    case "group":
      return encodeGroup(one, position);
    case "block":
      return [encodeBlock(one, position)];
    case "record":
      return encodeRecord(one, position);
  }
}

/**
 * The capsules of a segment. `select` looks at an undecoded summary, and decodes it or passes over the capsule,
 * which is then not read, and so not found to be damaged.
 */
export function* decodeSegment(
  segment: Buffer,
  onDamage: (stretch: DamagedStretch) => void,
  select: Select = decodeSummary,
): Generator<StoredCapsule> {
  let offset = 0;
  let damagedFrom: number | undefined;
  const endDamage = (end: number): void => {
    if (damagedFrom !== undefined) {
      onDamage({ offset: damagedFrom, bytes: end - damagedFrom, tail: end === segment.length });
    }
    damagedFrom = undefined;
  };
  while (offset < segment.length) {
    const found = readAt(segment, offset, select);
    if (found === undefined) {
      damagedFrom ??= offset;
      const next = segment.indexOf(PREFIX, offset + 1);
      offset = next === -1 ? segment.length : next;
      continue;
    }
    endDamage(offset);
    for (const one of found.capsules) {
      if ("damagedFrom" in one) {
        damagedFrom ??= one.damagedFrom;
      } else {
        endDamage(one.start);
        if (one.capsule !== undefined) yield one.capsule;
      }
    }
    offset = found.end;
  }
  endDamage(segment.length);
}

/** Decodes an undecoded summary, or passes over the capsule. */
type Select = (summary: Buffer) => CapsuleSummary | undefined;

interface Reading {
  readonly capsules: readonly Read[];
  readonly end: number;
}

/** A capsule, or none where it was passed over; or damage, up to the next. */
type Read =
  | { readonly start: number; readonly capsule: StoredCapsule | undefined }
  | { readonly damagedFrom: number };

/** What begins at `start`; undefined where nothing does that is whole. */
function readAt(segment: Buffer, start: number, select: Select): Reading | undefined {
  const group = groupAt(segment, start);
  if (group !== undefined) {
    return { capsules: group.entries.map((entry) => readEntry(segment, entry, select)), end: group.end };
  }
  return unlessNoSummary(() => {
    const record = recordAt(segment, start);
    if (record !== undefined) {
      const summary = select(record.summary);
      const capsule = summary && { summary, bytes: Uint8Array.from(record.bytes) };
      return { capsules: [{ start, capsule }], end: record.end };
    }
    const block = blockAt(segment, start);
    const capsules = block && capsulesOf(block, select);
    return capsules && { capsules: capsules.map((capsule) => ({ start, capsule })), end: block.end };
  });
}

function readEntry(segment: Buffer, entry: GroupEntry, select: Select): Read {
  const { start, end } = entry;
  const damaged = { damagedFrom: start };
  if (end > segment.length) return damaged;
  const read = unlessNoSummary(() => {
    const summary = select(entry.summary);
    if (summary === undefined) return { start, capsule: undefined };
    const bytes = capsuleOf(segment, entry);
    return bytes === undefined ? damaged : { start, capsule: { summary, bytes: Uint8Array.from(bytes) } };
  });
  return read ?? damaged;
}

/** Undefined where there is a summary that is none, its checksum right: this library has not written it. */
function unlessNoSummary<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isHindcastError(error)) return undefined;
    throw error;
  }
}

function capsulesOf(block: BlockParts, select: Select): readonly StoredCapsule[] | undefined {
  const entries = entriesOf(block);
  if (entries === undefined) return undefined;
  const selected = entries.flatMap(({ summary: undecoded, start, end }) => {
    const summary = select(undecoded);
    return summary === undefined ? [] : [{ summary, start, end }];
  });
  if (selected.length === 0) return [];
  const all = inflated(block.capsules);
  // Copied: whoever keeps one capsule does not keep the block.
  return (
    all &&
    selected.map(({ summary, start, end }) => ({ summary, bytes: Uint8Array.from(all.subarray(start, end)) }))
  );
}
