/** Where two values differ, for a person: in long texts the part that differs, in JSON the place in it. */
import { formatPath } from "../json-path.js";
import { firstDifference } from "./difference.js";
import { formatPair } from "./format-value.js";
import { jsonOf, textOfBody } from "./readable-body.js";

export interface FormattedDifference {
  /** Where it is in JSON that is written in a text, such as `$.messages[1].content (user)`; undefined outside of it. */
  readonly inJson: string | undefined;
  readonly expected: string;
  readonly actual: string;
}

/** JSON in a text in JSON in a text, and so on. */
const DEPTH = 4;

/** Both in lines of `width` columns. Never throws. */
export function formatDifference(expected: unknown, actual: unknown, width: number): FormattedDifference {
  let [was, is] = [expected, actual];
  const places: string[] = [];
  for (let depth = 0; depth < DEPTH; depth++) {
    const [before, after] = [jsonOf(was), jsonOf(is)];
    const difference = before && after && firstDifference(before, after);
    if (difference === undefined) break;
    places.push(`${formatPath(difference.path)}${roleAt(after, difference.path)}`);
    [was, is] = [difference.expected, difference.actual];
  }
  const [left, right] = formatPair(textOfBody(was) ?? was, textOfBody(is) ?? is, width);
  return {
    inJson: places.length === 0 ? undefined : places.join(", and in its text "),
    expected: left,
    actual: right,
  };
}

/** Who says it, where it is in a message. */
function roleAt(json: object | undefined, path: readonly (string | number)[]): string {
  let value: unknown = json;
  let role = "";
  for (const key of path) {
    if (typeof value !== "object" || value === null) break;
    const { role: one } = value as { readonly role?: unknown };
    if (typeof one === "string") role = ` (${one})`;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return role;
}
