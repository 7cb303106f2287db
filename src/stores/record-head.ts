/** What all records of a segment have in common: CBOR heads of fixed width, whatever their values. */

import { crc32 } from "node:zlib";

/** A 32-bit unsigned integer. */
export const UINT_32 = 0x1a;
/** A byte string with a length of 32 bits. */
export const BYTES_32 = 0x5a;
/** One of these, and its 32 bits. */
export const HEAD_BYTES = 5;

/** What every record begins with: tag 55799. */
export const PREFIX: Buffer = Buffer.from([0xd9, 0xd9, 0xf7]);

/** Writes a head, and gives where it ends. */
export function writeHead(bytes: Uint8Array, kind: number, value: number, offset: number): number {
  // By hand: this is done several times for each capsule.
  bytes[offset] = kind;
  bytes[offset + 1] = value >>> 24;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 8;
  bytes[offset + 4] = value;
  return offset + HEAD_BYTES;
}

/** The checksum behind a signature at `start`; undefined where there is another signature, or none. */
export function headAt(segment: Buffer, signature: Buffer, start: number): number | undefined {
  const end = start + signature.length;
  if (end + 4 > segment.length || segment.compare(signature, 0, signature.length, start, end) !== 0)
    return undefined;
  return segment.readUInt32BE(end);
}

/** What a head of that kind at `offset` says. */
export function argumentAt(bytes: Buffer, kind: number, offset: number): number | undefined {
  if (offset + HEAD_BYTES > bytes.length || bytes[offset] !== kind) return undefined;
  return bytes.readUInt32BE(offset + 1);
}

/** The byte string whose head is at `offset`, as a view, and where it ends. */
export function bytesAt(
  bytes: Buffer,
  offset: number,
): { readonly content: Buffer; readonly end: number } | undefined {
  const length = argumentAt(bytes, BYTES_32, offset);
  if (length === undefined) return undefined;
  const start = offset + HEAD_BYTES;
  const end = start + length;
  return end <= bytes.length ? { content: bytes.subarray(start, end), end } : undefined;
}

/** The CRC-32 of the pieces one after the other, started from a record's position. */
export function checksumOf(pieces: readonly Uint8Array[], position: number): number {
  // Of no bytes Node may give 0, whatever the value that it is to go on from.
  return pieces.reduce((sum, piece) => (piece.byteLength === 0 ? sum : crc32(piece, sum)), position);
}
