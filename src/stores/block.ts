/**
 * Several capsules in a segment, compressed together:
 *
 *     55799([2, checksum, rawLength, summaries, rawLength, capsules])   ; uint, CRC-32, uint, bytes, uint, bytes
 *
 * Summaries are a CBOR sequence of `[summary, length of the capsule]`, and stand apart so that a search inflates the
 * capsules of those blocks alone that hold what is wanted. A part of fewer bytes than its raw length is raw deflate.
 *
 * Invariants
 * 1. The checksum covers all that follows it, and starts from the position, as that of a plain record does.
 * 2. Nothing inflates beyond the length that it says, nor beyond what deflate can express or this library writes;
 *    a part that lies is damage.
 */
import { inflateRawSync } from "node:zlib";
import type { Scratch } from "../capsule/scratch.js";
import type { SummaryEncoder } from "../capsule/summary-codec.js";
import type { Deflater } from "./deflater.js";
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

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x86, 0x02, UINT_32]);
/** Of each entry in the list of summaries. */
const ARRAY_2 = 0x82;
const COVERED_FROM = SIGNATURE.length + 4;
const FIXED_BYTES = COVERED_FROM + 4 * HEAD_BYTES;
/** A larger capsule is written as it is. */
const MAXIMUM_RAW_BYTES = 256 * 1024 * 1024;
/** Deflate cannot say more with a byte than 1032 bytes. */
const MAXIMUM_RATIO = 1032;
/** A block that is not at most so much of its capsules as they are is written as those: to read it would cost more than it saves. */
const WORTH = 0.9;
/** Summaries that are more than this of their capsules are deflated too. */
const LIGHT = 0.1;
/** One round for a block, and few for a large capsule. */
const CHUNK_BYTES = [1024, 256 * 1024] as const;

/** Bytes of a block that may be deflated, and how many there were before. */
interface Part {
  readonly rawLength: number;
  readonly bytes: Uint8Array;
}

/** What a block is made of. */
export interface BlockParts {
  readonly summaries: Part;
  readonly capsules: Part;
}

/** A block that is ready to be written, anywhere: all of it is in the scratch. */
export interface Block {
  readonly kind: "block";
  readonly count: number;
  readonly size: number;
  readonly scratch: Scratch;
  readonly start: number;
}

/** A block of the capsules; undefined where they hardly shrink. Valid until the scratch is reset. */
export async function blockOf(
  capsules: readonly StoredCapsule[],
  summaries: SummaryEncoder,
  scratch: Scratch,
  deflater: Deflater,
): Promise<Block | undefined> {
  const pieces = capsules.map(({ bytes }) => bytes);
  const rawLength = lengthOf(pieces);
  if (rawLength > MAXIMUM_RAW_BYTES) return undefined;
  const start = scratch.length;
  scratch.reserve(FIXED_BYTES);
  SIGNATURE.copy(scratch.bytes, start);
  const listAt = start + COVERED_FROM + 2 * HEAD_BYTES;
  scratch.length = listAt;
  putList(capsules, summaries, scratch);
  const listLength = scratch.length - listAt;
  // As they are, unless that is much.
  if (listLength > LIGHT * rawLength) {
    const deflated = await deflater.deflate([scratch.bytes.subarray(listAt, scratch.length)]);
    if (lengthOf(deflated) < listLength) {
      scratch.length = listAt;
      for (const piece of deflated) scratch.put(piece);
    }
  }
  putHeads(listLength, scratch.length - listAt, start + COVERED_FROM, scratch);
  const deflated = rawLength === 0 ? pieces : await deflater.deflate(pieces);
  const shorter = lengthOf(deflated) < rawLength ? deflated : pieces;
  const size = scratch.length - start + 2 * HEAD_BYTES + lengthOf(shorter);
  if (size > WORTH * (FIXED_BYTES + listLength + rawLength)) {
    scratch.length = start;
    return undefined;
  }
  scratch.reserve(2 * HEAD_BYTES + lengthOf(shorter));
  putHeads(rawLength, lengthOf(shorter), scratch.length, scratch);
  scratch.length += 2 * HEAD_BYTES;
  for (const piece of shorter) scratch.put(piece);
  return { kind: "block", count: capsules.length, size, scratch, start };
}

