/** How a stream is passed on, so that whatever is read of it goes by somebody who records it, or replays it. */
import type { Readable } from "node:stream";
import { types } from "node:util";
import { hasStandIn } from "../capsule/recorded-handle.js";
import { setHead } from "../capsule/recorded-head.js";
import { RecordedStream, type StreamKind } from "../capsule/recorded-stream.js";
import type { Conversions } from "../stage/definition.js";
import { quietly } from "../stage/quiet.js";
import { openStream } from "./open-stream.js";
import type { Pull } from "./pull.js";
import { isSynchronous, streamKindOf } from "./stream-kind.js";
import { abortsOfBodies, sourceOf } from "./stream-source.js";

/** A value that is read in pieces. */
export interface Passage {
  /** What goes into the record for the value itself. */
  readonly recorded: unknown;
  /** Whether its items come at once. */
  readonly synchronous: boolean;
  /** Reads the real one. Of a recorded one there is nothing to read. */
  readonly source: Pull;
  /** A value like it, whose items come from `pull`. */
  open(pull: Pull): unknown;
}

/** How `value` is passed on; undefined where it is no stream, and passes as it is. */
export function passageOf(value: unknown): Passage | undefined {
  // What stands for something live stays that, also where it can be iterated.
  if (typeof value !== "object" || value === null || hasStandIn(value)) return undefined;
  try {
    const kind = streamKindOf(value);
    if (kind !== undefined) return passageOfStream(value, kind);
    if (types.isProxy(value) || !(value instanceof Response)) return undefined;
    return quietly(() => passageOfResponse(value));
  } catch {
    return undefined; // a Proxy or a getter that throws: whoever reads it will hear of it there
  }
}

/** The same of what an effect or a stage gives. Where it says itself what to record, that is whole. */
export function passageOfResult({ record, revive }: Conversions, value: unknown): Passage | undefined {
  return record?.output === undefined && revive?.output === undefined ? passageOf(value) : undefined;
}

function passageOfStream(stream: object, kind: StreamKind): Passage {
  const revived = stream instanceof RecordedStream;
  const recorded: RecordedStream<StreamKind> = revived
    ? stream
    : new RecordedStream<StreamKind>(kind, fieldsOf(stream, kind));
  return {
    recorded,
    synchronous: isSynchronous(kind),
    source: revived ? nothing : sourceOf(stream, kind),
    open: (pull) => openStream(recorded, pull, revived ? undefined : stream),
  };
}

const BODY = new RecordedStream<StreamKind>("byte-stream");

/** A response passes with its head as it is; its body is the stream. */
function passageOfResponse(response: Response): Passage | undefined {
  const { body, status } = response;
  // Outside of these no response can be made.
  if (body === null || status < 200 || status > 599) return undefined;
  // Of a body that an abort has taken away, the reading still fails, and is recorded as any other.
  if (response.bodyUsed && abortsOfBodies.get(body)?.aborted !== true) return undefined;
  const kind = streamKindOf(body);
  if (kind === undefined) return undefined;
  return {
    recorded: response,
    synchronous: false,
    source: bodySource(response, body, sourceOf(body, kind)),
    // Of bytes, whatever it was made from: so it is with what comes by `fetch`, and none other can be told in a record.
    open: (pull) => likeResponse(response, openStream(BODY, pull) as ReadableStream),
  };
}

/**
 * Up to Node 22 an abort takes away a body that has arrived in whole and that nobody reads yet: what is left
 * of it reads as if it were empty.
 */
function bodySource(response: Response, body: ReadableStream, read: Pull): Pull {
  let begun = false;
  return (method, input) => {
    if (!begun && method === "next" && response.bodyUsed) {
      const signal = abortsOfBodies.get(body);
      const unusable = new TypeError("Body is unusable: Body has already been read");
      return Promise.reject(signal?.aborted === true ? (signal.reason as Error) : unusable);
    }
    begun = true;
    return read(method, input);
  };
}

function likeResponse(response: Response, body: ReadableStream): Response {
  const { status, statusText, headers, url, redirected, type } = response;
  const made = new Response(body, { status, statusText, headers });
  return withHead(made, { status, statusText, url, redirected, type });
}

/** The constructor takes no `url`, no `redirected` and no `type`, so that these are its own properties. */
function withHead(response: Response, head: Readonly<Record<string, unknown>>): Response {
  const { url, redirected, type } = head;
  const clone = response.clone.bind(response);
  const own = { url, redirected, type, clone: () => withHead(clone(), head) };
  for (const [key, value] of Object.entries(own)) {
    Object.defineProperty(response, key, { value, writable: true, configurable: true });
  }
  return setHead(response, head);
}

const nothing: Pull = () => {
  throw new TypeError("A recorded stream has no source of its own.");
};

/** What a program may read of such a stream besides its items, as far as it is plain data. */
function fieldsOf(stream: object, kind: StreamKind): Record<string, unknown> {
  if (kind === "Readable") {
    const { readableEncoding } = stream as Readable;
    return readableEncoding === null ? {} : { encoding: readableEncoding };
  }
  if (kind !== "iterable") return {};
  const fields: Record<string, unknown> = {};
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(stream))) {
    const value: unknown = descriptor.value;
    if (descriptor.enumerable === true && isPlain(value)) fields[key] = value;
  }
  return fields;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function";
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype;
}
