/**
 * Which objects have crossed the border of a run. The record holds copies, so a replay cannot give the
 * program an object that it has already, nor change one that it passed to an effect. Where an effect did
 * one of these, this says so, and the run is told to be inexact.
 *
 * It looks at a value itself and one level into it: items of arrays and fields of other objects, so many
 * and no more. It calls no getter of a field, and no proxy.
 */
import { EventEmitter } from "node:events";
import { types } from "node:util";
import { formatPath } from "../json-path.js";

const ITEMS = 256;
const FIELDS = 16;
const BYTES = 4096;
/** A longer list of arguments is not looked at. */
const ARGUMENTS = 16;

interface Fields {
  /** Of an array there are none: its items have their places. */
  readonly keys: readonly string[] | undefined;
  readonly values: readonly unknown[];
}

/** What an argument held when its effect began. */
interface Before {
  readonly argument: object;
  readonly place: number;
  readonly size: number;
  readonly fields: Fields;
  readonly bytes: Uint8Array | undefined;
}

interface Sighting {
  readonly value: object;
  readonly fields: Fields;
  readonly from: string;
}

export class ObjectIdentity {
  /** Where each object was first seen. */
  readonly #seen = new WeakMap<object, string>();
  /** What is to be entered there: hashing 200 rows takes long, and in most runs nothing is looked up after them. */
  readonly #waiting: Sighting[] = [];
  /** Of the effects that have begun and not ended. */
  readonly #before = new Map<number, readonly Before[]>();

  /** What the root is given. Returns what is wrong with it. */
  begin(input: readonly unknown[]): string | undefined {
    let twice: string | undefined;
    for (let place = 0; place < input.length && place < ARGUMENTS; place++) {
      const argument = input[place];
      if (!isTracked(argument)) continue;
      const fields = fieldsOf(argument);
      if (this.#find(argument, fields) !== undefined) {
        twice = `Argument ${place} of the run is or holds an object that another argument holds, and a replay gives two. Pass a copy.`;
      }
      this.#waiting.push({ value: argument, fields, from: `argument ${place} of the run` });
    }
    return twice;
  }

  /** An effect is given these arguments. */
  start(index: number, name: string, input: readonly unknown[]): void {
    let before: Before[] | undefined;
    for (let place = 0; place < input.length && place < ARGUMENTS; place++) {
      const argument = input[place];
      if (!isTracked(argument)) continue;
      const fields = fieldsOf(argument);
      this.#waiting.push({ value: argument, fields, from: `argument ${place} of effect "${name}"` });
      // A stream or a socket is no data, and its inner counters change all the time.
      if (argument instanceof EventEmitter) continue;
      (before ??= []).push({
        argument,
        place,
        size: sizeOf(argument),
        fields,
        bytes: bytesOf(argument)?.slice(),
      });
    }
    if (before !== undefined) this.#before.set(index, before);
  }

  /** The effect has settled. Returns what a replay cannot do again. */
  end(index: number, name: string, given: unknown): string | undefined {
    const changed = this.#changed(index, name);
    if (!isTracked(given)) return changed;
    const fields = fieldsOf(given);
    const known = this.#find(given, fields);
    this.#waiting.push({ value: given, fields, from: `the result of effect "${name}"` });
    if (changed !== undefined || known === undefined) return changed;
    return `Effect "${name}" gave an object that the program had already (${known}), and a replay gives another: return a copy.`;
  }

  #changed(index: number, name: string): string | undefined {
    const before = this.#before.get(index);
    if (before === undefined) return undefined;
    this.#before.delete(index);
    for (const entry of before) {
      const path = changeOf(entry);
      if (path === undefined) continue;
      const at = path.length === 0 ? "" : ` at ${formatPath(path)}`;
      return `Argument ${entry.place} of effect "${name}" changed${at} while the effect ran, and a replay does not change it: return what changed.`;
    }
    return undefined;
  }

  #find(value: object, fields: Fields): string | undefined {
    for (const sighting of this.#waiting.splice(0)) {
      this.#add(sighting.value, sighting.from);
      for (const field of sighting.fields.values) if (isObject(field)) this.#add(field, sighting.from);
    }
    let known = this.#seen.get(value);
    for (const field of fields.values) {
      if (known !== undefined) break;
      if (isObject(field)) known = this.#seen.get(field);
    }
    return known;
  }

  #add(value: object, from: string): void {
    if (!this.#seen.has(value)) this.#seen.set(value, from);
  }
}

/** A function is not data, a handle or another proxy may not be looked into, and a module may be half loaded. */
function isTracked(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return !types.isProxy(value) && !types.isModuleNamespaceObject(value);
}

function sizeOf(value: object): number {
  if (types.isMap(value) || types.isSet(value)) return value.size;
  if (types.isDate(value)) return Date.prototype.getTime.call(value);
  return Array.isArray(value) ? value.length : 0;
}

function bytesOf(value: object): Uint8Array | undefined {
  // Where the buffer has been transferred, no view of it can be made.
  if (!ArrayBuffer.isView(value) || value.byteLength === 0) return undefined;
  return new Uint8Array(value.buffer, value.byteOffset, Math.min(value.byteLength, BYTES));
}

/** To be known again, a value need not be looked into. */
function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function fieldsOf(value: object): Fields {
  const values: unknown[] = [];
  if (ArrayBuffer.isView(value)) return { keys: undefined, values };
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    try {
      for (let index = 0; index < items.length && index < ITEMS; index++) values.push(items[index]);
    } catch {
      // An item can be a getter that throws: what is before it is looked at.
    }
    return { keys: undefined, values };
  }
  const keys: string[] = [];
  for (const key of Object.keys(value)) {
    if (keys.length === FIELDS) break;
    const field = Object.getOwnPropertyDescriptor(value, key);
    if (field === undefined || !("value" in field)) continue;
    keys.push(key);
    values.push(field.value);
  }
  return { keys, values };
}

function changeOf({ argument, size, fields, bytes }: Before): readonly (string | number)[] | undefined {
  const now = fieldsOf(argument);
  for (let index = 0; index < Math.max(now.values.length, fields.values.length); index++) {
    const key = now.keys?.[index] ?? fields.keys?.[index];
    const isSame =
      now.keys?.[index] === fields.keys?.[index] && Object.is(now.values[index], fields.values[index]);
    if (!isSame) return [key ?? index];
  }
  if (bytes !== undefined && !bytesOf(argument)?.every((byte, index) => byte === bytes[index])) return [];
  return sizeOf(argument) === size || Number.isNaN(size) ? undefined : [];
}
