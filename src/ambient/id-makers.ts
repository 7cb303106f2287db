/**
 * Makers of ids that keep a pool of randomness, a counter or the last time in their module: what one run leaves in it,
 * another reads. `hindcast/register` puts this between the program and such a module, so that each id is an effect.
 */
import { randomBytes } from "node:crypto";
import { suspend } from "../stage/scopes.js";
import type { AnyFunction } from "../stage/stage.js";
import { standIn } from "../stage/wrap.js";
import { captured, nextEffect } from "./captured.js";

/** What a module exports that makes ids. */
interface IdModule {
  /** Functions that give one. */
  readonly makers?: readonly string[];
  /** Functions that give such a function. */
  readonly factories?: readonly string[];
  /** Methods that give one: of the exported class itself, or of its instances. */
  readonly methods?: readonly (readonly [exported: string, of: "class" | "instances", method: string])[];
  /** Static properties with random bytes that are drawn once in a process, and how many. */
  readonly drawn?: readonly (readonly [exported: string, property: string, bytes: number])[];
}

const OBJECT_ID: IdModule = {
  methods: [
    ["ObjectId", "class", "generate"],
    ["ObjectId", "class", "getInc"],
  ],
  drawn: [["ObjectId", "PROCESS_UNIQUE", 5]],
};

export const ID_MODULES: Readonly<Record<string, IdModule>> = {
  nanoid: { makers: ["nanoid"], factories: ["customAlphabet", "customRandom"] },
  uuid: { makers: ["v1", "v4", "v6", "v7"] },
  ulid: { makers: ["ulid", "default"], factories: ["monotonicFactory", "factory"] },
  ulidx: { makers: ["ulid"], factories: ["monotonicFactory"] },
  uuidv7: { makers: ["uuidv7", "uuidv4", "uuidv7obj", "uuidv4obj"] },
  uuidv6: { makers: ["uuidv6", "uuidv1", "uuidv4"] },
  "@paralleldrive/cuid2": { makers: ["createId"], factories: ["init"] },
  cuid: { makers: ["default"] },
  "@lukeed/uuid": { makers: ["v4"] },
  "@lukeed/uuid/secure": { makers: ["v4"] },
  uid: { makers: ["uid"] },
  "uid/secure": { makers: ["uid"] },
  hexoid: { factories: ["hexoid", "default"] },
  hyperid: { factories: ["default"] },
  nuid: { makers: ["next"] },
  "xid-js": { makers: ["next"] },
  bson: OBJECT_ID,
  mongodb: OBJECT_ID,
  ksuid: { methods: [["default", "class", "randomSync"]] },
  "@sapphire/snowflake": { methods: [["Snowflake", "instances", "generate"]] },
  "nodejs-snowflake": { methods: [["Snowflake", "instances", "getUniqueID"]] },
};

/** The names that a module exports otherwise, with what they are then. Methods are replaced where they are. */
export function captureIds(
  module: string,
  exported: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { makers = [], factories = [], methods = [], drawn = [] } = ID_MODULES[module] ?? {};
  const captures: Record<string, unknown> = {};
  for (const name of makers) captures[name] = maker(nameOf(module, name), exported[name]);
  for (const name of factories) captures[name] = factory(nameOf(module, name), exported[name]);
  for (const [name, of, method] of methods) {
    const owner = exported[name];
    if (typeof owner === "function")
      replaceMethod(of === "class" ? owner : (owner.prototype as object), method, `${module}.${name}`);
  }
  for (const [name, property, bytes] of drawn) {
    const owner = exported[name];
    if (typeof owner === "function") replaceDrawn(owner, property, bytes, `${module}.${name}.${property}`);
  }
  return captures;
}

function nameOf(module: string, name: string): string {
  return name === "default" || name === module ? module : `${module}.${name}`;
}

const captures = new WeakSet<object>();

function maker(name: string, original: unknown): unknown {
  if (typeof original !== "function" || captures.has(original)) return original;
  const make = original as AnyFunction;
  const captured = standIn(make, (self, input) =>
    makeId(name, input, () => Reflect.apply(make, self as never, input as never[]) as unknown),
  );
  captures.add(captured);
  return captured;
}

function factory(name: string, original: unknown): unknown {
  if (typeof original !== "function") return original;
  const make = original as AnyFunction;
  return standIn(make, (self, input) => {
    const made: unknown = Reflect.apply(make, self as never, input as never[]);
    return maker(name, made);
  });
}

function replaceMethod(owner: object, method: string, name: string): void {
  const original: unknown = Reflect.get(owner, method);
  if (typeof original !== "function" || captures.has(original)) return;
  const value = maker(`${name}.${method}`, original);
  Reflect.defineProperty(owner, method, { value, writable: true, configurable: true, enumerable: false });
}

/** It is drawn when it is first asked for, outside of every run; what a run is given is recorded. */
function replaceDrawn(owner: object, property: string, bytes: number, name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, property);
  if (descriptor === undefined || descriptor.get !== undefined) return;
  let value: unknown = descriptor.value;
  const draw = (): unknown => (value ??= randomBytes(bytes));
  Reflect.defineProperty(owner, property, {
    get: () => makeId(name, [], draw),
    set: (given: unknown) => {
      value = given;
    },
    configurable: true,
    enumerable: descriptor.enumerable ?? false,
  });
}

function makeId(name: string, input: readonly unknown[], perform: () => unknown): unknown {
  const capture = captured("crypto");
  if (capture === undefined) return perform();
  const { call, conductor } = capture;
  const recorded = input.filter((one) => typeof one === "number" || typeof one === "string");
  const id = conductor.effect(nextEffect(call, name), recorded, () => suspend(perform));
  // Some write it into what they are given, and give that.
  const target = input.find((one) => ArrayBuffer.isView(one));
  if (!(target instanceof Uint8Array) || !(id instanceof Uint8Array) || id === target) return id;
  target.set(id);
  return target;
}
