import { createHash } from "node:crypto";
import type { ContractIdentity } from "../capsule/capsule.js";
import type { Contract } from "./contract.js";
import { jsonSchemaOf } from "./standard-schema.js";

/** Making a JSON Schema and its hash takes longer than a run; a contract never changes. */
const identities = new WeakMap<Contract, ContractIdentity>();

/** Name and hash of a contract: of its JSON Schema, so that the order in which a schema is written does not count. */
export function identityOf(contract: Contract): ContractIdentity {
  let identity = identities.get(contract);
  if (identity === undefined) {
    identity = identify(contract);
    identities.set(contract, identity);
  }
  return identity;
}

function identify({ schema, stage, side }: Contract): ContractIdentity {
  const jsonSchema = jsonSchemaOf(schema, side);
  if (jsonSchema === undefined) return { name: `${stage}.${side}`, hash: undefined };
  const id = /^#\/\$defs\/([^/]+)$/.exec(String(jsonSchema["$ref"]))?.[1];
  const title = id ?? jsonSchema["title"] ?? jsonSchema["id"] ?? jsonSchema["$id"];
  return {
    name: typeof title === "string" ? title : `${stage}.${side}`,
    hash: `sha256:${createHash("sha256").update(canonicalJson(jsonSchema)).digest("hex")}`,
  };
}

/** JSON with the keys of every object, and the names of required ones, in order, so that a schema written in another order is the same schema. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (Array.isArray(part)) return key === "required" ? part.map(String).sort(byText) : part;
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => byText(a, b)));
  });
}

/** By code units: the same in every locale. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
