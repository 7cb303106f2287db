/**
 * Validates with a schema. Zod tries each value synchronously first and, where that meets a promise, again
 * asynchronously: the promise of the first attempt is dropped, and if it is rejected, nobody hears of it but
 * Node, which ends the process. So a Zod schema with code of its user's in it, which may return a promise, is
 * asked once, in the way in which it may; that gives a promise only where there is one.
 */
import type { Schema, SchemaIssue, SchemaResult } from "./standard-schema.js";

/** What of Zod 4 is used, of its own interface for libraries (`zod/v4/core`). */
interface ZodSchema extends Schema {
  readonly _zod: { readonly def: object; run(payload: Payload, context: { async: true }): Attempt };
  safeParseAsync?(value: unknown): Promise<Parsed>;
}
interface Payload {
  readonly value: unknown;
  readonly issues: readonly unknown[];
}
type Attempt = Payload | Promise<Payload>;
type Parsed =
  | { readonly success: true; readonly data: unknown }
  | { readonly success: false; readonly error: { readonly issues: readonly SchemaIssue[] } };

export type Validate = (value: unknown) => SchemaResult | Promise<SchemaResult> | PromiseLike<SchemaResult>;

/** How values are validated with `schema`. Throws, and rejects with, what the schema throws. */
export function validatorOf(schema: Schema): Validate {
  const plainly: Validate = (value) => schema["~standard"].validate(value);
  if (!isZod(schema)) return plainly;
  let hasCode: boolean | undefined;
  return (value) => {
    // Not before it is needed: a schema may refer to others that are declared after it.
    hasCode ??= holdsCode(schema, new Set());
    if (!hasCode) return plainly(value);
    const attempt = schema._zod.run({ value, issues: [] }, { async: true });
    if (attempt instanceof Promise) return attempt.then((payload) => settle(schema, value, payload));
    // Its issues are raw: what has none of its promises in it can be asked again in the plain way.
    return attempt.issues.length === 0 ? { value: attempt.value } : plainly(value);
  };
}

async function settle(schema: ZodSchema, value: unknown, payload: Payload): Promise<SchemaResult> {
  if (payload.issues.length === 0) return { value: payload.value };
  const parsed = await schema.safeParseAsync?.(value);
  if (parsed === undefined) return { issues: [{ message: "a valid value" }] };
  return parsed.success ? { value: parsed.data } : { issues: parsed.error.issues };
}

function isZod(schema: Schema): schema is ZodSchema {
  return schema["~standard"].vendor === "zod" && "_zod" in schema;
}

/** What may call a function of the user's without having it in its definition. */
const CODE_KINDS: ReadonlySet<unknown> = new Set(["custom", "lazy", "promise", "function"]);
/** Functions in a definition that give messages, defaults and other texts, or say whether a check applies: never awaited. */
const SYNCHRONOUS: ReadonlySet<string> = new Set(["error", "when", "defaultValue", "catchValue", "tx"]);

/** Whether there is a function in a schema's definition, or in that of a schema it is made of. */
function holdsCode(part: unknown, seen: Set<object>): boolean {
  if (typeof part === "function" && !("_zod" in part)) return true;
  if ((typeof part !== "object" && typeof part !== "function") || part === null || seen.has(part)) {
    return false;
  }
  seen.add(part);
  if ("_zod" in part) return holdsCode((part as ZodSchema)._zod.def, seen);
  const { type, check } = part as { type?: unknown; check?: unknown };
  if (CODE_KINDS.has(type) || CODE_KINDS.has(check)) return true;
  return Object.keys(part).some(
    (key) => !SYNCHRONOUS.has(key) && holdsCode((part as Record<string, unknown>)[key], seen),
  );
}
