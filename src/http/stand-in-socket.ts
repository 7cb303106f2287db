/**
 * The socket of a request that is captured: what the program's own `ClientRequest` writes to and reads
 * from. It is connected to nothing. What it reads is given to it in turns, and what it is told to do
 * (a timeout, an end) goes to the real socket, where there is one.
 */
import { Socket } from "node:net";
import { neverSuspected } from "../ambient/undeclared.js";

/** Where a stand-in gets from, and passes on to. */
export interface FarEnd {
  /** Whether what was written before has not been sent yet. */
  readonly busy: boolean;
  /** Whether the real socket has closed, as far as the program has been told. */
  readonly closed: boolean;
  /** The program reads on. */
  resume(): void;
  destroyed(error: Error | null): void;
  setTimeout(milliseconds: number): void;
  setNoDelay(on?: boolean): void;
  setKeepAlive(on?: boolean, delay?: number): void;
  ref(): void;
  unref(): void;
}

type Written = (error?: Error | null) => void;

export class StandInSocket extends Socket {
  /** It is to close with the real one, although all is well. */
  closing = false;
  readonly #farEnd: FarEnd;
  readonly #held: Written[] = [];

  constructor(farEnd: FarEnd) {
    super();
    neverSuspected(this);
    this.#farEnd = farEnd;
  }

  /** Takes what a real socket says of itself, such as its addresses. */
  describe(fields: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(fields)) {
      Object.defineProperty(this, key, { value, writable: true, configurable: true });
    }
  }

  /** Nothing more is written; it closes when the real one has. */
  override destroySoon(): void {
    this.closing = true;
    this.end();
    if (this.#farEnd.closed) this.destroy();
  }

  /** Lets go of what was written, as far as the far end is not busy. */
  release(): void {
    while (!this.#farEnd.busy) {
      const written = this.#held.shift();
      if (written === undefined) return;
      written();
    }
  }

  override _read(): void {
    this.#farEnd.resume();
  }

  // The bytes go nowhere: the real request is given what this one was given, and writes its own.
  override _write(_chunk: unknown, _encoding: BufferEncoding, written: Written): void {
    this.#hold(written);
  }

  override _writev(_chunks: unknown, written: Written): void {
    this.#hold(written);
  }

  #hold(written: Written): void {
    if (this.#farEnd.busy) this.#held.push(written);
    else written();
  }

  override _final(done: Written): void {
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    for (const written of this.#held.splice(0)) written(null);
    this.#farEnd.destroyed(error);
    super._destroy(error, done);
  }

  override setTimeout(milliseconds: number, callback?: () => void): this {
    Object.assign(this, { timeout: milliseconds });
    if (callback !== undefined) {
      if (milliseconds === 0) this.removeListener("timeout", callback);
      else this.once("timeout", callback);
    }
    this.#farEnd.setTimeout(milliseconds);
    return this;
  }

  override setNoDelay(on?: boolean): this {
    this.#farEnd.setNoDelay(on);
    return this;
  }

  override setKeepAlive(on?: boolean, delay?: number): this {
    this.#farEnd.setKeepAlive(on, delay);
    return this;
  }

  override ref(): this {
    this.#farEnd.ref();
    return this;
  }

  override unref(): this {
    this.#farEnd.unref();
    return this;
  }
}
