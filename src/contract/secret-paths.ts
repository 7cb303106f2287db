/**
 * Finds out whether a contract marks a place secret: `schema.meta({ secret: true })` in Zod, or a
 * JSON Schema with `"secret": true` from any other library, at the place or anywhere above it.
 */
type Node = Readonly<Record<string, unknown>>;

/** Schemas that refer to themselves end here. */
const MAXIMUM_REFERENCES = 32;

/** Whether `path` leads to, or through, something marked secret. */
export function isSecretAt(schema: Node | undefined, path: Path): boolean {
  return met(schema, path).some(({ node }) => node["secret"] === true);
}

/** Whether the keys of what is at `path` are marked secret. */
export function isSecretKeyAt(schema: Node | undefined, path: Path): boolean {
  return nodesAt(schema, path).some(
    (node) => (node["propertyNames"] as Node | undefined)?.["secret"] === true,
  );
}

/** Whether anything below `path` is marked secret: a check there may speak of it. */
export function hasSecretBelow(schema: Node | undefined, path: Path): boolean {
  const text = JSON.stringify(nodesAt(schema, path));
  if (text.includes('"secret":true')) return true;
  return text.includes('"$ref"') && JSON.stringify(schema).includes('"secret":true');
}

type Path = readonly (string | number)[];

/** A schema that applies on the way along a path. */
interface Met {
  readonly node: Node;
  /** Whether it applies to where the path ends. */
  readonly isEnd: boolean;
}

function nodesAt(schema: Node | undefined, path: Path): readonly Node[] {
  return met(schema, path)
    .filter(({ isEnd }) => isEnd)
    .map(({ node }) => node);
}

function met(schema: Node | undefined, path: Path): readonly Met[] {
  return schema === undefined ? [] : metFrom(schema, schema, path, MAXIMUM_REFERENCES);
}

function metFrom(root: Node, schema: unknown, path: Path, references: number): readonly Met[] {
  if (typeof schema !== "object" || schema === null || references < 0) return [];
  const node = schema as Node;
  const choices = ["anyOf", "oneOf", "allOf"].flatMap(
    (choice) => (node[choice] as unknown[] | undefined) ?? [],
  );
  const reference = node["$ref"];
  if (typeof reference === "string") choices.push(resolve(root, reference));
  const [key, ...rest] = path;
  const steps = key === undefined ? [] : stepsInto(node, key);
  return [
    { node, isEnd: key === undefined },
    ...choices.flatMap((choice) => metFrom(root, choice, path, references - 1)),
    ...steps.flatMap((step) => metFrom(root, step, rest, references)),
  ];
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
