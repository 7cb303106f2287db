/**
 * Compresses one thing after the other, on the thread pool. The stream is there for all of them: to make one for each
 * takes the main thread three times as long, and what it frees makes the garbage collector run.
 *
 * Each result can be inflated by itself: a full flush forgets what came before, and ends on a whole byte.
 */
import { constants, createDeflateRaw, type DeflateRaw } from "node:zlib";

/** An empty last block, as a stream that goes on has none. */
const END = Buffer.from([0x03, 0x00]);
/** One hand-over to the thread pool for a block. */
const CHUNK_BYTES = 64 * 1024;

export class Deflater {
  #stream: DeflateRaw | undefined;
  #output: Uint8Array[] = [];
  #scratch: Buffer | undefined;

  /** Raw deflate of the pieces one after the other, in pieces. To be called when the last call has settled. */
  deflate(pieces: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const stream = (this.#stream ??= this.#open());
    const raw = this.#inOnePiece(pieces);
    return new Promise((resolve, reject) => {
      stream.write(raw, (error) => {
        // What is read here has been handed to the listener.
        while (stream.read() !== null);
        const output = this.#output;
        this.#output = [];
        if (error) reject(error);
        else resolve([...output, END]);
      });
    });
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#scratch = undefined;
  }

  #open(): DeflateRaw {
    const stream = createDeflateRaw({
      level: constants.Z_BEST_SPEED,
      flush: constants.Z_FULL_FLUSH,
      chunkSize: CHUNK_BYTES,
    });
    stream.on("data", (bytes: Uint8Array) => this.#output.push(bytes));
    stream.on("error", () => {
      this.#stream = undefined; // whoever waits is told; the next begins anew
    });
    return stream;
  }

  #inOnePiece(pieces: readonly Uint8Array[]): Uint8Array {
    const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    if (pieces.length === 1 && pieces[0] !== undefined) return pieces[0];
    if (size > CHUNK_BYTES) return Buffer.concat(pieces, size);
    // Used again: memory that is new for each block takes longer to get than to fill.
    const scratch = (this.#scratch ??= Buffer.allocUnsafeSlow(CHUNK_BYTES));
    let end = 0;
    for (const piece of pieces) {
      scratch.set(piece, end);
      end += piece.byteLength;
    }
    return scratch.subarray(0, end);
  }
}
