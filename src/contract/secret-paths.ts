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

/** Whether the keys of what is at `path` are marked secret. */
export function isSecretKeyAt(schema: Node | undefined, path: readonly (string | number)[]): boolean {
  return schema !== undefined && nodesAt(schema, schema, path, MAXIMUM_REFERENCES).some(hasSecretKeys);
}

function hasSecretKeys(node: Node): boolean {
  return (node["propertyNames"] as Node | undefined)?.["secret"] === true;
}

/** Whether anything below `path` is marked secret: a check there may speak of it. */
export function hasSecretBelow(schema: Node | undefined, path: readonly (string | number)[]): boolean {
  if (schema === undefined) return false;
  const text = JSON.stringify(nodesAt(schema, schema, path, MAXIMUM_REFERENCES));
  if (text.includes('"secret":true')) return true;
  return text.includes('"$ref"') && JSON.stringify(schema).includes('"secret":true');
}

/** The schemas that apply at `path`. */
function nodesAt(
  root: Node,
  node: unknown,
  path: readonly (string | number)[],
  references: number,
): readonly Node[] {
  if (typeof node !== "object" || node === null || references < 0) return [];
  const schema = node as Node;
  const reference = schema["$ref"];
  const choices = ["anyOf", "oneOf", "allOf"].flatMap(
    (choice) => (schema[choice] as unknown[] | undefined) ?? [],
  );
  if (typeof reference === "string") choices.push(resolve(root, reference));
  const [key, ...rest] = path;
  return [
    ...choices.flatMap((choice) => nodesAt(root, choice, path, references - 1)),
    ...(key === undefined
      ? [schema]
      : stepsInto(schema, key).flatMap((next) => nodesAt(root, next, rest, references))),
  ];
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
