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
import type { Deflater } from "./deflater.js";
import { type PlainRecord, sizeOfRecord } from "./record.js";
import {
  BYTES_32,
  bytesAt,
  checksumOf,
  HEAD_BYTES,
  headAt,
  UINT_32,
  uintAt,
  writeHead,
} from "./record-head.js";

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x86, 0x02, UINT_32]);
/** Of each entry in the list of summaries. */
const ARRAY_2 = 0x82;
const FIXED_BYTES = SIGNATURE.length + 4 + 4 * HEAD_BYTES;
/** What one damaged byte may cost; and twice the window of deflate, so larger blocks would hardly compress better. Before compression. */
const BLOCK_BYTES = 64 * 1024;
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

/** Compressed capsules, to be written anywhere. */
export interface Block {
  readonly summaries: Part;
  readonly capsules: Part;
}

/** Cuts capsules into blocks, in their order, and compresses them; what is not worth it stays plain records. */
export async function compress(
  records: readonly PlainRecord[],
  deflater: Deflater,
): Promise<(Block | readonly PlainRecord[])[]> {
  const pieces: (Block | readonly PlainRecord[])[] = [];
  // One after the other: a service needs the other threads of the pool itself.
  for (const group of groupsOf(records)) pieces.push((await blockOf(group, deflater)) ?? group);
  return pieces;
}

function groupsOf(records: readonly PlainRecord[]): PlainRecord[][] {
  const groups: PlainRecord[][] = [];
  let room = 0;
  for (const record of records) {
    const size = sizeOfRecord(record);
    const group = groups.at(-1);
    if (group === undefined || size > room) {
      groups.push([record]);
      room = BLOCK_BYTES - size;
    } else {
      group.push(record);
      room -= size;
    }
  }
  return groups;
}

async function blockOf(group: readonly PlainRecord[], deflater: Deflater): Promise<Block | undefined> {
  const rawLength = group.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  if (rawLength > MAXIMUM_RAW_BYTES) return undefined;
  const capsules = await deflated(
    group.map(({ bytes }) => bytes),
    rawLength,
    deflater,
  );
  // As they are, unless that is much.
  const list = listOf(group);
  const summaries =
    list.byteLength > LIGHT * rawLength
      ? await deflated([list], list.byteLength, deflater)
      : { rawLength: list.byteLength, bytes: list };
  const block = { summaries, capsules };
  const plain = group.reduce((sum, record) => sum + sizeOfRecord(record), 0);
  return sizeOfBlock(block) <= WORTH * plain ? block : undefined;
}

function listOf(group: readonly PlainRecord[]): Buffer {
  const size = group.reduce((sum, { summary }) => sum + 1 + HEAD_BYTES + summary.byteLength + HEAD_BYTES, 0);
  const list = Buffer.allocUnsafe(size);
  let end = 0;
  for (const { summary, bytes } of group) {
    end = writeHead(list, BYTES_32, summary.byteLength, list.writeUInt8(ARRAY_2, end));
    list.set(summary, end);
    end = writeHead(list, UINT_32, bytes.byteLength, end + summary.byteLength);
  }
  return list;
}

async function deflated(raw: readonly Uint8Array[], rawLength: number, deflater: Deflater): Promise<Part> {
  const bytes = rawLength === 0 ? undefined : await deflater.deflate(raw);
  if (bytes !== undefined && bytes.byteLength < rawLength) return { rawLength, bytes };
  const [only] = raw;
  return { rawLength, bytes: raw.length === 1 && only !== undefined ? only : Buffer.concat(raw) };
}

export function sizeOfBlock({ summaries, capsules }: Block): number {
  return FIXED_BYTES + summaries.bytes.byteLength + capsules.bytes.byteLength;
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
export function blockAt(segment: Buffer, start: number): (Block & { readonly end: number }) | undefined {
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
  const rawLength = uintAt(segment, offset);
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
export function entriesOf({ summaries, capsules }: Block): Entry[] | undefined {
  const list = inflated(summaries);
  if (list === undefined) return undefined;
  const entries: Entry[] = [];
  let [offset, start] = [0, 0];
  while (offset < list.length) {
    const summary = list[offset] === ARRAY_2 ? bytesAt(list, offset + 1) : undefined;
    const length = summary && uintAt(list, summary.end);
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
