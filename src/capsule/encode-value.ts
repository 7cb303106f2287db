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
import type { Snapshot } from "./snapshot.js";

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
const ONE_STEP_SIZE = 32 * 1024;
/** Of a text, what is written in one go. */
const TEXT_UNITS = 16 * 1024;
/** Texts of fewer units are measured before they are written; it is faster only for longer ones. */
const WRITTEN_FIRST = 512;
/** U+FFFD as UTF-8. */
const REPLACEMENT = Buffer.from("\ufffd");
/** A buffer that has grown to this is put aside when it is full: copying it would be work for nothing. */
const CHUNK_BYTES = 64 * 1024;
const SMALLEST_BUFFER = 256;
const NEW_BYTES = 4096;
/** A larger buffer is not kept for the next value. */
const KEPT_BYTES = 2 * CHUNK_BYTES;
/** What is copied, or summed up, in one go. */
const PIECE_BYTES = 256 * 1024;

/** Grows a buffer and writes CBOR into it. */
export class CborWriter {
  #buffer: Buffer;
  /** Bytes in the buffer. */
  #length = 0;
  /** What was written before it, and how many bytes that is. */
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  /** Parts written since the last pause, and where that was. */
  #parts = 0;
  #pausedAt = 0;
  #sharedNumbers: Map<object, number> | undefined;
  #shared: ReadonlySet<object> | undefined;

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#chunkBytes + this.#length;
  }

  /** A copy of the bytes written since the last `reset`. */
  bytes(): Uint8Array {
    const written = this.#buffer.subarray(0, this.#length);
    if (this.#chunks.length === 0) return Uint8Array.prototype.slice.call(written);
    return Uint8Array.from(Buffer.concat([...this.#chunks, written]));
  }

  /** Whether `bytes` have been written since the last `reset`. */
  holds(bytes: Uint8Array): boolean {
    if (this.length !== bytes.byteLength) return false;
    if (this.#chunks.length > 0) return Buffer.compare(this.bytes(), bytes) === 0;
    return Buffer.compare(this.#buffer.subarray(0, this.#length), bytes) === 0;
  }

  /** Copies what has been written since the last `reset`; for what is short, as is `target`. */
  copyTo(target: Uint8Array): void {
    this.#buffer.copy(target, 0, 0, this.#length);
  }

  /** What has been written since the last `reset`, a character a byte; for what is short. */
  latin1(): string {
    return this.#buffer.toString("latin1", 0, this.#length);
  }

  /** The same, copied in steps. */
  *bytesInSteps(): Generator<undefined, Uint8Array> {
    if (this.length <= STEP_BYTES) return this.bytes();
    const bytes = new Uint8Array(this.length);
    let offset = 0;
    for (const piece of this.pieces()) {
      bytes.set(piece, offset);
      offset += piece.byteLength;
      if (offset < bytes.length) yield;
    }
    return bytes;
  }

  /** What was written, in pieces that each take a step to look at; valid until more is written. */
  *pieces(): Generator<Uint8Array, void> {
    for (const chunk of [...this.#chunks, this.#buffer.subarray(0, this.#length)]) {
      for (let offset = 0; offset < chunk.byteLength; offset += PIECE_BYTES) {
        yield chunk.subarray(offset, offset + PIECE_BYTES);
      }
    }
  }

  reset(): void {
    // A writer is used again for as long as the process lives, and must not hold on to what one value took.
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(NEW_BYTES);
    this.#length = 0;
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#pausedAt = 0;
  }

  /** Writes a copied value as a data item of its own: its shared references are numbered from 0. */
  snapshot(snapshot: Snapshot): void {
    this.#shared = snapshot.shared;
    this.#sharedNumbers = snapshot.shared === undefined ? undefined : new Map();
    this.value(snapshot.copy);
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
  }

  /** The same bytes as from `snapshot`. The writer belongs to it until it is done. */
  *snapshotInSteps(snapshot: Snapshot): Generator<undefined, void> {
    if (snapshot.size <= ONE_STEP_SIZE) return this.snapshot(snapshot);
    this.#shared = snapshot.shared;
    this.#sharedNumbers = snapshot.shared === undefined ? undefined : new Map();
    if (typeof snapshot.copy === "string") yield* this.#textInSteps(snapshot.copy);
    else yield* this.#inSteps([snapshot.copy]);
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
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
    if (bytes.byteLength >= CHUNK_BYTES) {
      this.#putAside();
      this.#chunks.push(bytes);
      this.#chunkBytes += bytes.byteLength;
      return;
    }
    this.#reserve(bytes.byteLength);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
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
    if (units >= WRITTEN_FIRST && units <= TEXT_UNITS && this.#textWrittenFirst(text)) return;
    if (!text.isWellFormed()) {
      // A lone surrogate has no UTF-8; its UTF-16 has.
      this.#named(NAMED.utf16, 2);
      this.byteString(Buffer.from(text, "utf16le"));
      return;
    }
    const size = Buffer.byteLength(text);
    this.#head(MAJOR.text, size);
    this.#reserve(size);
    this.#buffer.write(text, this.#length, size, "utf8");
    this.#length += size;
  }

  number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value >= 0) this.#head(MAJOR.unsigned, value);
      else this.#head(MAJOR.negative, -1 - value);
      return;
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
      buffer.writeFloatBE(value, this.#length + 1);
      this.#length += 5;
    } else {
      buffer[this.#length] = 0xfb;
      buffer.writeDoubleBE(value, this.#length + 1);
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

  /** Writes `parts` one after the other, and what they are made of. */
  *#inSteps(parts: Iterable<unknown>): Generator<undefined, void> {
    for (const part of parts) {
      if (this.stepIsDone) yield;
      if (typeof part === "object" && part !== null) yield* this.#structureInSteps(part);
      else if (typeof part === "string" && part.length > STEP_BYTES) yield* this.#textInSteps(part);
      else this.value(part);
    }
  }

  *#structureInSteps(node: object): Generator<undefined, void> {
    this.#number(node);
    if (Array.isArray(node)) {
      this.array(node.length);
      yield* this.#inSteps(node);
    } else if (Object.getPrototypeOf(node) === Object.prototype) {
      yield* this.#fieldsInSteps(node as Record<string, unknown>);
    } else if (node instanceof MapNode) {
      this.tag(TAG.map);
      this.map(node.entries.length);
      yield* this.#inSteps(partsOfEntries(node.entries));
    } else if (node instanceof SetNode) {
      this.tag(TAG.set);
      this.array(node.items.length);
      yield* this.#inSteps(node.items);
    } else if (node instanceof ErrorNode || node instanceof InstanceNode) {
      this.#named(node instanceof ErrorNode ? NAMED.error : NAMED.instance, 3);
      this.text(node.type);
      yield* this.#fieldsInSteps(node.fields);
    } else if (node instanceof Marker) {
      this.#named(NAMED.marker, 5);
      yield* this.#inSteps([node.reason, node.detail, node.size, node.kept]);
    } else {
      this.#node(node); // it has no parts
    }
  }

  *#fieldsInSteps(fields: Record<string, unknown>): Generator<undefined, void> {
    const keys = Object.keys(fields);
    let wellFormed = true;
    for (const key of keys) {
      wellFormed &&= key.isWellFormed();
      if (this.stepIsDone) yield;
    }
    this.#fieldsHead(keys.length, wellFormed);
    yield* this.#inSteps(partsOfFields(keys, fields));
  }

  /** A long text, a piece at a time. */
  *#textInSteps(text: string): Generator<undefined, void> {
    if (text.length < 0x1_0000) return this.text(text);
    const [buffer, length, chunks, chunkBytes] = [
      this.#buffer,
      this.#length,
      this.#chunks.length,
      this.#chunkBytes,
    ];
    // Its length is known when it is written. So long a text has a head of five bytes.
    const head = Buffer.from([MAJOR.text | 26, 0, 0, 0, 0]);
    this.#putAside();
    this.#chunks.push(head);
    this.#chunkBytes += head.length;
    const from = this.length;
    for (const piece of piecesOf(text)) {
      if (!this.#utf8(piece)) {
        this.#buffer = buffer;
        this.#length = length;
        this.#chunks.length = chunks;
        this.#chunkBytes = chunkBytes;
        return yield* this.#utf16InSteps(text);
      }
      yield;
    }
    head.writeUInt32BE(this.length - from, 1);
  }

  *#utf16InSteps(text: string): Generator<undefined, void> {
    this.#named(NAMED.utf16, 2);
    this.#head(MAJOR.bytes, text.length * 2);
    for (const piece of piecesOf(text)) {
      this.#reserve(piece.length * 2);
      this.#length += this.#buffer.write(piece, this.#length, "utf16le");
      yield;
    }
  }

  /** Writes a text's bytes without a head; false, with nothing written, where it has no UTF-8. */
  #utf8(text: string): boolean {
    this.#reserve(3 * text.length);
    const start = this.#length;
    const end = start + this.#buffer.write(text, start, "utf8");
    // Half a pair is written as U+FFFD, and hardly a text has that for another reason.
    const isDoubtful = this.#buffer.subarray(start, end).includes(REPLACEMENT);
    if (isDoubtful && !text.isWellFormed()) return false;
    this.#length = end;
    return true;
  }

  /**
   * Writes a text, and then the head in front of it: to ask beforehand how long it will be, and whether
   * it is well-formed, takes longer than to write it. False, with nothing written, where it has no UTF-8.
   */
  #textWrittenFirst(text: string): boolean {
    const expected = headBytes(text.length);
    this.#reserve(3 * text.length + expected + 2);
    const start = this.#length;
    this.#length = start + expected;
    const isWritten = this.#utf8(text);
    const end = this.#length;
    this.#length = start;
    if (!isWritten) return false;
    const size = end - start - expected;
    const needed = headBytes(size);
    if (needed !== expected) this.#buffer.copyWithin(start + needed, start + expected, end);
    this.#head(MAJOR.text, size);
    this.#length += size;
    return true;
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
    this.#fieldsHead(
      keys.length,
      keys.every((key) => key.isWellFormed()),
    );
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string;
      this.text(key);
      this.value(fields[key]);
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
    this.#reserve(9);
    const buffer = this.#buffer;
    if (argument < 24) {
      buffer[this.#length++] = major | argument;
    } else if (argument < 0x100) {
      buffer[this.#length++] = major | 24;
      buffer[this.#length++] = argument;
    } else if (argument < 0x1_0000) {
      buffer[this.#length++] = major | 25;
      this.#length = buffer.writeUInt16BE(argument, this.#length);
    } else if (argument < 0x1_0000_0000) {
      buffer[this.#length++] = major | 26;
      this.#length = buffer.writeUInt32BE(argument, this.#length);
    } else {
      buffer[this.#length++] = major | 27;
      this.#length = buffer.writeUInt32BE(Math.floor(argument / 0x1_0000_0000), this.#length);
      this.#length = buffer.writeUInt32BE(argument % 0x1_0000_0000, this.#length);
    }
  }

  /** Ends the buffer that is being written. */
  #putAside(): void {
    if (this.#length === 0) return;
    this.#chunks.push(this.#buffer.subarray(0, this.#length));
    this.#chunkBytes += this.#length;
    this.#buffer = this.#buffer.subarray(this.#length);
    this.#length = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    if (this.#length >= CHUNK_BYTES) {
      this.#putAside();
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, CHUNK_BYTES * 2));
      return;
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2, SMALLEST_BUFFER));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

function* partsOfEntries(entries: readonly [unknown, unknown][]): Generator<unknown, void> {
  for (const [key, value] of entries) {
    yield key;
    yield value;
  }
}

function* partsOfFields(keys: readonly string[], fields: Record<string, unknown>): Generator<unknown, void> {
  for (const key of keys) {
    yield key;
    yield fields[key];
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
    let end = Math.min(start + TEXT_UNITS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end += 1;
    yield text.slice(start, end);
    start = end;
  }
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

function written(snapshot: Snapshot): CborWriter {
  reusable ??= new CborWriter(SMALLEST_BUFFER);
  reusable.reset();
  reusable.snapshot(snapshot);
  return reusable;
}

/** One copied value as CBOR. */
export function encodeValue(snapshot: Snapshot): Uint8Array {
  const writer = written(snapshot);
  const bytes = writer.bytes();
  writer.reset();
  return bytes;
}

/** Whether those are the bytes of a copied value. */
export function isEncodedAs(snapshot: Snapshot, bytes: Uint8Array): boolean {
  return written(snapshot).holds(bytes);
}

/** The same, in steps. `writer` may be used for one value after the other. */
export function* encodeValueInSteps(
  snapshot: Snapshot,
  writer: CborWriter = new CborWriter(CHUNK_BYTES),
): Generator<undefined, Uint8Array> {
  writer.reset();
  yield* writer.snapshotInSteps(snapshot);
  return yield* writer.bytesInSteps();
}
