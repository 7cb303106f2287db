/**
 * What kind of stream a value is:
 * - `generator`, `async-generator`: the object that a generator function returns
 * - `iterable`: any other object with `Symbol.asyncIterator`
 * - `ReadableStream`, `byte-stream`: of the web platform; the second may be read into one's own buffer
 * - `Readable`, `object-Readable`: of Node; the second in object mode
 */
export type StreamKind =
  | "generator"
  | "async-generator"
  | "iterable"
  | "ReadableStream"
  | "byte-stream"
  | "Readable"
  | "object-Readable";

/** Stands in a record for a stream. What was read of it is recorded item by item, where it was read. */
export class RecordedStream {
  readonly kind: StreamKind;
  /** What else the stream had, as plain data. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(kind: StreamKind, fields: Readonly<Record<string, unknown>> = {}) {
    this.kind = kind;
    this.fields = fields;
  }
}
