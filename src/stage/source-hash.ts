import { createHash } from "node:crypto";
import type { Definition } from "./definition.js";

/** By definition: the function that was wrapped, and the hash of its text once somebody has asked for it. */
const sources = new WeakMap<Definition, { readonly body: object; hash?: string | undefined }>();

/** Says whose text `sourceHashOf` is to hash. */
export function noteSource(definition: Definition, body: object): void {
  sources.set(definition, { body });
}

/**
 * The hash of a stage's source text; undefined where the text says nothing: of a native or bound function, or a
 * Proxy. What the function calls, and the variables that it reads, are no part of it.
 */
export function sourceHashOf(definition: Definition): string | undefined {
  const source = sources.get(definition);
  if (source === undefined) return undefined;
  if (!Object.hasOwn(source, "hash")) source.hash = hashOf(source.body);
  return source.hash;
}

function hashOf(body: object): string | undefined {
  const text = Function.prototype.toString.call(body);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text.slice(-32))) return undefined;
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
