/** `["a", 0, "b c"]` as `$.a[0]["b c"]`, the notation of JSONPath (RFC 9535). */
export function formatPath(path: readonly (string | number)[]): string {
  let text = "$";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  }
  return text;
}
