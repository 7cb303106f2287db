/**
 * Writes copies (see `snapshot.ts`) as CBOR (RFC 8949).
 *
 * Invariants
 * 1. The same copy gives the same bytes, so equal values can be found by their bytes.
 * 2. Each number is written as the shortest form that reads back as the same number, `-0` and NaN
 *    included; a BigInt is always a bignum, so that `5n` does not come back as `5`.
 * 3. Every tag is registered with IANA; what has no tag of its own is tag 27 with a type's name.
 * 4. What is written in steps has the same bytes as what is written at once, and a step is a
 *    fraction of a millisecond's work, whatever the value (G2).
 *
 * The writer is the library's own because it is on the budget of every kept run; the reader
 * (`decode-value.ts`) is a library's. `docs/capsule-format.md` specifies what is written here.
 */
import { transcode } from "node:buffer";
import { crc32 } from "node:zlib";
import {
  BytesNode,
  DateNode,
  ErrorNode,
  InstanceNode,
  MapNode,
  NAMED,
  NamedNode,
  ReferenceNode,
  RegExpNode,
  SetNode,
  UrlNode,
} from "./copy-nodes.js";
import { Marker } from "./marker.js";
import { type Held, heldSize } from "./snapshot.js";

/** Tag numbers of the IANA registry. */
export const TAG = {
  epochTime: 1,
  unsignedBignum: 2,
  negativeBignum: 3,
  namedObject: 27,
  shareable: 28,
  sharedReference: 29,
  uri: 32,
  set: 258,
  map: 259,
  extendedTime: 1001,
  selfDescribed: 55799,
} as const;

/** RFC 8746, little-endian forms. */
export const TYPED_ARRAY_TAG: Readonly<
  Record<Exclude<BytesNode["type"], "Buffer" | "DataView" | "ArrayBuffer">, number>
> = {
  Uint8Array: 64,
  Uint8ClampedArray: 68,
  Uint16Array: 69,
  Uint32Array: 70,
  BigUint64Array: 71,
  Int8Array: 72,
  Int16Array: 77,
  Int32Array: 78,
  BigInt64Array: 79,
  Float16Array: 84,
  Float32Array: 85,
  Float64Array: 86,
};

const MAJOR = {
  unsigned: 0x00,
  negative: 0x20,
  bytes: 0x40,
  text: 0x60,
  array: 0x80,
  map: 0xa0,
  tag: 0xc0,
} as const;
const SHORT_TEXT = 24;
/** What is written between two pauses: whichever comes first. So few parts, since code that is run for the first time takes 25 µs for one. */
const STEP_BYTES = 64 * 1024;
const STEP_PARTS = 16;
/** Values of an estimated size up to this are a step by themselves; most are, and need no generator. */
export const ONE_STEP_SIZE: number = 32 * 1024;
/** Of a text, what is written in one go. */
const TEXT_UNITS = 16 * 1024;
/** The first piece of a text that is written in pieces: it tells what the next is written with. */
const FIRST_UNITS = 256;
/** Shorter texts are written in one piece. */
const ONE_PIECE_UNITS = 2048;
/** A buffer that has grown to this is put aside when it is full: copying it would be work for nothing. */
const CHUNK_BYTES = 64 * 1024;
const SMALLEST_BUFFER = 256;
const LONGEST_HEAD = 9;
const WORD_BYTES = 4;
const NEW_BYTES = 4096;
/** A larger buffer is not kept for the next value. */
const KEPT_BYTES = 2 * CHUNK_BYTES;
/** What is copied, compared or summed up in one go. */
const PIECE_BYTES = 256 * 1024;
/** Of a range, its first and last so many bytes are looked at for its fingerprint. */
const FINGERPRINT_BYTES = 64;

/** The keys of an object. Others may have the same, as the rows of a table do. */
interface KnownKeys {
  readonly keys: readonly string[];
  times: number;
  /** As they are written; made when they have come some times. */
  written: WrittenKeys | undefined;
}

/** The bytes of keys, by fours: to copy them one by one takes three times as long. */
interface WrittenKeys {
  /** Of each key as many as it takes; what is left of its last is zero. */
  readonly words: Int32Array;
  /** How many bytes each key has. */
  readonly sizes: readonly number[];
}

/** Those of the last object are known, for each number of keys up to this. */
const MOST_KNOWN_KEYS = 32;
/** Their bytes are made when they have come so often. */
const OFTEN = 3;
/** Of longer ones nothing is kept: they outlive the capsule that they came with. */
const KNOWN_KEYS_UNITS = 512;

