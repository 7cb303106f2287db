import { Duplex, Readable } from "node:stream";
import { types } from "node:util";
import { isStreamKind, RecordedStream, type StreamKind } from "../capsule/recorded-stream.js";

/** What stands for a generator is none to V8, and passes through another stage all the same. */
const standIns = new WeakMap<object, StreamKind>();

/** Notes that `object` stands for a stream of that kind. */
export function markStream(object: object, kind: StreamKind): void {
  standIns.set(object, kind);
}

/** What kind of stream `value` is; undefined where it is none, or one that somebody else is reading already. */
export function streamKindOf(value: unknown): StreamKind | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Array.prototype) return undefined;
    const iterates = typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function";
    if (prototype === Object.prototype || types.isProxy(value)) return iterates ? "iterable" : undefined;
    const standIn = standIns.get(value);
    if (standIn !== undefined) return standIn;
    if (types.isGeneratorObject(value)) return iterates ? "async-generator" : "generator";
    if (value instanceof RecordedStream) return isStreamKind(value.kind) ? value.kind : undefined;
    if (!iterates) return undefined;
    if (value instanceof ReadableStream) return webKindOf(value);
    if (value instanceof Readable) return nodeKindOf(value);
    // What tells of itself by events may never be iterated: a readline interface, a directory.
    const { on, addEventListener } = value as { on?: unknown; addEventListener?: unknown };
    return typeof on === "function" || typeof addEventListener === "function" ? undefined : "iterable";
  } catch {
    return undefined; // a Proxy or a getter that throws: whoever reads it will hear of it there
  }
}

/** Whether items of such a stream are given at once, and not in promises. */
export function isSynchronous(kind: StreamKind): boolean {
  return kind === "generator";
}

function webKindOf(stream: ReadableStream): StreamKind | undefined {
  if (stream.locked) return undefined;
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return "byte-stream";
  } catch {
    return "ReadableStream"; // only a stream of bytes gives such a reader
  }
}

function nodeKindOf(stream: Readable): StreamKind | undefined {
  if (stream instanceof Duplex || stream.destroyed || stream.readableFlowing === true) return undefined;
  return stream.readableObjectMode ? "object-Readable" : "Readable";
}
