/**
 * A Blob, File, Request or Response that was read from a record is the platform's own object, but for
 * its content, which is not in the record: reading it is an effect. Without the effect's result it fails.
 */
import { HindcastError } from "../errors.js";

type Fields = Readonly<Record<string, unknown>>;

const heads = new WeakMap<object, Fields>();
/** Those whose content is not there. */
const withoutContent = new WeakSet<object>();

/** Methods that know how to read the content of a head: what captures the reading puts them here. */
export const headReaders: WeakSet<object> = new WeakSet<object>();

/** Notes that `value` says of itself what is in `fields`, whatever its class says of it. */
export function setHead<T extends object>(value: T, fields: Fields): T {
  heads.set(value, fields);
  return value;
}

/** Notes that `value` was made from `fields` of a record, and has no content. */
export function setBareHead<T extends object>(value: T, fields: Fields): T {
  withoutContent.add(value);
  return setHead(value, fields);
}

/** Whether the content of `value` is not there. */
export function isBareHead(value: object): boolean {
  return withoutContent.has(value);
}

/** What `value` says of itself, where its class would say something else. */
export function headOf(value: object): Fields | undefined {
  return heads.get(value);
}

/** What reading the content of a head comes to where no recorded effect gives it. */
export function contentNotRecorded(what: string): HindcastError {
  return new HindcastError(
    "content-not-recorded",
    `The content of this ${what} is not in the capsule: what a record has of one is its head. It can be read in a replay, by the code that read it in the recorded run.`,
  );
}

/** The content of a head as a stream: it fails when it is read, and not before. */
export function absentContent(what: string): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    { pull: (controller) => controller.error(contentNotRecorded(what)) },
    { highWaterMark: 0 },
  );
}

/** By what a request or response that is no plain value is recorded, wherever a run hands it on. */
const recordedBy = new WeakMap<object, object>();
let isAnyRecordedBy = false;

/** Notes that `recorded` goes into records in place of `value`. */
export function recordAs(value: object, recorded: object): void {
  isAnyRecordedBy = true;
  recordedBy.set(value, recorded);
}

/** What goes into records in place of `value`; undefined where it is recorded as it is. */
export function recordedAs(value: object): object | undefined {
  return isAnyRecordedBy ? recordedBy.get(value) : undefined;
}
