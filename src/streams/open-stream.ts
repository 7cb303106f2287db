/**
 * Makes a stream of any kind whose items come from a `Pull`: the one that a program gets in place of
 * the real one while it is recorded, and in a replay. Nothing is asked for before somebody reads.
 */
import { Readable } from "node:stream";
import { copyMembers } from "../copy-members.js";
import type { RecordedStream, StreamKind } from "../capsule/recorded-stream.js";
import type { Pull } from "./pull.js";
import { markStream } from "./stream-kind.js";

/** A stream like the recorded one. `original` is the one it stands for, where there is one. */
export function openStream(
  { kind, fields }: RecordedStream<StreamKind>,
  pull: Pull,
  original?: object,
): object {
  switch (kind) {
    case "generator":
      return generator(kind, GENERATOR, pull, original);
    case "async-generator":
      return generator(kind, ASYNC_GENERATOR, pull, original);
    case "iterable":
      return iterable(original ?? { ...fields }, pull);
    case "ReadableStream":
    case "byte-stream":
      return like(webStream(kind === "byte-stream", pull), original);
    case "Readable":
    case "object-Readable":
      return likeReadable(nodeStream(kind === "object-Readable", fields["encoding"], pull), original);
  }
}

/** `made`, with the members that somebody has put on `original`. */
function like<Made extends object>(made: Made, original: object | undefined): Made {
  if (original !== undefined) copyMembers(original, made);
  return made;
}

/** The same of a Node stream, which may be of a class of its own; what reads it stays that of `Readable`. */
function likeReadable(made: Readable, original: object | undefined): Readable {
  if (original === undefined) return made;
  const prototype = Object.getPrototypeOf(original) as object;
  if (prototype !== Readable.prototype) {
    const { constructor: _, ...reading } = Object.getOwnPropertyDescriptors<object>(Readable.prototype);
    Object.setPrototypeOf(made, Object.create(prototype, reading) as object);
  }
  return like(made, original);
}

const GENERATOR = Object.getPrototypeOf(function* () {}.prototype) as object;
const ASYNC_GENERATOR = Object.getPrototypeOf(async function* () {}.prototype) as object;

function generator(kind: StreamKind, base: object, pull: Pull, original: object | undefined): object {
  const prototype = original === undefined ? base : (Object.getPrototypeOf(original) as object);
  const made = like(iterator(prototype, pull), original);
  markStream(made, kind);
  return made;
}

/** What has the three methods of a generator, and is one to whoever looks at its class. */
function iterator(prototype: object, pull: Pull): object {
  const made = Object.create(prototype) as object;
  for (const method of ["next", "return", "throw"] as const) {
    Object.defineProperty(made, method, {
      value: (...input: unknown[]) => pull(method, input),
      writable: true,
      configurable: true,
    });
  }
  return made;
}

/** The first iteration goes through `pull`; a later one is the object's own, where it has one. */
function iterable(object: object, pull: Pull): object {
  const again = (object as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator]?.bind(object);
  const made = iterator(ASYNC_GENERATOR, pull);
  let begun = false;
  const begin = (): unknown => {
    if (begun && again !== undefined) return again();
    begun = true;
    return made;
  };
  const descriptor = { value: begin, writable: true, configurable: true };
  try {
    if (Reflect.defineProperty(object, Symbol.asyncIterator, descriptor)) return object;
  } catch {
    // A Proxy that refuses by throwing is like one that refuses.
  }
  return new Proxy(Object.create(object) as object, {
    get(_target, key) {
      if (key === Symbol.asyncIterator) return begin;
      const member: unknown = Reflect.get(object, key);
      // Its #private fields are not to be had through a Proxy.
      return typeof member === "function" && key !== "constructor"
        ? (member.bind(object) as unknown)
        : member;
    },
  });
}

function webStream(bytes: boolean, pull: Pull): ReadableStream {
  type Controller = ReadableStreamDefaultController<unknown> | ReadableByteStreamController;
  const source = {
    async pull(controller: Controller): Promise<void> {
      for (;;) {
        const { done, value } = (await pull("next", [])) as IteratorResult<unknown>;
        if (done === true) {
          controller.close();
          // Who waits with a buffer of their own is told that nothing more comes into it.
          if ("byobRequest" in controller) controller.byobRequest?.respond(0);
          return;
        }
        // A stream of bytes has no empty chunks, and does not ask again after one.
        if (bytes && (value as Uint8Array).byteLength === 0) continue;
        controller.enqueue(value as never);
        return;
      }
    },
    async cancel(reason: unknown): Promise<void> {
      await pull("return", [reason]);
    },
  };
  return bytes
    ? new ReadableStream({ ...source, type: "bytes" }, { highWaterMark: 0 })
    : new ReadableStream(source, { highWaterMark: 0 });
}

function nodeStream(objectMode: boolean, encoding: unknown, pull: Pull): Readable {
  let over = false;
  const stream = new Readable({
    objectMode,
    highWaterMark: 0,
    read() {
      (pull("next", []) as Promise<IteratorResult<unknown>>).then(
        ({ done, value }) => {
          over ||= done === true;
          this.push(done === true ? null : value);
        },
        (error: unknown) => {
          over = true;
          this.destroy(error as Error);
        },
      );
    },
    destroy(error, callback) {
      if (over) return callback(error);
      over = true;
      const destroyed = (): void => callback(error);
      (pull("return", error === null ? [] : [error]) as Promise<unknown>).then(destroyed, destroyed);
    },
  });
  if (typeof encoding === "string") stream.setEncoding(encoding as BufferEncoding);
  return stream;
}
