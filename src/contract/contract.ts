/**
 * What stands at a boundary of a stage: checks a value, and says what was wrong with it without
 * repeating the value, which may be secret.
 */
import { type ContractIssue, HindcastError } from "../errors.js";
import { hasSecretBelow, isSecretAt, isSecretKeyAt } from "./secret-paths.js";
import {
  isSchema,
  type jsonSchemaOf,
  markedSchemaOf,
  type Schema,
  type SchemaIssue,
  type SchemaResult,
} from "./standard-schema.js";
import { validatorOf } from "./validate.js";

/** What a violation does: `enforce` throws `ContractViolation`, `observe` records it and lets the call go on. */
export type ContractMode = "enforce" | "observe";
export type Side = "input" | "output";

/** The result of a check: the parsed value, or what was wrong. */
export type Checked =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly issues: readonly ContractIssue[] };

export interface Contract {
  readonly stage: string;
  readonly side: Side;
  /** Checks a value; a promise only where the schema itself is asynchronous. Throws what the schema throws. */
  check(value: unknown): Checked | Promise<Checked>;
  readonly schema: Schema;
}

/** The contract of a schema at one side of a stage. Throws `invalid-options` for what is not a schema. */
export function createContract(schema: unknown, stage: string, side: Side): Contract {
  if (!isSchema(schema)) {
    throw new HindcastError(
      "invalid-options",
      `The ${side} of stage "${stage}" is not a schema: give a Zod schema or any other Standard Schema.`,
    );
  }
  const validate = validatorOf(schema);
  return {
    stage,
    side,
    schema,
    check(value) {
      const result = validate(value);
      return isThenable(result)
        ? Promise.resolve(result).then((settled) => conclude(schema, value, settled))
        : conclude(schema, value, result);
    },
  };
}

function isThenable(result: unknown): result is PromiseLike<SchemaResult> {
  return typeof (result as { then?: unknown } | undefined)?.then === "function";
}

type JsonSchema = ReturnType<typeof jsonSchemaOf>;

function conclude(schema: Schema, value: unknown, result: SchemaResult): Checked {
  if (result.issues === undefined) return { ok: true, value: result.value };
  // A mark may stand before or after a transform: either side of the schema makes a place secret.
  const jsonSchemas = [markedSchemaOf(schema, "input"), markedSchemaOf(schema, "output")];
  return {
    ok: false,
    issues: result.issues.map((issue) => describe(schema["~standard"], issue, value, jsonSchemas)),
  };
}

function describe(
  { vendor }: Schema["~standard"],
  issue: SchemaIssue,
  value: unknown,
  jsonSchemas: readonly JsonSchema[],
): ContractIssue {
  // Not with its own map(): a library's path may be a subclass of Array with a constructor of its own.
  const path = Array.from(issue.path ?? [], (segment) =>
    keyOf(typeof segment === "object" ? segment.key : segment),
  );
  const { code } = issue as { code?: unknown };
  const secret = jsonSchemas.some(
    (jsonSchema) => isSecretAt(jsonSchema, path) || (code === "custom" && hasSecretBelow(jsonSchema, path)),
  );
  const expected = secret ? "a valid secret" : expectation(vendor, issue);
  const shown = path.map((key, index) =>
    jsonSchemas.some((jsonSchema) => isSecretKeyAt(jsonSchema, path.slice(0, index))) ? "(secret)" : key,
  );
  return { path: shown, expected, received: kindAt(value, path) };
}

function keyOf(key: PropertyKey): string | number {
  return typeof key === "symbol" ? String(key) : key;
}

/**
 * Zod's messages do not quote the value; those of other libraries do, so of them only what they call
 * `expected`, or the name of the rule, is repeated.
 */
function expectation(vendor: string, issue: SchemaIssue): string {
  const { expected, type, code } = issue as { expected?: unknown; type?: unknown; code?: unknown };
  if (typeof expected === "string" && !expected.includes("(was ")) return expected;
  if (vendor === "zod") {
    const [, ...told] = issue.message.split("expected ");
    return told.length === 0 ? issue.message : told.join("expected ");
  }
  return `a valid ${[type, code].find((rule) => typeof rule === "string") ?? "value"}`;
}

/** The kind of value at a path; `missing` where its key is not there. */
function kindAt(value: unknown, path: readonly (string | number)[]): string {
  let here: unknown = value;
  try {
    for (const key of path) {
      if (typeof here !== "object" || here === null) return "missing";
      if (here instanceof Map) here = here.get(key);
      else if (!(key in here)) return "missing";
      else here = (here as Record<string | number, unknown>)[key];
    }
    return kindOf(here);
  } catch {
    return "unreadable"; // a getter or a Proxy on the way threw
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object") return typeof value;
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)
    ?.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object" ? name : "object";
}
