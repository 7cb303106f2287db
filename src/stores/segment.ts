/**
 * A segment: a file that is only ever appended to. It is a CBOR sequence (RFC 8742) of records
 *
 *     55799([1, checksum, summary, capsule])     ; uint, CRC-32 of the two, bytes, bytes
 *
 * The CRC starts from the record's position in the file: a recorded value that happens to hold a
 * segment's bytes is not taken for records when the one around it is damaged.
 *
 * with lengths of fixed width, so that each record begins with the same six bytes. After damage
 * the reader goes on at the next place where those bytes begin a record whose checksum is right.
 */
import { crc32 } from "node:zlib";
import { decodeSummary, encodeSummary } from "../capsule/summary-codec.js";
import type { StoredCapsule } from "./store.js";

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x01, 0x1a]);
const BYTES_32 = 0x5a;
/** Signature, checksum, and the two heads. */
const HEAD_BYTES = SIGNATURE.length + 4 + 5 + 5;

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

/** Capsules as records, in one piece to be written at once at `position` of the segment. */
export function encodeRecords(capsules: readonly StoredCapsule[], position = 0): Buffer {
  const parts = capsules.map(({ summary, bytes }) => ({ summary: encodeSummary(summary), bytes }));
  const size = parts.reduce(
    (sum, part) => sum + HEAD_BYTES + part.summary.byteLength + part.bytes.byteLength,
    0,
  );
  const buffer = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const { summary, bytes } of parts) {
    offset += SIGNATURE.copy(buffer, offset);
    offset = buffer.writeUInt32BE(crc32(bytes, crc32(summary, position + offset - SIGNATURE.length)), offset);
    for (const part of [summary, bytes]) {
      offset = buffer.writeUInt8(BYTES_32, offset);
      offset = buffer.writeUInt32BE(part.byteLength, offset);
      buffer.set(part, offset);
      offset += part.byteLength;
    }
  }
  return buffer;
}

/** The capsules of a segment. `wanted` looks at a record's undecoded summary and may pass over it unread. */
export function* decodeRecords(
  segment: Buffer,
  onDamage: (stretch: DamagedStretch) => void,
  wanted: (summary: Buffer) => boolean = () => true,
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
    const record = recordAt(segment, offset);
    if (record === undefined) {
      if (damagedFrom === undefined) damagedFrom = offset;
      const next = segment.indexOf(SIGNATURE, offset + 1);
      offset = next === -1 ? segment.length : next;
      continue;
    }
    endDamage(offset);
    offset = record.end;
    // The checksum is right, so the summary is as it was written.
    if (wanted(record.summary))
      yield { summary: decodeSummary(record.summary), bytes: Uint8Array.from(record.bytes) };
  }
  endDamage(segment.length);
}

function recordAt(
  segment: Buffer,
  start: number,
): { summary: Buffer; bytes: Buffer; end: number } | undefined {
  if (start + SIGNATURE.length > segment.length) return undefined;
  if (segment.compare(SIGNATURE, 0, SIGNATURE.length, start, start + SIGNATURE.length) !== 0)
    return undefined;
  const checksumAt = start + SIGNATURE.length;
  const summary = bytesAt(segment, checksumAt + 4);
  if (summary === undefined) return undefined;
  const bytes = bytesAt(segment, checksumAt + 4 + 5 + summary.length);
  if (bytes === undefined || crc32(bytes, crc32(summary, start)) !== segment.readUInt32BE(checksumAt))
    return undefined;
  return { summary, bytes, end: checksumAt + 4 + 5 + summary.length + 5 + bytes.length };
}

function bytesAt(segment: Buffer, offset: number): Buffer | undefined {
  if (offset + 5 > segment.length || segment[offset] !== BYTES_32) return undefined;
  const start = offset + 5;
  const end = start + segment.readUInt32BE(offset + 1);
  return end <= segment.length ? segment.subarray(start, end) : undefined;
}
