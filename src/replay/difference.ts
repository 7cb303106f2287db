/** Where two values differ: the first place, by path, in the order of the expected value's own keys. */
import { isPropagationHeader } from "../ambient/propagation-headers.js";
import { Marker } from "../capsule/marker.js";
import {
  entriesOf,
  type PlatformName,
  platformNameOf,
  readSlot,
  scalarsOf,
} from "../capsule/platform-values.js";
import { exactly, type SameNumber } from "./tolerance.js";

export interface Difference {
  readonly path: readonly (string | number)[];
  readonly expected: unknown;
  readonly actual: unknown;
  /** The side on which there is nothing at the path; undefined where both have something. */
  readonly absent: "expected" | "actual" | undefined;
}

type Path = readonly (string | number)[];

/** What goes through a comparison unchanged. */
interface Comparison {
  /** Pairs that have been met. */
  readonly seen: Map<object, object>;
  readonly isSame: SameNumber;
}

/**
 * The first difference, or undefined where the values are the same. The order of an object's keys and
 * the stacks of errors do not count. Numbers are compared by `isSame`, those in arrays of floats
 * included; integers in typed arrays, BigInts, dates and texts exactly.
 */
export function firstDifference(
  expected: unknown,
  actual: unknown,
  isSame: SameNumber = exactly,
): Difference | undefined {
  return compare(expected, actual, [], { seen: new Map(), isSame });
}

function compare(
  expected: unknown,
  actual: unknown,
  path: Path,
  comparison: Comparison,
): Difference | undefined {
  if (Object.is(expected, actual)) return undefined;
  const { seen, isSame } = comparison;
  if (typeof expected === "number" && typeof actual === "number" && isSame(expected, actual))
    return undefined;
  const different: Difference = { path, expected, actual, absent: undefined };
  if (typeof expected !== "object" || typeof actual !== "object" || expected === null || actual === null) {
    return different;
  }
  if (Object.getPrototypeOf(expected) !== Object.getPrototypeOf(actual)) return different;
  // On the way through a cycle the pair has been met before, and is judged there.
  if (seen.get(expected) === actual) return undefined;
  seen.set(expected, actual);
  const found = compareKind(expected, actual, path, comparison, different);
  // What this library has put on the platform's own values, to stand for their content, is not part of them.
  if (found !== undefined || platformNameOf(expected) !== undefined) return found;
  return compareFields(furtherOf(expected), furtherOf(actual), path, comparison);
}

/** What the kind of both values says of them. */
function compareKind(
  expected: object,
  actual: object,
  path: Path,
  comparison: Comparison,
  different: Difference,
): Difference | undefined {
  const { isSame } = comparison;
  if (Array.isArray(expected)) return compareLists(expected, actual as unknown[], path, comparison);
  if (expected instanceof Date)
    return expected.getTime() === (actual as Date).getTime() ? undefined : same(expected, actual, different);
  if (expected instanceof RegExp || expected instanceof URL) {
    return textOf(expected) === textOf(actual as RegExp | URL) ? undefined : different;
  }
  if (ArrayBuffer.isView(expected) || expected instanceof ArrayBuffer) {
    return compareBytes(expected, actual as ArrayBuffer | ArrayBufferView, path, different, isSame);
  }
  if (expected instanceof Map)
    return compareMaps(expected, actual as Map<unknown, unknown>, path, comparison);
  if (expected instanceof Set)
    return compareLists([...expected], [...(actual as Set<unknown>)], path, comparison);
  const platformName = platformNameOf(expected);
  if (platformName !== undefined) {
    const [before, after] = [platformView(platformName, expected), platformView(platformName, actual)];
    if (typeof before !== "object" || typeof after !== "object") {
      return before === after ? undefined : different;
    }
    return compareFields(before, after, path, comparison);
  }
  const fields = compareFields(fieldsOf(expected), fieldsOf(actual), path, comparison);
  return expected instanceof Marker && fields !== undefined ? different : fields;
}

/** What somebody has put on a value besides what its kind shows: under registered symbols, hidden, or as a key of a list. */
function furtherOf(value: object): Readonly<Record<string, unknown>> {
  const further = Object.create(null) as Record<string, unknown>;
  const isPlain = isFields(value);
  const keys = ArrayBuffer.isView(value) ? Object.getOwnPropertySymbols(value) : Reflect.ownKeys(value);
  for (const key of keys) {
    if (typeof key === "symbol") {
      const name = Symbol.keyFor(key);
      if (name !== undefined) further[`Symbol.for(${name})`] = Reflect.get(value, key);
      continue;
    }
    if (isPlain ? Object.prototype.propertyIsEnumerable.call(value, key) : isShown(value, key)) continue;
    further[key] = Reflect.get(value, key);
  }
  return further;
}

/** Whether all enumerable keys of a value are compared as its fields. */
function isFields(value: object): boolean {
  const isOther = [Date, RegExp, URL, Map, Set].some((kind) => value instanceof kind);
  return !Array.isArray(value) && !(value instanceof Error) && !isOther;
}

function isShown(value: object, key: string): boolean {
  if (value instanceof Error) return true;
  if (Array.isArray(value)) return key === "length" || String(Number(key) >>> 0) === key;
  return value instanceof RegExp && key === "lastIndex";
}