/** What is being written in steps: the parts of a structure, and how many of them are written. */
interface Frame {
  readonly parts: readonly unknown[];
  readonly fields: Record<string, unknown> | undefined;
  index: number;
}

/** Grows a buffer and writes CBOR into it. */
export class CborWriter {
  #buffer: Buffer;
  #view: DataView;
  /** The buffer as it was made, of which `#buffer` is the end: what is before it has been put aside. */
  #whole: Buffer;
  /** Bytes in the buffer. */
  #length = 0;
  /** What was written before it, where each of those begins, and how many bytes that is. */
  #chunks: Uint8Array[] = [];
  #chunkStarts: number[] = [];
  #chunkBytes = 0;
  /** What is written stays in one piece of memory. */
  #inOnePiece = false;
  /** Parts written since the last pause, and where that was. */
  #parts = 0;
  #pausedAt = 0;
  #sharedNumbers: Map<object, number> | undefined;
  #shared: ReadonlySet<object> | undefined;
  #knownKeys: (KnownKeys | undefined)[] = [];

  constructor(initialBytes = 1024) {
    this.#whole = Buffer.allocUnsafeSlow(initialBytes);
    this.#buffer = this.#whole;
    this.#view = viewOf(this.#buffer);
  }

  get length(): number {
    return this.#chunkBytes + this.#length;
  }

  /** A copy of the bytes written since the last `reset`. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    this.copy(0, this.length, bytes, 0);
    return bytes;
  }

  /** The same, copied in steps. */
  *bytesInSteps(): Generator<undefined, Uint8Array> {
    if (this.length <= STEP_BYTES) return this.bytes();
    const bytes = new Uint8Array(this.length);
    yield* this.copyInSteps(0, this.length, bytes, 0);
    return bytes;
  }

  /** Whether `bytes` have been written since the last `reset`. */
  holds(bytes: Uint8Array): boolean {
    if (this.length !== bytes.byteLength) return false;
    for (let at = 0; at < bytes.byteLength; ) {
      const piece = this.#pieceAt(at, bytes.byteLength);
      if (Buffer.compare(piece, bytes.subarray(at, at + piece.byteLength)) !== 0) return false;
      at += piece.byteLength;
    }
    return true;
  }

  // Of what has been written since the last `reset`, a range by its first byte and the one behind its last.

  /** Copies a range to a place of `target`. */
  copy(from: number, to: number, target: Uint8Array, place: number): void {
    for (let at = from; at < to; ) {
      const piece = this.#pieceAt(at, to);
      target.set(piece, place + at - from);
      at += piece.byteLength;
    }
  }

  *copyInSteps(from: number, to: number, target: Uint8Array, place: number): Generator<undefined, void> {
    for (let at = from; at < to; at += PIECE_BYTES) {
      this.copy(at, Math.min(at + PIECE_BYTES, to), target, place + at - from);
      if (at + PIECE_BYTES < to) yield;
    }
  }

  /** CRC-32 of a range, behind what `checksum` is of. */
  checksum(from: number, to: number, checksum: number): number {
    let sum = checksum;
    for (let at = from; at < to; ) {
      const piece = this.#pieceAt(at, to);
      sum = crc32(piece, sum);
      at += piece.byteLength;
    }
    return sum;
  }

  *checksumInSteps(from: number, to: number, checksum: number): Generator<undefined, number> {
    let sum = checksum;
    for (let at = from; at < to; at += PIECE_BYTES) {
      sum = this.checksum(at, Math.min(at + PIECE_BYTES, to), sum);
      if (at + PIECE_BYTES < to) yield;
    }
    return sum;
  }

