/** Reads a live stream of any kind by the protocol of iterators. Nothing is read before it is asked for. */
import type { Readable } from "node:stream";
import type { StreamKind } from "../capsule/recorded-stream.js";
import { setImmediateOriginal } from "../originals.js";
import { ENDED, type Pull } from "./pull.js";

/** What reads `stream`, which is of the given kind. */
export function sourceOf(stream: object, kind: StreamKind): Pull {
  switch (kind) {
    case "generator":
    case "async-generator": {
      const generator = stream as Generator<unknown, unknown, unknown>;
      return (method, input) => Reflect.apply(generator[method], generator, input) as unknown;
    }
    case "iterable":
      return iterableSource(stream as AsyncIterable<unknown>);
    case "ReadableStream":
    case "byte-stream":
      return webSource(stream as ReadableStream<unknown>);
    case "Readable":
    case "object-Readable":
      return nodeSource(stream as Readable);
  }
}

function iterableSource(iterable: AsyncIterable<unknown>): Pull {
  const begin = iterable[Symbol.asyncIterator].bind(iterable);
  let iterator: AsyncIterator<unknown, unknown, unknown> | undefined;
  return async (method, input) => {
    iterator ??= begin();
    const body = iterator[method];
    if (body !== undefined) return (await Reflect.apply(body, iterator, input)) as unknown;
    if (method === "throw") throw input[0];
    return { done: true, value: input[0] };
  };
}

/**
 * By what the reading of a response's body is aborted. Up to Node 22 one that has arrived in whole hears of
 * no abort: who reads it waits for ever. While it is recorded it is read a little later, and that happens easily.
 */
export const abortsOfBodies: WeakMap<ReadableStream, AbortSignal> = new WeakMap();

function webSource(stream: ReadableStream<unknown>): Pull {
  let reader: ReadableStreamDefaultReader<unknown> | undefined;
  return async (method, input) => {
    reader ??= stream.getReader();
    const signal = abortsOfBodies.get(stream);
    if (method === "next") return signal === undefined ? reader.read() : unlessAborted(reader.read(), signal);
    await reader.cancel(input[0]);
    return ENDED;
  };
}

/** What the platform gives, also in the moment of an abort; the signal's reason where it gives nothing. */
function unlessAborted<T>(reading: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void setImmediateOriginal(() => reject(signal.reason as Error));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort);
    void reading.then(resolve, reject).then(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * By `data` events, which keep the boundaries of chunks; between two readings it is paused. That it fails is
 * heard from the beginning: an error of a stream that nobody listens to ends the process.
 */
function nodeSource(stream: Readable): Pull {
  type Waiting = { resolve: (result: IteratorResult<unknown>) => void; reject: (error: unknown) => void };
  const waiting: Waiting[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let listening = false;
  const end = (error?: unknown): void => {
    if (ended) return;
    ended = true;
    if (error !== undefined) failure = { error };
    for (const one of waiting.splice(0)) give(one);
  };
  /** A stream fails once; who asks again after that is told that it has ended. */
  const give = ({ resolve, reject }: Waiting): void => {
    const failed = failure;
    failure = undefined;
    if (failed === undefined) resolve(ENDED);
    else reject(failed.error);
  };
  const listen = (): void => {
    listening = true;
    stream.pause();
    stream.on("data", (value: unknown) => {
      const first = waiting.shift();
      if (waiting.length === 0) stream.pause();
      first?.resolve({ done: false, value });
    });
    stream.once("end", () => end());
    stream.once("close", () => end());
    if (stream.readableEnded || stream.closed) end();
  };
  stream.once("error", (error: unknown) => end(error));
  return (method, input) =>
    new Promise((resolve, reject) => {
      if (!listening) listen();
      if (ended) return give({ resolve, reject });
      if (method === "next") {
        waiting.push({ resolve, reject });
        stream.resume();
        return;
      }
      end();
      if (stream.closed) return resolve(ENDED);
      stream.once("close", () => resolve(ENDED));
      stream.once("error", () => undefined); // the reader has said it, and knows
      stream.destroy(input[0] instanceof Error ? input[0] : undefined);
    });
}
