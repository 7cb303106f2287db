/**
 * The part of Standard Schema (https://standardschema.dev, version 1) that a boundary needs. Zod 4,
 * Valibot and ArkType implement it, so none of them is imported here.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";

/** A schema of any library. */
export type Schema<Input = unknown, Output = unknown> = StandardSchemaV1<Input, Output>;
/** What a value must be before the schema has parsed it. */
export type SchemaInput<S extends Schema> = StandardSchemaV1.InferInput<S>;
/** What it is afterwards. */
export type SchemaOutput<S extends Schema> = StandardSchemaV1.InferOutput<S>;
export type SchemaResult = StandardSchemaV1.Result<unknown>;
export type SchemaIssue = StandardSchemaV1.Issue;

export function isSchema(value: unknown): value is Schema {
  const candidate = (value as { "~standard"?: { validate?: unknown } } | null | undefined)?.["~standard"];
  return typeof candidate?.validate === "function";
}

/**
 * The schema's JSON Schema with the marks that stand inside of Maps and Sets, which JSON Schema cannot
 * express; a schema that cannot be written down is secret as a whole (G10).
 */
export function markedSchemaOf(
  schema: Schema,
  side: "input" | "output",
): Record<string, unknown> | undefined {
  const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
  if (jsonSchema === undefined) return undefined;
  const override = ({ zodSchema, jsonSchema: place }: OverrideContext): void => {
    const { keyType, valueType } = zodSchema._zod.def;
    if (zodSchema._zod.def.type === "map" && keyType !== undefined && valueType !== undefined) {
      place["propertyNames"] = markedSchemaOf(keyType, side);
      place["additionalProperties"] = markedSchemaOf(valueType, side);
    } else if (zodSchema._zod.def.type === "set" && valueType !== undefined) {
      // Zod gives no path into a Set: what goes for one of its items goes for all of it.
      place["items"] = markedSchemaOf(valueType, side);
      place["secret"] = JSON.stringify(place["items"]).includes('"secret":true');
    }
  };
  try {
    return jsonSchema[side]({
      target: "draft-2020-12",
      libraryOptions: { unrepresentable: "any", override },
    });
  } catch {
    return { secret: true }; // nobody can tell where its marks are
  }
}

interface OverrideContext {
  readonly zodSchema: {
    readonly _zod: { readonly def: { type: string; keyType?: Schema; valueType?: Schema } };
  };
  readonly jsonSchema: Record<string, unknown>;
}

/** The schema's JSON Schema (draft 2020-12), or undefined where its library gives none or it has none. */
export function jsonSchemaOf(schema: Schema, side: "input" | "output"): Record<string, unknown> | undefined {
  const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
  if (jsonSchema === undefined) return undefined;
  try {
    // Zod throws for dates, bigints and transforms unless told that their place may stay open.
    return jsonSchema[side]({ target: "draft-2020-12", libraryOptions: { unrepresentable: "any" } });
  } catch {
    return undefined; // a schema that cannot be written as JSON Schema has no identity beyond its name
  }
}