  /** Whether two ranges of `length` bytes hold the same. */
  isSame(one: number, other: number, length: number): boolean {
    for (let done = 0; done < length; ) {
      const [a, b] = [this.#pieceAt(one + done, one + length), this.#pieceAt(other + done, other + length)];
      const bytes = Math.min(a.byteLength, b.byteLength);
      if (Buffer.compare(a.subarray(0, bytes), b.subarray(0, bytes)) !== 0) return false;
      done += bytes;
    }
    return true;
  }

  *isSameInSteps(one: number, other: number, length: number): Generator<undefined, boolean> {
    for (let done = 0; done < length; done += PIECE_BYTES) {
      if (done > 0) yield;
      if (!this.isSame(one + done, other + done, Math.min(PIECE_BYTES, length - done))) return false;
    }
    return true;
  }

  /** A number below 2^30 that ranges of equal bytes have in common, and few others; of long ones it is of their two ends. */
  fingerprint(from: number, to: number): number {
    const isLong = to - from > 2 * FINGERPRINT_BYTES;
    const ofHead = this.#mix(to - from, from, isLong ? from + FINGERPRINT_BYTES : to);
    return (isLong ? this.#mix(ofHead, to - FINGERPRINT_BYTES, to) : ofHead) & 0x3fff_ffff;
  }

  #mix(sum: number, from: number, to: number): number {
    if (from >= this.#chunkBytes) return mix(sum, this.#view, from - this.#chunkBytes, to - this.#chunkBytes);
    const bytes = Buffer.allocUnsafe(to - from);
    this.copy(from, to, bytes, 0);
    return mix(sum, viewOf(bytes), 0, bytes.length);
  }

  /** From `position` to the end of the piece of memory that it is in, or to `end`. */
  #pieceAt(position: number, end: number): Uint8Array {
    const offset = position - this.#chunkBytes;
    if (offset >= 0) return this.#buffer.subarray(offset, end - this.#chunkBytes);
    let [low, high] = [0, this.#chunks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#chunkStarts[middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    const start = this.#chunkStarts[low] as number;
    return (this.#chunks[low] as Uint8Array).subarray(position - start, end - start);
  }

  reset(): void {
    this.#length = 0;
    this.#parts = 0;
    this.#pausedAt = 0;
    this.#inOnePiece = false;
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
    if (this.#chunks.length > 0) {
      this.#chunks = [];
      this.#chunkStarts = [];
      this.#chunkBytes = 0;
    }
    // A writer is used again for as long as the process lives, and must not hold on to what one value took.
    if (this.#whole.length > KEPT_BYTES) this.#use(Buffer.allocUnsafeSlow(NEW_BYTES));
    else if (this.#whole !== this.#buffer) this.#use(this.#whole);
  }

  #use(buffer: Buffer): void {
    this.#whole = buffer;
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }

  /** Writes a copied value as a data item of its own: its shared references are numbered from 0. */
  snapshot(snapshot: Held): void {
    if (typeof snapshot !== "object") return this.value(snapshot);
    this.#shared = snapshot.shared;
    this.#sharedNumbers = snapshot.shared === undefined ? undefined : new Map();
    this.value(snapshot.copy);
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
  }

  /** The same bytes as from `snapshot`. The writer belongs to it until it is done. */
  *snapshotInSteps(snapshot: Held): Generator<undefined, void> {
    if (heldSize(snapshot) <= ONE_STEP_SIZE) return this.snapshot(snapshot);
    if (typeof snapshot === "string") return yield* this.#textInSteps(snapshot);
    if (typeof snapshot !== "object") return this.value(snapshot);
    this.#shared = snapshot.shared;
    this.#sharedNumbers = snapshot.shared === undefined ? undefined : new Map();
    if (typeof snapshot.copy === "string") yield* this.#textInSteps(snapshot.copy);
    else if (typeof snapshot.copy === "object" && snapshot.copy !== null) yield* this.#inSteps(snapshot.copy);
    else this.value(snapshot.copy);
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
  }

  /**
   * Writes a byte string that holds a copied value, and gives how many bytes the value has: they are the last that
   * were written. For values of a step.
   */
  embedded(snapshot: Held): number {
    if (this.#length >= CHUNK_BYTES) this.#reserveInNext(CHUNK_BYTES);
    const expected = headBytes(heldSize(snapshot));
    this.#reserve(expected);
    const start = this.#length;
    this.#length += expected;
    this.#inOnePiece = true;
    this.snapshot(snapshot);
    const size = this.#headBefore(MAJOR.bytes, start, expected);
    this.#inOnePiece = false;
    return size;
  }

  /** The same for larger values, in steps. */
  *embeddedInSteps(snapshot: Held): Generator<undefined, number> {
    if (heldSize(snapshot) <= ONE_STEP_SIZE) return this.embedded(snapshot);
    this.#putAside();
    const place = this.#chunks.length;
    const head = new CborWriter(LONGEST_HEAD);
    // In the place of the head, whose length is not known yet.
    this.#addChunk(NOTHING);
    const from = this.length;
    yield* this.snapshotInSteps(snapshot);
    const size = this.length - from;
    head.byteStringHead(size);
    const moved = head.length;
    this.#chunks[place] = head.bytes();
    for (let chunk = place + 1; chunk < this.#chunkStarts.length; chunk++) {
      this.#chunkStarts[chunk] = (this.#chunkStarts[chunk] as number) + moved;
    }
    this.#chunkBytes += moved;
    return size;
  }

  /** Takes back what was written from `position` on. */
  takeBack(position: number): void {
    if (position >= this.#chunkBytes) {
      this.#length = position - this.#chunkBytes;
      return;
    }
    // The rest of the buffer is still there to be used; of what was put aside, no more than is wanted is kept.
    while (this.#chunkBytes > position) {
      const chunk = this.#chunks.pop() as Uint8Array;
      const start = this.#chunkStarts.pop() as number;
      this.#chunkBytes = start;
      if (start < position) this.#addChunk(chunk.subarray(0, position - start));
    }
    this.#length = 0;
  }

  /** Whether as much has been written as should be between two pauses; whoever asks then pauses. */
  get stepIsDone(): boolean {
    this.#parts += 1;
    if (this.#parts < STEP_PARTS && this.length - this.#pausedAt < STEP_BYTES) return false;
    this.#parts = 0;
    this.#pausedAt = this.length;
    return true;
  }

  array(length: number): void {
    this.#head(MAJOR.array, length);
  }

  map(length: number): void {
    this.#head(MAJOR.map, length);
  }

  tag(tag: number): void {
    this.#head(MAJOR.tag, tag);
  }

  /** For bytes that are put behind what is written here. */
  byteStringHead(length: number): void {
    this.#head(MAJOR.bytes, length);
  }

  /** Long ones are not copied: until what is written has been taken, they must not change. */
  byteString(bytes: Uint8Array): void {
    this.#head(MAJOR.bytes, bytes.byteLength);
    if (bytes.byteLength >= CHUNK_BYTES && !this.#inOnePiece) {
      this.#putAside();
      this.#addChunk(bytes);
      return;
    }
    this.raw(bytes);
  }

  /** Writes what another writer has written, which is short. */
  append(other: CborWriter): void {
    const { length } = other;
    this.#reserve(length);
    other.copy(0, length, this.#buffer, this.#length);
    this.#length += length;
  }

  /** Bytes that are CBOR already. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
  }

  text(text: string): void {
    const units = text.length;
    if (units < SHORT_TEXT && this.#shortAscii(text)) return;
    if (units > ONE_STEP_SIZE) return this.#longText(text);
    // The head in front of it when it is written: to ask beforehand how long it will be takes longer than to write it.
    const expected = headBytes(units);
    this.#reserve(3 * units + expected + LONGEST_HEAD);
    const start = this.#length;
    const end = this.#utf8(text, start + expected);
    // A lone surrogate has no UTF-8; its UTF-16 has.
    if (end === -1) return this.#utf16(text);
    this.#length = end;
    this.#headBefore(MAJOR.text, start, expected);
  }

  number(value: number): void {
    if (Number.isSafeInteger(value)) {
      if (value > 0 || (value === 0 && 1 / value > 0)) return this.#head(MAJOR.unsigned, value);
      if (value < 0) return this.#head(MAJOR.negative, -1 - value);
    }
    this.#reserve(9);
    const buffer = this.#buffer;
    if (value !== value || value === 0 || value === Infinity || value === -Infinity) {
      buffer[this.#length++] = 0xf9;
      const half = value !== value ? 0x7e : value === 0 ? 0x80 : value > 0 ? 0x7c : 0xfc;
      buffer[this.#length++] = half;
      buffer[this.#length++] = 0;
    } else if (Math.fround(value) === value) {
      buffer[this.#length] = 0xfa;
      this.#view.setFloat32(this.#length + 1, value);
      this.#length += 5;
    } else {
      buffer[this.#length] = 0xfb;
      this.#view.setFloat64(this.#length + 1, value);
      this.#length += 9;
    }
  }

  /** Any part of a copy. Plain data of the library's own (headers, tables) is a copy as well. */
  value(copy: unknown): void {
    switch (typeof copy) {
      case "string":
        return this.text(copy);
      case "number":
        return this.number(copy);
      case "boolean":
        return this.#simple(copy ? 0xf5 : 0xf4);
      case "undefined":
        return this.#simple(0xf7);
      case "bigint":
        return this.#bigint(copy);
      case "symbol":
        // The only symbol in a copy is HOLE.
        return this.#named(NAMED.hole, 1);
      default:
        return copy === null ? this.#simple(0xf6) : this.#structure(copy as object);
    }
  }

  /** Writes a structure and all that it is made of: without recursion, since a generator in a generator is slow. */
  *#inSteps(root: object): Generator<undefined, void> {
    const frames: Frame[] = [];
    let frame = this.#begin(root);
    while (frame !== undefined) {
      const index = frame.index++;
      if (index === frame.parts.length) {
        frame = frames.pop();
        continue;
      }
      let part = frame.parts[index];
      if (frame.fields !== undefined) {
        const key = part as string;
        if (key.length > STEP_BYTES) yield* this.#textInSteps(key);
        else this.text(key);
        part = frame.fields[key];
      }
      if (this.stepIsDone) yield;
      if (typeof part === "object" && part !== null) {
        const begun = this.#begin(part);
        if (begun === undefined) continue;
        frames.push(frame);
        frame = begun;
      } else if (typeof part === "string" && part.length > STEP_BYTES) yield* this.#textInSteps(part);
      else this.value(part);
    }
  }

  /** Writes what comes before the parts of a structure, and gives these; all of it where it has no parts. */
  #begin(node: object): Frame | undefined {
    this.#number(node);
    if (Array.isArray(node)) {
      this.array(node.length);
      return { parts: node, fields: undefined, index: 0 };
    }
    if (Object.getPrototypeOf(node) === Object.prototype) {
      return this.#beginFields(node as Record<string, unknown>);
    }
    if (node instanceof MapNode) {
      this.tag(TAG.map);
      this.map(node.entries.length);
      return { parts: partsOf(node.entries), fields: undefined, index: 0 };
    }
    if (node instanceof SetNode) {
      this.tag(TAG.set);
      this.array(node.items.length);
      return { parts: node.items, fields: undefined, index: 0 };
    }
    if (node instanceof ErrorNode || node instanceof InstanceNode) {
      this.#named(node instanceof ErrorNode ? NAMED.error : NAMED.instance, 3);
      this.text(node.type);
      return this.#beginFields(node.fields);
    }
    if (node instanceof Marker) {
      this.#named(NAMED.marker, 5);
      return { parts: [node.reason, node.detail, node.size, node.kept], fields: undefined, index: 0 };
    }
    if (node instanceof NamedNode) {
      this.#named(node.name, 1 + node.parts.length);
      return { parts: node.parts, fields: undefined, index: 0 };
    }
    this.#node(node); // it has no parts
    return undefined;
  }

  #beginFields(fields: Record<string, unknown>): Frame {
    const keys = Object.keys(fields);
    // All at once: they are listed all at once too, and that takes longer.
    let wellFormed = true;
    for (let index = 0; index < keys.length; index++) wellFormed &&= (keys[index] as string).isWellFormed();
    this.#fieldsHead(keys.length, wellFormed);
    return { parts: keys, fields, index: 0 };
  }

  /** A long text, a piece at a time. */
  *#textInSteps(text: string): Generator<undefined, void> {
    if (text.length < 0x1_0000) return this.text(text);
    this.#putAside();
    const position = this.length;
    // Its length is known when it is written. So long a text has a head of five bytes.
    const head = Buffer.from([MAJOR.text | 26, 0, 0, 0, 0]);
    this.#addChunk(head);
    const from = this.length;
    let isAscii = true;
    for (const piece of piecesOf(text)) {
      if (isAscii) {
        this.#reserve(3 * piece.length);
        const start = this.#length;
        const end = start + this.#buffer.write(piece, start);
        isAscii = end - start === piece.length;
        if (isAscii) this.#length = end;
      }
      if (!isAscii) {
        const bytes = utf8Of(piece);
        if (bytes === undefined) return yield* this.#utf16InSteps(text, position);
        this.#putAside();
        this.#addChunk(bytes);
      }
      yield;
    }
    head.writeUInt32BE(this.length - from, 1);
  }

  /** In the place of what has been written from `position` on. */
  *#utf16InSteps(text: string, position: number): Generator<undefined, void> {
    this.takeBack(position);
    this.#named(NAMED.utf16, 2);
    this.#head(MAJOR.bytes, text.length * 2);
    for (const piece of piecesOf(text)) {
      this.#reserve(piece.length * 2);
      this.#length += this.#buffer.write(piece, this.#length, "utf16le");
      yield;
    }
  }

  #longText(text: string): void {
    if (!text.isWellFormed()) return this.#utf16(text);
    const size = Buffer.byteLength(text);
    this.#head(MAJOR.text, size);
    this.#reserve(size);
    this.#length += this.#buffer.write(text, this.#length);
  }

  #utf16(text: string): void {
    this.#named(NAMED.utf16, 2);
    this.byteString(Buffer.from(text, "utf16le"));
  }

