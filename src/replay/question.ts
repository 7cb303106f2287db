/**
 * What an effect is asked, as far as it says anything: ids that tracing hands on with it say which span asks, and not
 * what. They are looked for only where two questions are not the same as they stand.
 */
import { isAmbiguous, isPropagationHeader } from "../ambient/propagation-headers.js";
import { type Difference, firstDifference } from "./difference.js";
import type { SameNumber } from "./tolerance.js";

/** How deep it is looked for headers. */
const DEPTH = 8;

/** The first difference between two questions that counts. */
export function differenceOfQuestions(
  was: unknown,
  is: unknown,
  isSame?: SameNumber,
): Difference | undefined {
  const difference = firstDifference(was, is, isSame);
  if (difference === undefined) return undefined;
  const [asked, asks] = [withoutIds(was, false, 0), withoutIds(is, false, 0)];
  return asked === was && asks === is ? difference : firstDifference(asked, asks, isSame);
}

/** `value` itself where there is nothing to leave out. `headers`: whether it is what a request's headers are given in. */
function withoutIds(value: unknown, headers: boolean, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > DEPTH) return value;
  if (Array.isArray(value)) return headers ? listWithoutIds(value) : mapped(value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(fields);
  // A name that may be something else is a header's among others, or where headers are.
  const carries = headers || names.some((name) => isPropagationHeader(name) && !isAmbiguous(name));
  const kept: Record<string, unknown> = {};
  let same = true;
  for (const name of names) {
    if (carries && isPropagationHeader(name)) {
      same = false;
      continue;
    }
    const field = fields[name];
    const isHeaders = name.toLowerCase().endsWith("headers");
    const left = withoutIds(field, isHeaders, depth + 1);
    // Where tracing alone has said something, there are no headers; and there may be none, or an empty object.
    const isNone = isHeaders && isEmpty(left);
    same &&= left === field && !isNone;
    if (!isNone) kept[name] = left;
  }
  return same ? value : kept;
}

function mapped(list: readonly unknown[], depth: number): readonly unknown[] {
  const kept = list.map((item) => withoutIds(item, false, depth + 1));
  return kept.every((item, index) => item === list[index]) ? list : kept;
}

/** Headers as pairs, or as names and values in turn. */
function listWithoutIds(list: readonly unknown[]): readonly unknown[] {
  const isId = (name: unknown): boolean => typeof name === "string" && isPropagationHeader(name);
  const kept = list.every((item) => typeof item === "string")
    ? list.filter((_item, index) => !isId(list[index - (index % 2)]))
    : list.filter((item) => !Array.isArray(item) || !isId(item[0]));
  return kept.length === list.length ? list : kept;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
