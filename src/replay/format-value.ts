/** Recorded values as text for a person: one line, of a limited width, that is safe to print. */
import { inspect } from "node:util";

/** What stands before the difference of two long texts. */
const CONTEXT = 40;

/** A recorded value in one line, cut to `width` columns. Never throws. */
export function formatValue(value: unknown, width = 100): string {
  return cut(oneLine(textOf(value, width)), width);
}

/** A text as it is, in one line, cut to `width` columns. */
export function formatText(text: string, width: number): string {
  return cut(oneLine(text.length > MAXIMUM_UNITS ? text.slice(0, MAXIMUM_UNITS) : text), width);
}

/** Two values that differ, each in one line of `width` columns: of long ones the part around the first difference. */
export function formatPair(expected: unknown, actual: unknown, width: number): [string, string] {
  // Long enough that the difference is in it.
  const [was, is] = [expected, actual].map((value) => oneLine(textOf(value, Number.MAX_SAFE_INTEGER))) as [
    string,
    string,
  ];
  if (was.length <= width && is.length <= width) return [was, is];
  const differ = differenceOf(was, is);
  if (differ < width - CONTEXT) return [cut(was, width), cut(is, width)];
  const start = boundary(was, differ - CONTEXT);
  return [was, is].map((text) => cut(`…${text.slice(start)}`, width)) as [string, string];
}

/** The index of the first unit in which two texts differ. */
export function differenceOf(one: string, other: string): number {
  const shorter = Math.min(one.length, other.length);
  let index = 0;
  while (index < shorter && one.charCodeAt(index) === other.charCodeAt(index)) index += 1;
  return index;
}

/** Not between the two halves of a character. */
function boundary(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code <= 0xdfff ? index - 1 : index;
}

/** Of a very long text this much is looked at: beyond that nobody reads it. */
const MAXIMUM_UNITS = 1_000_000;

function textOf(value: unknown, width: number): string {
  try {
    if (value instanceof Error) return errorText(value);
    return inspect(value, {
      depth: width > 1_000 ? 8 : 4,
      breakLength: Number.POSITIVE_INFINITY,
      maxArrayLength: width > 1_000 ? 1_000 : 8,
      maxStringLength: Math.min(width, MAXIMUM_UNITS),
      compact: true,
    });
  } catch {
    // What a value says of itself may throw (a getter, a Proxy, its own `toString`).
    return `<${typeof value} that cannot be shown>`;
  }
}

function errorText(error: Error): string {
  const name = own(error, "name");
  const message = own(error, "message");
  const text = message === "" ? name : `${name}: ${message}`;
  return text === "" ? "Error" : text;
}

function own(error: Error, key: "name" | "message"): string {
  const value: unknown = error[key];
  return typeof value === "string" ? value : inspect(value, { depth: 1, compact: true });
}

/** Line breaks and the blanks around them become one blank; what would move a terminal's cursor is written out. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\n\r\u2028\u2029]\s*/g, " ").replaceAll(UNPRINTABLE, escaped);
}

const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]|\p{Surrogate}/gu;

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, boundary(line, width - 1))}…` : line;
}