  /** Writes a text's bytes at a place where there is room for them, and gives where they end; -1 where it has no UTF-8. */
  #utf8(text: string, start: number): number {
    const buffer = this.#buffer;
    if (text.length <= ONE_PIECE_UNITS) {
      const end = start + buffer.write(text, start);
      return end - start === text.length || text.isWellFormed() ? end : -1;
    }
    let end = start;
    let units = FIRST_UNITS;
    let isAscii = true;
    for (let from = 0; from < text.length; ) {
      const to = endOfPiece(text, from, isAscii ? units : TEXT_UNITS);
      const piece = text.slice(from, to);
      if (isAscii) {
        const written = buffer.write(piece, end);
        isAscii = written === piece.length;
        if (!isAscii) continue; // it is written once more, the other way
        end += written;
        units = Math.min(2 * units, TEXT_UNITS);
      } else {
        const bytes = utf8Of(piece);
        if (bytes === undefined) return -1;
        buffer.set(bytes, end);
        end += bytes.length;
      }
      from = to;
    }
    return end;
  }

  /**
   * Writes the head of what is behind it, for which `expected` bytes were left; gives how many bytes are behind it.
   */
  #headBefore(major: number, start: number, expected: number): number {
    this.#reserve(LONGEST_HEAD);
    const end = this.#length;
    const size = end - start - expected;
    const needed = headBytes(size);
    if (needed !== expected) this.#buffer.copyWithin(start + needed, start + expected, end);
    this.#length = start;
    this.#head(major, size);
    this.#length += size;
    return size;
  }

  #number(node: object): void {
    if (this.#shared?.has(node)) {
      const numbers = this.#sharedNumbers as Map<object, number>;
      numbers.set(node, numbers.size);
      this.tag(TAG.shareable);
    }
  }

  #structure(node: object): void {
    this.#number(node);
    if (Array.isArray(node)) {
      this.array(node.length);
      for (let index = 0; index < node.length; index++) this.value(node[index]);
    } else if (Object.getPrototypeOf(node) === Object.prototype) {
      this.#fields(node as Record<string, unknown>);
    } else {
      this.#node(node);
    }
  }

  #node(node: object): void {
    if (node instanceof ReferenceNode) {
      const number = this.#sharedNumbers?.get(node.target);
      // What it refers to was part of something that could not be read to its end.
      if (number === undefined) return this.#node(new Marker("unreadable"));
      this.tag(TAG.sharedReference);
      this.#head(MAJOR.unsigned, number);
    } else if (node instanceof BytesNode) this.#bytesNode(node);
    else if (node instanceof DateNode) this.#date(node.time);
    else if (node instanceof MapNode) {
      this.tag(TAG.map);
      this.map(node.entries.length);
      for (const [key, value] of node.entries) {
        this.value(key);
        this.value(value);
      }
    } else if (node instanceof SetNode) {
      this.tag(TAG.set);
      this.value(node.items);
    } else if (node instanceof ErrorNode) {
      this.#named(NAMED.error, 3);
      this.text(node.type);
      this.#fields(node.fields);
    } else if (node instanceof InstanceNode) {
      this.#named(NAMED.instance, 3);
      this.text(node.type);
      this.#fields(node.fields);
    } else if (node instanceof RegExpNode) {
      this.#named(NAMED.regExp, 4);
      this.text(node.source);
      this.text(node.flags);
      this.number(node.lastIndex);
    } else if (node instanceof UrlNode) {
      this.tag(TAG.uri);
      this.text(node.href);
    } else if (node instanceof NamedNode) {
      this.#named(node.name, 1 + node.parts.length);
      for (const part of node.parts) this.value(part);
    } else if (node instanceof Marker) {
      this.#named(NAMED.marker, 5);
      this.text(node.reason);
      this.text(node.detail);
      this.value(node.size);
      this.value(node.kept);
    } else {
      throw new TypeError(`not a copy: ${Object.prototype.toString.call(node)}`);
    }
  }

  #fields(fields: Record<string, unknown>): void {
    const keys = Object.keys(fields);
    const known = this.#knownKeys[keys.length];
    const isKnown = known !== undefined && areSame(keys, known.keys);
    if (isKnown) {
      if (known.written !== undefined) return this.#fieldsOfKnownKeys(fields, keys, known.written);
      known.times += 1;
      if (known.times === OFTEN) known.written = writtenKeys(keys);
    }
    let wellFormed = true;
    let units = 0;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string;
      wellFormed &&= key.isWellFormed();
      units += key.length;
    }
    this.#fieldsHead(keys.length, wellFormed);
    if (wellFormed && !isKnown && keys.length <= MOST_KNOWN_KEYS && units <= KNOWN_KEYS_UNITS) {
      this.#knownKeys[keys.length] = { keys, times: 1, written: undefined };
    }
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string;
      this.text(key);
      this.value(fields[key]);
    }
  }

  #fieldsOfKnownKeys(
    fields: Record<string, unknown>,
    keys: readonly string[],
    { words, sizes }: WrittenKeys,
  ): void {
    this.map(keys.length);
    let word = 0;
    for (let index = 0; index < keys.length; index++) {
      const size = sizes[index] as number;
      this.#reserve(size + WORD_BYTES);
      const view = this.#view;
      const end = this.#length + size;
      for (let at = this.#length; at < end; at += WORD_BYTES) view.setInt32(at, words[word++] as number);
      this.#length = end;
      this.value(fields[keys[index] as string]);
    }
  }

  #fieldsHead(count: number, wellFormed: boolean): void {
    if (wellFormed) return this.map(count);
    // A map's keys are text, and text is UTF-8: such an object goes as a list of pairs.
    this.#named(NAMED.fields, 2);
    this.array(count * 2);
  }

  #bytesNode(node: BytesNode): void {
    switch (node.type) {
      case "Buffer":
        this.#named(NAMED.buffer, 2);
        break;
      case "DataView":
        this.#named(NAMED.dataView, 2);
        break;
      case "ArrayBuffer":
        this.#named(NAMED.arrayBuffer, 2);
        break;
      default:
        this.tag(TYPED_ARRAY_TAG[node.type]);
    }
    this.byteString(node.bytes);
  }

  #date(time: number): void {
    const seconds = time / 1000;
    if (Number.isNaN(time) || Math.round(seconds * 1000) === time) {
      this.tag(TAG.epochTime);
      this.number(seconds);
      return;
    }
    // Far from 1970 a float of seconds no longer tells milliseconds apart.
    this.tag(TAG.extendedTime);
    this.map(2);
    this.number(1);
    this.number(Math.floor(seconds));
    this.number(-3);
    this.number(time - Math.floor(seconds) * 1000);
  }

  #bigint(value: bigint): void {
    const negative = value < 0n;
    const hex = (negative ? -1n - value : value).toString(16);
    this.tag(negative ? TAG.negativeBignum : TAG.unsignedBignum);
    this.byteString(
      hex === "0" ? new Uint8Array() : Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"),
    );
  }

  /** The start of tag 27: an array of `length` elements, of which the name is the first. */
  #named(name: string, length: number): void {
    this.tag(TAG.namedObject);
    this.array(length);
    this.text(name);
  }

  #simple(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  /** Most keys and many values are short and ASCII: for those a loop beats the call into UTF-8. */
  #shortAscii(text: string): boolean {
    const units = text.length;
    this.#reserve(units + 1);
    const start = this.#length;
    const buffer = this.#buffer;
    for (let index = 0; index < units; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) return false;
      buffer[start + 1 + index] = unit;
    }
    buffer[start] = MAJOR.text | units;
    this.#length = start + 1 + units;
    return true;
  }

  #head(major: number, argument: number): void {
    this.#reserve(LONGEST_HEAD);
    const buffer = this.#buffer;
    if (argument < 24) {
      buffer[this.#length++] = major | argument;
    } else if (argument < 0x100) {
      buffer[this.#length++] = major | 24;
      buffer[this.#length++] = argument;
    } else if (argument < 0x1_0000) {
      buffer[this.#length++] = major | 25;
      this.#view.setUint16(this.#length, argument);
      this.#length += 2;
    } else if (argument < 0x1_0000_0000) {
      buffer[this.#length++] = major | 26;
      this.#view.setUint32(this.#length, argument);
      this.#length += 4;
    } else {
      buffer[this.#length++] = major | 27;
      this.#view.setUint32(this.#length, Math.floor(argument / 0x1_0000_0000));
      this.#view.setUint32(this.#length + 4, argument % 0x1_0000_0000);
      this.#length += 8;
    }
  }

  /** Ends the buffer that is being written. */
  #putAside(): void {
    if (this.#length === 0) return;
    const rest = this.#buffer.subarray(this.#length);
    this.#addChunk(this.#buffer.subarray(0, this.#length));
    this.#buffer = rest;
    this.#view = viewOf(rest);
    this.#length = 0;
  }

  #addChunk(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#chunkStarts.push(this.#chunkBytes);
    this.#chunkBytes += chunk.byteLength;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    if (this.#length >= CHUNK_BYTES && !this.#inOnePiece) return this.#reserveInNext(bytes);
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2, SMALLEST_BUFFER));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#use(grown);
  }

  /** Puts the buffer aside and begins another. */
  #reserveInNext(bytes: number): void {
    this.#putAside();
    if (this.#buffer.length < bytes) this.#use(Buffer.allocUnsafeSlow(Math.max(bytes, CHUNK_BYTES * 2)));
  }
}

const NOTHING = new Uint8Array();

function partsOf(entries: readonly (readonly [unknown, unknown])[]): unknown[] {
  const parts: unknown[] = [];
  for (const [key, value] of entries) parts.push(key, value);
  return parts;
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** FNV-1a, but by four bytes at a time. */
function mix(sum: number, view: DataView, from: number, to: number): number {
  let mixed = sum;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    mixed = Math.imul(mixed ^ view.getInt32(at), 0x0100_0193);
    mixed ^= mixed >>> 15;
  }
  for (; at < to; at++) mixed = Math.imul(mixed ^ view.getUint8(at), 0x0100_0193);
  return mixed ^ (mixed >>> 15);
}

function areSame(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

function writtenKeys(keys: readonly string[]): WrittenKeys {
  const words: number[] = [];
  const sizes: number[] = [];
  const writer = new CborWriter(SMALLEST_BUFFER);
  for (const key of keys) {
    writer.reset();
    writer.text(key);
    const { length } = writer;
    const bytes = Buffer.alloc(WORD_BYTES * Math.ceil(length / WORD_BYTES));
    writer.copy(0, length, bytes, 0);
    for (let at = 0; at < length; at += WORD_BYTES) words.push(bytes.readInt32BE(at));
    sizes.push(length);
  }
  return { words: Int32Array.from(words), sizes };
}

let utf16: Buffer | undefined;

/**
 * A piece of text as UTF-8; undefined where it has none. By way of UTF-16, which V8 copies and what Node brings along
 * converts: for anything but ASCII that takes half as long as to write it.
 */
function utf8Of(piece: string): Uint8Array | undefined {
  utf16 ??= Buffer.allocUnsafeSlow(2 * (TEXT_UNITS + 1));
  const length = utf16.write(piece, "utf16le");
  try {
    return transcode(utf16.subarray(0, length), "utf16le", "utf8");
  } catch {
    return undefined; // half a pair
  }
}

/** What the head before so many bytes takes. */
function headBytes(size: number): number {
  if (size < 24) return 1;
  if (size < 0x100) return 2;
  return size < 0x1_0000 ? 3 : 5;
}

/** A text in pieces of a step each, with no surrogate pair cut in two. */
function* piecesOf(text: string): Generator<string, void> {
  for (let start = 0; start < text.length; ) {
    const end = endOfPiece(text, start, TEXT_UNITS);
    yield text.slice(start, end);
    start = end;
  }
}

function endOfPiece(text: string, start: number, units: number): number {
  const end = start + units;
  if (end >= text.length) return text.length;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end + 1 : end;
}

/** Writers that nobody uses: to make one takes longer than to write most values. */
const spare: CborWriter[] = [];
const MAXIMUM_SPARE = 4;

/** A writer with nothing written. Who is done with it may give it back, with `releaseWriter`. */
export function takeWriter(): CborWriter {
  const writer = spare.pop() ?? new CborWriter(NEW_BYTES);
  writer.reset();
  return writer;
}

/** Nobody may use what was written with it any more. */
export function releaseWriter(writer: CborWriter): void {
  if (spare.length >= MAXIMUM_SPARE) return;
  writer.reset();
  spare.push(writer);
}

/** Nothing in a snapshot calls anybody back, so that one is enough. */
let reusable: CborWriter | undefined;

function written(snapshot: Held): CborWriter {
  reusable ??= new CborWriter(SMALLEST_BUFFER);
  reusable.reset();
  reusable.snapshot(snapshot);
  return reusable;
}

/** One copied value as CBOR. */
export function encodeValue(snapshot: Held): Uint8Array {
  const writer = written(snapshot);
  const bytes = writer.bytes();
  writer.reset();
  return bytes;
}

/** Whether those are the bytes of a copied value. */
export function isEncodedAs(snapshot: Held, bytes: Uint8Array): boolean {
  return written(snapshot).holds(bytes);
}
