/**
 * Which objects have crossed the border of a run. The record holds copies, so a replay cannot give the
 * program an object that it has already, nor change one that it passed to an effect. Where an effect did
 * one of these, this says so, and the run is told to be inexact.
 *
 * It looks at a value itself and one level into it: items of arrays and fields of other objects, so many
 * and no more. It calls no getter and no proxy.
 */
import { EventEmitter } from "node:events";
import { types } from "node:util";
import { formatPath } from "../json-path.js";

const ITEMS = 256;
const FIELDS = 16;
const BYTES = 4096;
/** A longer list of arguments is not looked at. */
const ARGUMENTS = 16;

type Fields = readonly (readonly [key: string | number, value: unknown])[];

/** What an argument held when its effect began. */
interface Before {
  readonly argument: object;
  readonly place: number;
  readonly size: number;
  readonly fields: Fields;
  readonly bytes: Uint8Array | undefined;
}

export class ObjectIdentity {
  /** Where each object was first seen. */
  readonly #seen = new WeakMap<object, string>();
  /** Of the effects that have begun and not ended. */
  readonly #before = new Map<number, readonly Before[]>();

  /** What the root is given. Returns what is wrong with it. */
  begin(input: readonly unknown[]): string | undefined {
    let twice: string | undefined;
    for (let place = 0; place < input.length && place < ARGUMENTS; place++) {
      const argument = input[place];
      if (!isTracked(argument)) continue;
      if (this.#seen.has(argument)) {
        twice = `Argument ${place} of the run is or holds an object that another argument holds, and a replay gives two. Pass a copy.`;
      }
      this.#enter(argument, `argument ${place} of the run`);
    }
    return twice;
  }

  /** An effect is given these arguments. */
  start(index: number, name: string, input: readonly unknown[]): void {
    let before: Before[] | undefined;
    for (let place = 0; place < input.length && place < ARGUMENTS; place++) {
      const argument = input[place];
      if (!isTracked(argument)) continue;
      this.#enter(argument, `argument ${place} of effect "${name}"`);
      // A stream or a socket is no data, and its inner counters change all the time.
      if (argument instanceof EventEmitter) continue;
      (before ??= []).push({
        argument,
        place,
        size: sizeOf(argument),
        fields: fieldsOf(argument),
        bytes: bytesOf(argument)?.slice(),
      });
    }
    if (before !== undefined) this.#before.set(index, before);
  }

  /** The effect has settled. Returns what a replay cannot do again. */
  end(index: number, name: string, given: unknown): string | undefined {
    const changed = this.#changed(index, name);
    if (!isTracked(given)) return changed;
    const known = this.#find(given);
    this.#enter(given, `the result of effect "${name}"`);
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

  #find(value: object): string | undefined {
    const known = this.#seen.get(value);
    if (known !== undefined) return known;
    for (const [, field] of fieldsOf(value)) {
      const held = isTracked(field) ? this.#seen.get(field) : undefined;
      if (held !== undefined) return held;
    }
    return undefined;
  }

  #enter(value: object, from: string): void {
    if (!this.#seen.has(value)) this.#seen.set(value, from);
    for (const [, field] of fieldsOf(value)) {
      if (isTracked(field) && !this.#seen.has(field)) this.#seen.set(field, from);
    }
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

function fieldsOf(value: object): Fields {
  if (ArrayBuffer.isView(value)) return [];
  const fields: [string | number, unknown][] = [];
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && index < ITEMS; index++) {
      const field = Object.getOwnPropertyDescriptor(value, index);
      if (field !== undefined && "value" in field) fields.push([index, field.value]);
    }
    return fields;
  }
  for (const key of Object.keys(value)) {
    if (fields.length === FIELDS) break;
    const field = Object.getOwnPropertyDescriptor(value, key);
    if (field !== undefined && "value" in field) fields.push([key, field.value]);
  }
  return fields;
}

function changeOf({ argument, size, fields, bytes }: Before): readonly (string | number)[] | undefined {
  const now = fieldsOf(argument);
  for (let index = 0; index < Math.max(now.length, fields.length); index++) {
    const was = fields[index];
    const is = now[index];
    if (was === undefined || is === undefined) return [(is ?? was)?.[0] ?? 0];
    if (was[0] !== is[0] || !Object.is(was[1], is[1])) return [is[0]];
  }
  if (bytes !== undefined && !bytesOf(argument)?.every((byte, index) => byte === bytes[index])) return [];
  return sizeOf(argument) === size || Number.isNaN(size) ? undefined : [];
}
