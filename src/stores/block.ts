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
const FIXED_BYTES = SIGNATURE.length + 4 + 4 * HEAD_BYTES;
/** A larger capsule is written as it is. */
const MAXIMUM_RAW_BYTES = 256 * 1024 * 1024;
/** Deflate cannot say more with a byte than 1032 bytes. */
const MAXIMUM_RATIO = 1032;
/** A block that is not at most so much of its plain records is written as those: to read it would cost more than it saves. */
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

export interface BlockParts {
  readonly summaries: Part;
  readonly capsules: Part;
}

/** Compressed capsules, to be written anywhere. */
export interface Block extends BlockParts {
  readonly kind: "block";
  readonly size: number;
}

/** A block of the capsules; undefined where they hardly shrink. */
export async function blockOf(
  group: readonly StoredCapsule[],
  summaries: SummaryEncoder,
  scratch: Scratch,
  deflater: Deflater,
): Promise<Block | undefined> {
  const rawLength = group.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  if (rawLength > MAXIMUM_RAW_BYTES) return undefined;
  const list = listOf(group, summaries, scratch);
  const capsules = await deflated(
    group.map(({ bytes }) => bytes),
    rawLength,
    deflater,
  );
  // As they are, unless that is much.
  const part =
    list.byteLength > LIGHT * rawLength
      ? await deflated([list], list.byteLength, deflater)
      : { rawLength: list.byteLength, bytes: list };
  const block = blockFrom(part, capsules);
  return block.size <= WORTH * (FIXED_BYTES + list.byteLength + rawLength) ? block : undefined;
}

export function blockFrom(summaries: Part, capsules: Part): Block {
  const size = FIXED_BYTES + summaries.bytes.byteLength + capsules.bytes.byteLength;
  return { kind: "block", size, summaries, capsules };
}

/** Valid until the scratch is reset. */
function listOf(group: readonly StoredCapsule[], summaries: SummaryEncoder, scratch: Scratch): Buffer {
  const from = scratch.length;
  for (const { summary, bytes } of group) {
    const summaryAt = scratch.length + 1 + HEAD_BYTES;
    scratch.reserve(1 + HEAD_BYTES);
    scratch.length = summaryAt;
    summaries.write(summary, scratch);
    scratch.reserve(HEAD_BYTES);
    const headAt = scratch.bytes.writeUInt8(ARRAY_2, summaryAt - HEAD_BYTES - 1);
    writeHead(scratch.bytes, BYTES_32, scratch.length - summaryAt, headAt);
    scratch.length = writeHead(scratch.bytes, UINT_32, bytes.byteLength, scratch.length);
  }
  return scratch.bytes.subarray(from, scratch.length);
}

async function deflated(raw: readonly Uint8Array[], rawLength: number, deflater: Deflater): Promise<Part> {
  const bytes = rawLength === 0 ? undefined : await deflater.deflate(raw);
  if (bytes !== undefined && bytes.byteLength < rawLength) return { rawLength, bytes };
  const [only] = raw;
  return { rawLength, bytes: raw.length === 1 && only !== undefined ? only : Buffer.concat(raw) };
}

/** A block, in pieces to be written one after the other from `position` of the segment. */
export function encodeBlock({ summaries, capsules }: Block, position: number): Uint8Array[] {
  const head = Buffer.allocUnsafe(FIXED_BYTES - 2 * HEAD_BYTES);
  const tail = Buffer.allocUnsafe(2 * HEAD_BYTES);
  const checksumAt = SIGNATURE.copy(head);
  writeHead(
    head,
    BYTES_32,
    summaries.bytes.byteLength,
    writeHead(head, UINT_32, summaries.rawLength, checksumAt + 4),
  );
  writeHead(tail, BYTES_32, capsules.bytes.byteLength, writeHead(tail, UINT_32, capsules.rawLength, 0));
  const covered = [head.subarray(checksumAt + 4), summaries.bytes, tail, capsules.bytes];
  head.writeUInt32BE(checksumOf(covered, position), checksumAt);
  return [head, summaries.bytes, tail, capsules.bytes];
}

/** The block that begins at `start`, and where it ends; undefined where none does, or it is damaged. */
export function blockAt(segment: Buffer, start: number): (BlockParts & { readonly end: number }) | undefined {
  const checksum = headAt(segment, SIGNATURE, start);
  if (checksum === undefined) return undefined;
  const summaries = partAt(segment, start + SIGNATURE.length + 4);
  const capsules = summaries && partAt(segment, summaries.end);
  if (summaries === undefined || capsules === undefined) return undefined;
  const { end } = capsules;
  if (checksumOf([segment.subarray(start + SIGNATURE.length + 4, end)], start) !== checksum) return undefined;
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
