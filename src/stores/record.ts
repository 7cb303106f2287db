/**
 * One capsule in a segment, as it is:
 *
 *     55799([1, checksum, summary, capsule])     ; uint, CRC-32 of the two, bytes, bytes
 *
 * Written where bytes do not begin as a capsule does; earlier versions wrote every capsule so.
 */
import { encodeSummary } from "../capsule/summary-codec.js";
import { BYTES_32, bytesAt, checksumOf, HEAD_BYTES, headAt, UINT_32, writeHead } from "./record-head.js";
import type { StoredCapsule } from "./store.js";

const SIGNATURE = Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x01, UINT_32]);
const FIXED_BYTES = SIGNATURE.length + 4 + 2 * HEAD_BYTES;

/** A capsule with its summary encoded. */
export interface PlainRecord {
  readonly kind: "record";
  readonly size: number;
  readonly summary: Uint8Array;
  readonly bytes: Uint8Array;
}

export function recordOf({ summary, bytes }: StoredCapsule): PlainRecord {
  const encoded = encodeSummary(summary);
  return {
    kind: "record",
    size: FIXED_BYTES + encoded.byteLength + bytes.byteLength,
    summary: encoded,
    bytes,
  };
}

/** A record, in pieces to be written one after the other from `position` of the segment. */
export function encodeRecord({ summary, bytes }: PlainRecord, position: number): Uint8Array[] {
  const head = Buffer.allocUnsafe(FIXED_BYTES + summary.byteLength);
  let end = SIGNATURE.copy(head);
  end = head.writeUInt32BE(checksumOf([summary, bytes], position), end);
  end = writeHead(head, BYTES_32, summary.byteLength, end);
  head.set(summary, end);
  writeHead(head, BYTES_32, bytes.byteLength, end + summary.byteLength);
  return [head, bytes];
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
