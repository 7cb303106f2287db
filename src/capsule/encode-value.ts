/**
 * Writes copies (see `snapshot.ts`) as CBOR (RFC 8949).
 *
 * Invariants
 * 1. The same copy gives the same bytes, so equal values can be found by their bytes.
 * 2. Each number is written as the shortest form that reads back as the same number, `-0` and NaN
 *    included; a BigInt is always a bignum, so that `5n` does not come back as `5`.
 * 3. Every tag is registered with IANA; what has no tag of its own is tag 27 with a type's name.
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

/** Grows a buffer and writes CBOR into it. */
export class CborWriter {
  #buffer: Buffer;
  #length = 0;
  #sharedNumbers: Map<object, number> | undefined;
  #shared: ReadonlySet<object> | undefined;

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of the bytes written since the last `reset`. */
  bytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer.subarray(0, this.#length));
  }

  reset(): void {
    this.#length = 0;
  }

  /** Writes a copied value as a data item of its own: its shared references are numbered from 0. */
  snapshot(snapshot: Snapshot): void {
    this.#shared = snapshot.shared;
    this.#sharedNumbers = snapshot.shared === undefined ? undefined : new Map();
    this.value(snapshot.copy);
    this.#shared = undefined;
    this.#sharedNumbers = undefined;
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

  byteString(bytes: Uint8Array): void {
    this.#head(MAJOR.bytes, bytes.byteLength);
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

  #structure(node: object): void {
    if (this.#shared?.has(node)) {
      const numbers = this.#sharedNumbers as Map<object, number>;
      numbers.set(node, numbers.size);
      this.tag(TAG.shareable);
    }
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
    if (!keys.every((key) => key.isWellFormed())) {
      // A map's keys are text, and text is UTF-8: such an object goes as a list of pairs.
      this.#named(NAMED.fields, 2);
      this.array(keys.length * 2);
      for (const key of keys) {
        this.text(key);
        this.value(fields[key]);
      }
      return;
    }
    this.map(keys.length);
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string;
      this.text(key);
      this.value(fields[key]);
    }
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

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** One copied value as CBOR. */
export function encodeValue(snapshot: Snapshot): Uint8Array {
  const writer = new CborWriter(256);
  writer.snapshot(snapshot);
  return writer.bytes();
}
