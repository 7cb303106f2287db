/**
 * A segment: a file that is only ever appended to. It is a CBOR sequence (RFC 8742) of plain records
 * (`record.ts`) and blocks of compressed ones (`block.ts`).
 *
 * The checksum of each starts from its position in the file: a recorded value that happens to hold a
 * segment's bytes is not taken for records when the one around it is damaged.
 *
 * Lengths are of fixed width, so that each record begins with the same bytes. After damage the reader
 * goes on at the next place where those bytes begin a record whose checksum is right.
 */
import type { CapsuleSummary } from "../capsule/capsule.js";
import { decodeSummary, encodeSummary } from "../capsule/summary-codec.js";
import { isHindcastError } from "../errors.js";
import { type Block, blockAt, compress, encodeBlock, entriesOf, inflated, sizeOfBlock } from "./block.js";
import { Deflater } from "./deflater.js";
import { encodeRecords, type PlainRecord, recordAt, sizeOfRecord } from "./record.js";
import { PREFIX } from "./record-head.js";
import type { StoredCapsule } from "./store.js";

/** What is written at once. Less, and the hand-overs to the thread pool are what takes the time. */
const GROUP_BYTES = 256 * 1024;

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
export type Packed = readonly (Block | readonly PlainRecord[])[];

/** Does what of the work is the same at any position of a segment. */
export interface Packer {
  /** To be called when the last call has settled. */
  pack(capsules: readonly StoredCapsule[]): Promise<Packed>;
  close(): void;
}

export function createPacker(compression: "deflate" | "none"): Packer {
  const deflater = compression === "deflate" ? new Deflater() : undefined;
  return {
    async pack(capsules) {
      const records = capsules.map(({ summary, bytes }) => ({ summary: encodeSummary(summary), bytes }));
      return deflater === undefined ? [records] : compress(records, deflater);
    },
    close: () => deflater?.close(),
  };
}

/**
 * Packed capsules as they are written from `position` of the segment, in groups of pieces. The checksums of a group
 * are computed when it is asked for: while the one before is being written.
 */
export function* encodeSegment(packed: Packed, position: number): Generator<readonly Uint8Array[], void> {
  let at = position;
  let group: Uint8Array[] = [];
  let groupFrom = position;
  for (const one of packed.flatMap(inGroups)) {
    if ("capsules" in one) {
      group.push(...encodeBlock(one, at));
      at += sizeOfBlock(one);
    } else {
      group.push(...encodeRecords(one, at));
      at += sizeOfRecords(one);
    }
    if (at - groupFrom < GROUP_BYTES) continue;
    yield group;
    group = [];
    groupFrom = at;
  }
  if (group.length > 0) yield group;
}

/** Plain records in lists that are not much larger than a group. */
function inGroups(one: Packed[number]): Packed {
  if ("capsules" in one || sizeOfRecords(one) <= GROUP_BYTES) return [one];
  const lists: PlainRecord[][] = [[]];
  let bytes = 0;
  for (const record of one) {
    lists.at(-1)?.push(record);
    bytes += sizeOfRecord(record);
    if (bytes < GROUP_BYTES) continue;
    lists.push([]);
    bytes = 0;
  }
  return lists.filter(({ length }) => length > 0);
}

function sizeOfRecords(records: readonly PlainRecord[]): number {
  return records.reduce((sum, record) => sum + sizeOfRecord(record), 0);
}

/**
 * The capsules of a segment. `select` looks at an undecoded summary, and decodes it or passes over the capsule,
 * which is then not read.
 */
export function* decodeSegment(
  segment: Buffer,
  onDamage: (stretch: DamagedStretch) => void,
  select: (summary: Buffer) => CapsuleSummary | undefined = decodeSummary,
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
    const read = readAt(segment, offset, select);
    if (read === undefined) {
      damagedFrom ??= offset;
      const next = segment.indexOf(PREFIX, offset + 1);
      offset = next === -1 ? segment.length : next;
      continue;
    }
    endDamage(offset);
    offset = read.end;
    yield* read.capsules;
  }
  endDamage(segment.length);
}

interface Reading {
  readonly capsules: readonly StoredCapsule[];
  readonly end: number;
}

function readAt(
  segment: Buffer,
  start: number,
  select: (summary: Buffer) => CapsuleSummary | undefined,
): Reading | undefined {
  try {
    const record = recordAt(segment, start);
    if (record !== undefined) {
      const summary = select(record.summary);
      const capsules = summary === undefined ? [] : [{ summary, bytes: Uint8Array.from(record.bytes) }];
      return { capsules, end: record.end };
    }
    const block = blockAt(segment, start);
    const capsules = block && capsulesOf(block, select);
    return capsules && { capsules, end: block.end };
  } catch (error) {
    // A checksum that is right over a summary that is none: this library has not written it.
    if (isHindcastError(error)) return undefined;
    throw error;
  }
}

function capsulesOf(
  block: Block,
  select: (summary: Buffer) => CapsuleSummary | undefined,
): readonly StoredCapsule[] | undefined {
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
