/**
 * Finds out whether a contract marks a place secret: `schema.meta({ secret: true })` in Zod, or a
 * JSON Schema with `"secret": true` from any other library, at the place or anywhere above it.
 */
type Node = Readonly<Record<string, unknown>>;

/** Schemas that refer to themselves end here. */
const MAXIMUM_REFERENCES = 32;

/** Whether `path` leads to, or through, something marked secret. */
export function isSecretAt(schema: Node | undefined, path: readonly (string | number)[]): boolean {
  return schema !== undefined && anySecret(schema, schema, path, MAXIMUM_REFERENCES);
}

function anySecret(
  root: Node,
  node: unknown,
  path: readonly (string | number)[],
  references: number,
): boolean {
  if (typeof node !== "object" || node === null || references < 0) return false;
  const schema = node as Node;
  if (schema["secret"] === true) return true;
  const reference = schema["$ref"];
  if (typeof reference === "string" && anySecret(root, resolve(root, reference), path, references - 1))
    return true;
  for (const choice of ["anyOf", "oneOf", "allOf"]) {
    const choices = schema[choice];
    if (Array.isArray(choices) && choices.some((one) => anySecret(root, one, path, references - 1)))
      return true;
  }
  const [key, ...rest] = path;
  if (key === undefined) return false;
  return stepsInto(schema, key).some((next) => anySecret(root, next, rest, references));
}

function stepsInto(schema: Node, key: string | number): unknown[] {
  const properties = schema["properties"] as Node | undefined;
  if (properties !== undefined && Object.hasOwn(properties, key)) return [properties[key]];
  const prefix = schema["prefixItems"];
  if (typeof key === "number" && Array.isArray(prefix) && key < prefix.length) return [prefix[key]];
  return typeof key === "number"
    ? [schema["items"], schema["additionalProperties"]]
    : [schema["additionalProperties"], schema["items"]];
}

function resolve(root: Node, reference: string): unknown {
  if (reference === "#") return root;
  let node: unknown = root;
  for (const part of reference.replace(/^#\//, "").split("/")) {
    node = (node as Node | undefined)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return node;
}
