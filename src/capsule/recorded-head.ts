/**
 * A Blob, File, Request or Response that was read from a record is the platform's own object, but for
 * its content, which is not in the record: reading it is an effect. Without the effect's result it fails.
 */
import { HindcastError } from "../errors.js";

type Fields = Readonly<Record<string, unknown>>;

const heads = new WeakMap<object, Fields>();

/** Methods that know how to read the content of a head: what captures the reading puts them here. */
export const headReaders: WeakSet<object> = new WeakSet();

/** Notes that `value` was made from `fields` of a record. */
export function setHead<T extends object>(value: T, fields: Fields): T {
  heads.set(value, fields);
  return value;
}

/** The recorded fields that `value` was made from; undefined where it is a live one. */
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
