/** Memory to write into, which grows, and is used again. */

const SMALLEST_BYTES = 4096;
/** More than this is given back. */
const KEPT_BYTES = 512 * 1024;

export class Scratch {
  /** Replaced by a larger one when it is full: what has been written is in both. */
  bytes: Buffer = Buffer.allocUnsafeSlow(SMALLEST_BYTES);
  /** Bytes written since the last `reset`. */
  length = 0;

  /** Makes room for so many more. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** Writes bytes behind what has been written. */
  put(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    this.bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  reset(): void {
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(SMALLEST_BYTES);
    this.length = 0;
  }
}
