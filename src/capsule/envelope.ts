/** What a capsule begins with, read without the body behind it (`docs/capsule-format.md`). */
import { ENVELOPE_NAME } from "./wire.js";

/** Tag 55799, an array of four, and a text of eight bytes: the name. */
const START = Buffer.concat([Buffer.from([0xd9, 0xd9, 0xf7, 0x84, 0x68]), Buffer.from(ENVELOPE_NAME)]);
const UNSIGNED = 0x00;
const BYTES = 0x40;

export interface EnvelopeHead {
  readonly format: number;
  /** CRC-32 of the body. */
  readonly checksum: number;
  /** Where the body begins; it ends where the bytes do. */
  readonly bodyAt: number;
}

/** The envelope's head; undefined where there is none, or it says another length than there is. */
export function envelopeHeadOf(bytes: Uint8Array): EnvelopeHead | undefined {
  for (let index = 0; index < START.length; index++) if (bytes[index] !== START[index]) return undefined;
  const formatEnd = headEnd(bytes, START.length, UNSIGNED);
  const checksumEnd = headEnd(bytes, formatEnd, UNSIGNED);
  const bodyAt = headEnd(bytes, checksumEnd, BYTES);
  // Not so where one of them is NaN.
  if (bodyAt + argumentBefore(bytes, checksumEnd, bodyAt) !== bytes.length) return undefined;
  return {
    format: argumentBefore(bytes, START.length, formatEnd),
    checksum: argumentBefore(bytes, formatEnd, checksumEnd),
    bodyAt,
  };
}

/** Where the CBOR head at `at` ends; NaN where there is none of that kind, with an argument of up to 32 bits. */
function headEnd(bytes: Uint8Array, at: number, major: number): number {
  const additional = (bytes[at] ?? 0xff) ^ major;
  if (additional < 24) return at + 1;
  return additional <= 26 ? at + 1 + (1 << (additional - 24)) : Number.NaN;
}

/** The argument of the head from `at` to `end`; no number where the bytes end before it does. */
function argumentBefore(bytes: Uint8Array, at: number, end: number): number {
  if (end === at + 1) return (bytes[at] as number) & 31;
  let argument = 0;
  for (let index = at + 1; index < end; index++) argument = argument * 256 + (bytes[index] as number);
  return argument;
}
