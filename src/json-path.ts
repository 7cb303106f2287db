import { consistsOf, WORD } from "./consists-of.js";

/** `["a", 0, "b c"]` as `$.a[0]["b c"]`, the notation of JSONPath (RFC 9535). */
export function formatPath(path: readonly (string | number)[]): string {
  let text = "$";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += isIdentifier(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }
  return text;
}

function isIdentifier(key: string): boolean {
  return key !== "" && !"0123456789".includes(key.charAt(0)) && consistsOf(key, `${WORD}$`);
}