/** What counts of one of the platform's values: a text or a state, or fields by name. */
function platformView(
  name: PlatformName,
  value: object,
): string | boolean | Readonly<Record<string, unknown>> {
  switch (name) {
    case "URLSearchParams":
      return new URLSearchParams([...entriesOf(name, value)] as [string, string][]).toString();
    case "AbortSignal":
      return readSlot(name, value, "aborted") as boolean;
    case "Headers":
      return headersView(value);
    case "FormData":
      return entriesView(entriesOf(name, value));
    case "Blob":
    case "File": {
      // When it was made is not what it is.
      const { lastModified: _, ...fields } = scalarsOf(name, value);
      return fields;
    }
    case "Request":
    case "Response": {
      const fields: Record<string, unknown> = {
        ...scalarsOf(name, value),
        headers: headersView(readSlot(name, value, "headers") as object),
        body: readSlot(name, value, "body") !== null,
      };
      return name === "Response" ? fields : { ...fields, signal: readSlot(name, value, "signal") };
    }
  }
}

/** Without the ids that tracing hands on: each exchange has others. */
function headersView(headers: object): Readonly<Record<string, unknown>> {
  const entries = [...entriesOf("Headers", headers)] as [string, unknown][];
  return entriesView(entries.filter(([name]) => !isPropagationHeader(name)));
}

/** By name, so that a path names the entry; and in their order, under a name that none has. */
function entriesView(entries: Iterable<[string, unknown]>): Readonly<Record<string, unknown>> {
  const names: string[] = [];
  const byName = Object.create(null) as Record<string, unknown[]>;
  for (const [name, value] of entries) {
    names.push(name);
    (byName[name] ??= []).push(value);
  }
  const fields = Object.create(null) as Record<string, unknown>;
  for (const [name, values] of Object.entries(byName))
    fields[name] = values.length === 1 ? values[0] : values;
  let order = "(order)";
  while (order in fields) order = `(${order})`;
  fields[order] = names.join();
  return fields;
}

function textOf(value: RegExp | URL): string {
  return value instanceof URL ? value.href : `${value.source}/${value.flags}/${value.lastIndex}`;
}

/** Two invalid dates are the same. */
function same(expected: Date, actual: object, different: Difference): Difference | undefined {
  return Number.isNaN(expected.getTime()) && Number.isNaN((actual as Date).getTime()) ? undefined : different;
}

function compareLists(
  expected: readonly unknown[],
  actual: readonly unknown[],
  path: Path,
  comparison: Comparison,
) {
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    const here = [...path, index];
    const inExpected = index in expected;
    if (inExpected !== index in actual) return absence(here, inExpected, expected[index], actual[index]);
    const difference = compare(expected[index], actual[index], here, comparison);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function compareMaps(
  expected: Map<unknown, unknown>,
  actual: Map<unknown, unknown>,
  path: Path,
  comparison: Comparison,
) {
  const simple = [...expected.keys(), ...actual.keys()].every(
    (key) => typeof key !== "object" || key === null,
  );
  // Keys that are objects have no identity across the two: entries are then compared in order.
  if (!simple) return compareLists([...expected], [...actual], path, comparison);
  for (const key of new Set([...expected.keys(), ...actual.keys()])) {
    const here = [...path, typeof key === "number" ? key : String(key)];
    if (expected.has(key) !== actual.has(key)) {
      return absence(here, expected.has(key), expected.get(key), actual.get(key));
    }
    const difference = compare(expected.get(key), actual.get(key), here, comparison);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function compareFields(
  expected: Readonly<Record<string, unknown>>,
  actual: Readonly<Record<string, unknown>>,
  path: Path,
  comparison: Comparison,
): Difference | undefined {
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const here = [...path, key];
    const inExpected = Object.hasOwn(expected, key);
    if (inExpected !== Object.hasOwn(actual, key))
      return absence(here, inExpected, expected[key], actual[key]);
    const difference = compare(expected[key], actual[key], here, comparison);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function absence(path: Path, inExpected: boolean, expected: unknown, actual: unknown): Difference {
  return { path, expected, actual, absent: inExpected ? "actual" : "expected" };
}

/** An error's fields are own, but some of them are hidden from enumeration. */
function fieldsOf(value: object): Readonly<Record<string, unknown>> {
  if (!(value instanceof Error)) return value as Record<string, unknown>;
  const fields = Object.create(null) as Record<string, unknown>;
  for (const key of Object.getOwnPropertyNames(value)) {
    if (key !== "stack") fields[key] = (value as unknown as Record<string, unknown>)[key];
  }
  return fields;
}

function compareBytes(
  expected: ArrayBufferView | ArrayBuffer,
  actual: ArrayBufferView | ArrayBuffer,
  path: Path,
  different: Difference,
  isSame: SameNumber,
): Difference | undefined {
  const [a, b] = [bytesOf(expected), bytesOf(actual)];
  if (a.length === b.length && Buffer.compare(a, b) === 0) return undefined;
  if (!ArrayBuffer.isView(expected) || expected instanceof DataView) return different;
  const [left, right] = [expected, actual] as unknown as [ArrayLike<unknown>, ArrayLike<unknown>];
  const isSameElement = isFloats(expected) ? (isSame as typeof Object.is) : Object.is;
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const here = [...path, index];
    if (index >= left.length || index >= right.length) {
      return absence(here, index < left.length, left[index], right[index]);
    }
    if (!isSameElement(left[index], right[index])) {
      return { path: here, expected: left[index], actual: right[index], absent: undefined };
    }
  }
  return undefined; // within the tolerance, or only the bits of a NaN differ
}

/** By its tag, since not every Node has a Float16Array. */
function isFloats(value: object): boolean {
  return Object.prototype.toString.call(value).startsWith("[object Float");
}

function bytesOf(value: ArrayBufferView | ArrayBuffer): Uint8Array {
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
}