function putList(capsules: readonly StoredCapsule[], summaries: SummaryEncoder, scratch: Scratch): void {
  for (const { summary, bytes } of capsules) {
    const entryAt = scratch.length;
    const summaryAt = entryAt + 1 + HEAD_BYTES;
    scratch.reserve(1 + HEAD_BYTES);
    scratch.length = summaryAt;
    summaries.write(summary, scratch);
    scratch.reserve(HEAD_BYTES);
    scratch.bytes[entryAt] = ARRAY_2;
    writeHead(scratch.bytes, BYTES_32, scratch.length - summaryAt, entryAt + 1);
    scratch.length = writeHead(scratch.bytes, UINT_32, bytes.byteLength, scratch.length);
  }
}

/** What stands in front of a part. */
function putHeads(rawLength: number, length: number, at: number, { bytes }: Scratch): void {
  writeHead(bytes, BYTES_32, length, writeHead(bytes, UINT_32, rawLength, at));
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A block as it is written at `position` of the segment. */
export function encodeBlock({ scratch, start, size }: Block, position: number): Uint8Array {
  const { bytes } = scratch;
  const checksum = checksumOf([bytes.subarray(start + COVERED_FROM, start + size)], position);
  bytes.writeUInt32BE(checksum, start + SIGNATURE.length);
  return bytes.subarray(start, start + size);
}

/** The block that begins at `start`, and where it ends; undefined where none does, or it is damaged. */
export function blockAt(segment: Buffer, start: number): (BlockParts & { readonly end: number }) | undefined {
  const checksum = headAt(segment, SIGNATURE, start);
  if (checksum === undefined) return undefined;
  const summaries = partAt(segment, start + COVERED_FROM);
  const capsules = summaries && partAt(segment, summaries.end);
  if (summaries === undefined || capsules === undefined) return undefined;
  const { end } = capsules;
  if (checksumOf([segment.subarray(start + COVERED_FROM, end)], start) !== checksum) return undefined;
  return { summaries, capsules, end };
}

function partAt(segment: Buffer, offset: number): (Part & { readonly end: number }) | undefined {
  const rawLength = argumentAt(segment, UINT_32, offset);
  const bytes = bytesAt(segment, offset + HEAD_BYTES);
  return rawLength === undefined || bytes === undefined
    ? undefined
    : { rawLength, bytes: bytes.content, end: bytes.end };
}

/** A capsule of a block: its summary, and where its bytes are among those of all. */
export interface Entry {
  readonly summary: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What a block holds; undefined where its parts are not what they say. */
export function entriesOf({ summaries, capsules }: BlockParts): Entry[] | undefined {
  const list = inflated(summaries);
  if (list === undefined) return undefined;
  const entries: Entry[] = [];
  let [offset, start] = [0, 0];
  while (offset < list.length) {
    const summary = list[offset] === ARRAY_2 ? bytesAt(list, offset + 1) : undefined;
    const length = summary && argumentAt(list, UINT_32, summary.end);
    if (summary === undefined || length === undefined) return undefined;
    entries.push({ summary: summary.content, start, end: start + length });
    start += length;
    offset = summary.end + HEAD_BYTES;
  }
  return start === capsules.rawLength ? entries : undefined;
}

/** The bytes that a part was made of; undefined where it lies. */
export function inflated({ rawLength, bytes }: Part): Buffer | undefined {
  if (bytes.byteLength === rawLength) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (rawLength > Math.min(MAXIMUM_RAW_BYTES, bytes.byteLength * MAXIMUM_RATIO)) return undefined;
  try {
    const [least, most] = CHUNK_BYTES;
    const chunkSize = Math.min(most, Math.max(least, rawLength));
    const raw = inflateRawSync(bytes, { maxOutputLength: rawLength, chunkSize });
    return raw.byteLength === rawLength ? raw : undefined;
  } catch {
    return undefined; // what it was made of is not to be had, whatever the reason
  }
}
