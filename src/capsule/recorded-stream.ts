/**
 * What a stream, a generator or an iterable is in a record: its kind. Its items are effects of their own. So it is with
 * what a server hands to a root: what is read of a request, and what is done to a response, are effects.
 */

export const STREAM_KINDS = [
  "generator",
  "async-generator",
  "iterable",
  "ReadableStream",
  "byte-stream",
  "Readable",
  "object-Readable",
] as const;

/**
 * - `generator`, `async-generator`, `iterable`: of the language
 * - `ReadableStream`, `byte-stream`: of the Web; the latter is one of `type: "bytes"`
 * - `Readable`, `object-Readable`: of `node:stream`; the latter is one in `objectMode`
 */
export type StreamKind = (typeof STREAM_KINDS)[number];

export function isStreamKind(kind: unknown): kind is StreamKind {
  return (STREAM_KINDS as readonly unknown[]).includes(kind);
}

/**
 * - `Request`: of the Web, but of a framework's own class
 * - `IncomingMessage`, `ServerResponse`: of `node:http`, or made of one by a framework
 * - `handler`: what a framework makes around those for its handlers
 * - `promise`: what is to come in an argument, such as the `params` of Next
 * - `function`: what a handler is given beside them to call, such as `next`
 */
export const EXCHANGE_KINDS = [
  "Request",
  "IncomingMessage",
  "ServerResponse",
  "handler",
  "promise",
  "function",
] as const;
export type ExchangeKind = (typeof EXCHANGE_KINDS)[number];

export function isExchangeKind(kind: unknown): kind is ExchangeKind {
  return (EXCHANGE_KINDS as readonly unknown[]).includes(kind);
}

/** Stands in a record, and in a value read from one, for a live stream, or for a request or response. */
export class RecordedStream<Kind extends StreamKind | ExchangeKind = StreamKind | ExchangeKind> {
  readonly kind: Kind;
  /** Further data of its own, if any. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(kind: Kind, fields: Readonly<Record<string, unknown>> = {}) {
    this.kind = kind;
    this.fields = fields;
  }

  /** Such as `<byte-stream>`; also what `console.log` and `util.inspect` print. */
  toString(): string {
    return `<${this.kind}>`;
  }
}

Object.defineProperty(RecordedStream.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: RecordedStream) {
    return this.toString();
  },
});
