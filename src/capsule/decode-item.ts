/** Decodes CBOR with cborg, whose text decoder drops a leading U+FEFF: text is text here, whatever it begins with. */
import { type DecodeOptions, decode, type Token, Tokenizer, Type } from "cborg";

/** How many bytes the head of an item takes, by the low five bits of its first byte. */
const LONG_HEADS: Readonly<Record<number, number>> = { 24: 2, 25: 3, 26: 5, 27: 9 };
const SHORT_INFORMATION = 24;
const MARK = "\uFEFF";
const MARK_BYTES = [0xef, 0xbb, 0xbf] as const;

class TextKeepingTokenizer extends Tokenizer {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, options: DecodeOptions) {
    super(bytes, options);
    this.#bytes = bytes;
  }

  override next(): Token {
    const start = this.pos();
    const token = super.next();
    if (token.type === Type.string && this.#beginsWithMark(start)) {
      (token as { value: string }).value = MARK + String(token.value);
    }
    return token;
  }

  #beginsWithMark(start: number): boolean {
    const information = (this.#bytes[start] as number) & 0x1f;
    const text = start + (information < SHORT_INFORMATION ? 1 : (LONG_HEADS[information] ?? 1));
    const end = this.pos();
    return (
      text + MARK_BYTES.length <= end &&
      MARK_BYTES.every((byte, offset) => this.#bytes[text + offset] === byte)
    );
  }
}

/** The value of one CBOR item, which must take all of `bytes`. Throws what cborg throws. */
export function decodeItem(bytes: Uint8Array, options: DecodeOptions): unknown {
  // cborg takes slices: of a Buffer they would be Buffers.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return decode(plain, { ...options, tokenizer: new TextKeepingTokenizer(plain, options) });
}
