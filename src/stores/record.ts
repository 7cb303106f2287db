/**
 * One capsule in a segment, as it is:
 *
 *     55799([1, checksum, summary, capsule])     ; uint, CRC-32 of the two, bytes, bytes
 */
import { BYTES_32, bytesAt, checksumOf, HEAD_BYTES, headAt, UINT_32, writeHead } from "./record-head.js";

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x01, UINT_32]);
const FIXED_BYTES = SIGNATURE.length + 4 + 2 * HEAD_BYTES;
/** Capsules of fewer bytes are copied together: that takes less time than one more piece to write. */
const COPIED_BYTES = 4096;

/** A capsule with its summary encoded. */
export interface PlainRecord {
  readonly summary: Uint8Array;
  readonly bytes: Uint8Array;
}

export function sizeOfRecord({ summary, bytes }: PlainRecord): number {
  return FIXED_BYTES + summary.byteLength + bytes.byteLength;
}

/** Records, in pieces to be written one after the other from `position` of the segment. */
export function encodeRecords(records: readonly PlainRecord[], position: number): Uint8Array[] {
  const isCopied = ({ bytes }: PlainRecord): boolean => bytes.byteLength < COPIED_BYTES;
  const copied = Buffer.allocUnsafe(
    records.reduce(
      (sum, record) => sum + sizeOfRecord(record) - (isCopied(record) ? 0 : record.bytes.byteLength),
      0,
    ),
  );
  const pieces: Uint8Array[] = [];
  let [begun, end, at] = [0, 0, position];
  for (const record of records) {
    const { summary, bytes } = record;
    end += SIGNATURE.copy(copied, end);
    end = copied.writeUInt32BE(checksumOf([summary, bytes], at), end);
    end = writeHead(copied, BYTES_32, summary.byteLength, end);
    copied.set(summary, end);
    end = writeHead(copied, BYTES_32, bytes.byteLength, end + summary.byteLength);
    if (isCopied(record)) {
      copied.set(bytes, end);
      end += bytes.byteLength;
    } else {
      pieces.push(copied.subarray(begun, end), bytes);
      begun = end;
    }
    at += sizeOfRecord(record);
  }
  if (begun < end) pieces.push(copied.subarray(begun, end));
  return pieces;
}

/** The record that begins at `start`, and where it ends; undefined where none does, or it is damaged. */
export function recordAt(
  segment: Buffer,
  start: number,
): { readonly summary: Buffer; readonly bytes: Buffer; readonly end: number } | undefined {
  const checksum = headAt(segment, SIGNATURE, start);
  if (checksum === undefined) return undefined;
  const summary = bytesAt(segment, start + SIGNATURE.length + 4);
  const bytes = summary && bytesAt(segment, summary.end);
  if (summary === undefined || bytes === undefined) return undefined;
  if (checksumOf([summary.content, bytes.content], start) !== checksum) return undefined;
  return { summary: summary.content, bytes: bytes.content, end: bytes.end };
}
