/**
 * Several capsules in a segment, as they are:
 *
 *     55799([3, checksum, entries, capsules])     ; uint, CRC-32, bytes, bytes
 *
 * Entries are a CBOR sequence of `[summary, length of the capsule, its format, its checksum]`.
 *
 * Invariants
 * 1. The checksum covers what follows it as far as the capsules, and starts from the position, as that of a plain record does.
 * 2. The capsules are covered by the checksums that they bring with them: nobody reads them to write them. An entry repeats
 *    what the capsule's envelope says, so that the envelope cannot change unnoticed either.
 * 3. Where the entries are whole, damage to a capsule costs that capsule alone, and where the segment ends too early, those
 *    that are not in it.
 */
import { crc32 } from "node:zlib";
import { type EnvelopeHead, envelopeHeadOf } from "../capsule/envelope.js";
import type { Scratch } from "../capsule/scratch.js";
import type { SummaryEncoder } from "../capsule/summary-codec.js";
import {
  argumentAt,
  BYTES_32,
  bytesAt,
  checksumOf,
  HEAD_BYTES,
  headAt,
  UINT_32,
  writeHead,
} from "./record-head.js";
import type { StoredCapsule } from "./store.js";

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x03, UINT_32]);
const COVERED_FROM = SIGNATURE.length + 4;
const ARRAY_4 = 0x84;
/** Of an entry, without the summary itself. */
const ENTRY_BYTES = 1 + 4 * HEAD_BYTES;
/** Capsules of fewer bytes are copied together: that takes less time than one more piece to write. */
const COPIED_BYTES = 4096;

/** Capsules that are ready to be written, anywhere. */
export interface Group {
  readonly kind: "group";
  readonly count: number;
  readonly size: number;
  /** In it is what the record begins with, as far as `end`; the capsules begin at `capsulesAt`. */
  readonly scratch: Scratch;
  readonly start: number;
  readonly capsulesAt: number;
  readonly end: number;
  /** Capsules that are not in the scratch. */
  readonly rest: readonly Uint8Array[];
}

/**
 * A group of the capsules from `first` on, up to `end` or the first that does not begin as a capsule does; undefined
 * where that is the first. Valid until the scratch is reset.
 */
export function groupOf(
  capsules: readonly StoredCapsule[],
  first: number,
  end: number,
  summaries: SummaryEncoder,
  scratch: Scratch,
): Group | undefined {
  const start = scratch.length;
  const entriesAt = start + COVERED_FROM + HEAD_BYTES;
  scratch.reserve(COVERED_FROM + HEAD_BYTES);
  scratch.length = entriesAt;
  const rest: Uint8Array[] = [];
  let size = 0;
  for (let index = first; index < end; index++) {
    const capsule = capsules[index] as StoredCapsule;
    const envelope = envelopeHeadOf(capsule.bytes);
    if (envelope === undefined) break;
    putEntry(capsule, envelope, summaries, scratch);
    rest.push(capsule.bytes);
    size += capsule.bytes.byteLength;
  }
  const count = rest.length;
  if (count === 0) {
    scratch.length = start;
    return undefined;
  }
  scratch.reserve(HEAD_BYTES);
  SIGNATURE.copy(scratch.bytes, start);
  writeHead(scratch.bytes, BYTES_32, scratch.length - entriesAt, start + COVERED_FROM);
  const capsulesAt = writeHead(scratch.bytes, BYTES_32, size, scratch.length);
  scratch.length = capsulesAt;
  if (size < COPIED_BYTES * count) for (const bytes of rest.splice(0)) scratch.put(bytes);
  return {
    kind: "group",
    count,
    size: capsulesAt - start + size,
    scratch,
    start,
    capsulesAt,
    end: scratch.length,
    rest,
  };
}

function putEntry(
  { summary, bytes }: StoredCapsule,
  { format, checksum }: EnvelopeHead,
  summaries: SummaryEncoder,
  scratch: Scratch,
): void {
  const start = scratch.length;
  const summaryAt = start + 1 + HEAD_BYTES;
  scratch.reserve(ENTRY_BYTES);
  scratch.length = summaryAt;
  summaries.write(summary, scratch);
  scratch.reserve(ENTRY_BYTES);
  const target = scratch.bytes;
  target[start] = ARRAY_4;
  writeHead(target, BYTES_32, scratch.length - summaryAt, start + 1);
  let end = writeHead(target, UINT_32, bytes.byteLength, scratch.length);
  end = writeHead(target, UINT_32, format, end);
  scratch.length = writeHead(target, UINT_32, checksum, end);
}

/** A group, in pieces to be written one after the other from `position` of the segment. */
export function encodeGroup(
  { scratch, start, capsulesAt, end, rest }: Group,
  position: number,
): Uint8Array[] {
  const { bytes } = scratch;
  const checksum = crc32(bytes.subarray(start + COVERED_FROM, capsulesAt), position);
  bytes.writeUInt32BE(checksum, start + SIGNATURE.length);
  return [bytes.subarray(start, end), ...rest];
}

/** A capsule of a group that is read. */
export interface GroupEntry {
  readonly summary: Buffer;
  /** Of the capsule, in the segment. */
  readonly start: number;
  readonly end: number;
  readonly format: number;
  readonly checksum: number;
}

/**
 * The group that begins at `start`, and where it ends, which may be behind the segment's end; undefined where none does,
 * or its entries are damaged.
 */
export function groupAt(
  segment: Buffer,
  start: number,
): { readonly entries: readonly GroupEntry[]; readonly end: number } | undefined {
  const checksum = headAt(segment, SIGNATURE, start);
  if (checksum === undefined) return undefined;
  const list = bytesAt(segment, start + COVERED_FROM);
  const size = list && argumentAt(segment, BYTES_32, list.end);
  if (list === undefined || size === undefined) return undefined;
  const capsulesAt = list.end + HEAD_BYTES;
  const covered = segment.subarray(start + COVERED_FROM, capsulesAt);
  if (checksumOf([covered], start) !== checksum) return undefined;
  const end = capsulesAt + size;
  const entries = entriesOf(list.content, capsulesAt);
  return entries !== undefined && (entries.at(-1)?.end ?? capsulesAt) === end ? { entries, end } : undefined;
}

function entriesOf(list: Buffer, capsulesAt: number): GroupEntry[] | undefined {
  const entries: GroupEntry[] = [];
  let [offset, start] = [0, capsulesAt];
  while (offset < list.length) {
    const summary = list[offset] === ARRAY_4 ? bytesAt(list, offset + 1) : undefined;
    if (summary === undefined) return undefined;
    const [length, format, checksum] = [0, 1, 2].map((index) =>
      argumentAt(list, UINT_32, summary.end + index * HEAD_BYTES),
    );
    if (length === undefined || format === undefined || checksum === undefined) return undefined;
    const end = start + length;
    entries.push({ summary: summary.content, start, end, format, checksum });
    start = end;
    offset = summary.end + 3 * HEAD_BYTES;
  }
  return entries;
}

/** The bytes of the capsule; undefined where they are damaged, or not all there. */
export function capsuleOf(segment: Buffer, { start, end, format, checksum }: GroupEntry): Buffer | undefined {
  if (end > segment.length) return undefined;
  const bytes = segment.subarray(start, end);
  const envelope = envelopeHeadOf(bytes);
  if (envelope?.format !== format || envelope.checksum !== checksum) return undefined;
  return crc32(bytes.subarray(envelope.bodyAt)) === checksum ? bytes : undefined;
}
