/**
 * Reads CBOR (RFC 8949) item by item, without making anything of what it passes over: for the tables of a capsule,
 * which grow with the run, and would take most of a replay's time otherwise. What does not grow, and values, are read
 * by a library.
 *
 * Invariants
 * 1. It never reads beyond the bytes: what is cut off, of indefinite length or not CBOR throws a RangeError.
 * 2. What is another kind of item than was asked for gives `undefined`, or NaN where a number was.
 */

const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
const INDEFINITE = 31;

export class CborReader {
  readonly #bytes: Buffer;
  #at = 0;
  /** Of the head that was read last. */
  #major = 0;
  #value = 0;
  /** The text that was read last, and where: the next one of a column is often the same. */
  #text = "";
  #textStart = 0;
  #textEnd = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the next item begins. */
  get position(): number {
    return this.#at;
  }

  set position(position: number) {
    this.#at = position;
  }

  /** An unsigned integer that is safe; NaN for anything else. */
  unsigned(): number {
    this.#head();
    return this.#major === MAJOR.unsigned && this.#value <= Number.MAX_SAFE_INTEGER
      ? this.#value
      : Number.NaN;
  }

  /** The same, or -1. */
  unsignedOrMinusOne(): number {
    if (this.#bytes[this.#at] !== 0x20) return this.unsigned();
    this.#at += 1;
    return -1;
  }

  /** How many items follow. */
  arrayLength(): number {
    return this.#lengthOf(MAJOR.array);
  }

  /** How many keys with their values follow. */
  mapLength(): number {
    return this.#lengthOf(MAJOR.map);
  }

  /** A byte string, as a view. */
  byteString(): Uint8Array | undefined {
    this.#head();
    if (this.#major !== MAJOR.bytes) return undefined;
    const start = this.#at;
    this.#pass(this.#value);
    const { buffer, byteOffset } = this.#bytes;
    return new Uint8Array(buffer, byteOffset + start, this.#value);
  }

  text(): string | undefined {
    this.#head();
    if (this.#major !== MAJOR.text) return undefined;
    const start = this.#at;
    this.#pass(this.#value);
    if (!this.#isSameText(start)) {
      this.#text = this.#bytes.toString("utf8", start, this.#at);
      this.#textStart = start;
      this.#textEnd = this.#at;
    }
    return this.#text;
  }

  /** The bytes of an item, whatever it is, as a view. */
  item(): Uint8Array {
    const start = this.#at;
    this.skip();
    return this.#bytes.subarray(start, this.#at);
  }

  /** Passes over an item, and all that it holds. */
  skip(): void {
    // Of arrays, maps and tags: how many items they hold that have not been passed over.
    for (let left = 1; left > 0; left--) {
      this.#head();
      switch (this.#major) {
        case MAJOR.bytes:
        case MAJOR.text:
          this.#pass(this.#value);
          break;
        case MAJOR.array:
          left += this.#value;
          break;
        case MAJOR.map:
          left += 2 * this.#value;
          break;
        case MAJOR.tag:
          left += 1;
      }
    }
  }

  #lengthOf(major: number): number {
    this.#head();
    return this.#major === major ? this.#value : Number.NaN;
  }

  #isSameText(start: number): boolean {
    const length = this.#at - start;
    if (length !== this.#textEnd - this.#textStart) return false;
    for (let offset = 0; offset < length; offset++) {
      if (this.#bytes[start + offset] !== this.#bytes[this.#textStart + offset]) return false;
    }
    return true;
  }

  #head(): void {
    const initial = this.#bytes[this.#at];
    if (initial === undefined) throw new RangeError("it is cut off");
    this.#at += 1;
    this.#major = initial >> 5;
    const info = initial & 0x1f;
    if (info < 24) {
      this.#value = info;
      return;
    }
    const start = this.#at;
    if (info === 24) {
      this.#pass(1);
      this.#value = this.#bytes[start] as number;
    } else if (info === 25) {
      this.#pass(2);
      this.#value = ((this.#bytes[start] as number) << 8) | (this.#bytes[start + 1] as number);
    } else if (info === 26) {
      this.#pass(4);
      this.#value = this.#bytes.readUInt32BE(start);
    } else if (info === 27) {
      this.#pass(8);
      this.#value = this.#bytes.readUInt32BE(start) * 2 ** 32 + this.#bytes.readUInt32BE(start + 4);
    } else {
      throw new RangeError(info === INDEFINITE ? "a length is indefinite" : "it is not CBOR");
    }
  }

  #pass(bytes: number): void {
    if (bytes > this.#bytes.length - this.#at) throw new RangeError("it is cut off");
    this.#at += bytes;
  }
}
