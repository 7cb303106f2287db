/**
 * Reads the Web's own classes, as Node has them, by what they hold inside: an own property, a subclass
 * or a Proxy can claim what it likes. Nothing here reads a body or changes a value; what is none of
 * these classes, but inherits from one, makes the class's own getters throw.
 *
 * Node loads the classes of `fetch` when they are first asked for. They are asked for here only once
 * a value comes that has their name, so that a service which uses none of them does not pay.
 */
import { headOf } from "./recorded-head.js";

const PLATFORM_NAMES = [
  "Headers",
  "FormData",
  "Blob",
  "File",
  "Request",
  "Response",
  "AbortSignal",
  "URLSearchParams",
] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

interface PlatformClasses {
  readonly Headers: typeof Headers;
  readonly FormData: typeof FormData;
  readonly Blob: typeof Blob;
  readonly File: typeof File;
  readonly Request: typeof Request;
  readonly Response: typeof Response;
  readonly AbortSignal: typeof AbortSignal;
  readonly URLSearchParams: typeof URLSearchParams;
}

const found = new Map<PlatformName, unknown>();

/** The class as the platform made it: a framework may have put a subclass in its place. */
export function platformClass<N extends PlatformName>(name: N): PlatformClasses[N] {
  let known = found.get(name);
  if (known === undefined) {
    const visible = (globalThis as unknown as PlatformClasses)[name];
    known = visible;
    for (let prototype = visible.prototype as object | null; prototype !== null; ) {
      const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
      if (ownTag(prototype) === name && typeof constructor === "function") known = constructor;
      prototype = Object.getPrototypeOf(prototype) as object | null;
    }
    found.set(name, known);
  }
  return known as PlatformClasses[N];
}

/** How far up a value's classes are looked through. */
const HIGHEST = 8;

/** Which of the platform's classes a value inherits from. It need not be one: see `readSlot`. */
export function platformNameOf(value: object): PlatformName | undefined {
  let prototype = Object.getPrototypeOf(value) as object | null;
  for (let height = 0; prototype !== null && height < HIGHEST; height++) {
    const tag = ownTag(prototype);
    if (isPlatformName(tag) && platformClass(tag).prototype === prototype) return tag;
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return undefined;
}

function ownTag(prototype: object): unknown {
  return Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag)?.value;
}

function isPlatformName(tag: unknown): tag is PlatformName {
  return (PLATFORM_NAMES as readonly unknown[]).includes(tag);
}

/** Whether a prototype is the class's own, or of what a framework has put in its place. */
function isOwnPrototype(name: PlatformName, prototype: object | null): boolean {
  return (
    prototype === platformClass(name).prototype ||
    prototype === ((globalThis as unknown as PlatformClasses)[name].prototype as object)
  );
}

/** Whether a value is as the platform makes it: of no subclass, and with nothing put on it. */
export function isAsMade(name: PlatformName, value: object, prototype: object | null): boolean {
  const keys = Object.keys(value);
  const isOwn = isOwnPrototype(name, prototype);
  if (isOwn && keys.length === 0) return true;
  if (name !== "Blob") return false;
  // Of a part of a Blob and of a file's, Node 22 makes a class of its own, and Node 24 puts `constructor` on them.
  const part = new (platformClass("Blob"))([]).slice();
  return (
    (isOwn || prototype === Object.getPrototypeOf(part)) && keys.every((key) => Object.hasOwn(part, key))
  );
}

/** What a getter of the class says of `value`. Throws where `value` is none of the class. */
export function readSlot(name: PlatformName, value: object, key: string): unknown {
  return Reflect.get(platformClass(name).prototype, key, value);
}

/** The entries of one of the classes that are lists, in order. */
export function entriesOf(
  name: "Headers" | "FormData" | "URLSearchParams",
  value: object,
): Iterable<[string, unknown]> {
  const entries = Reflect.get(platformClass(name).prototype, "entries") as () => Iterable<[string, unknown]>;
  return entries.call(value);
}

/** What is recorded of each besides its headers, its signal, and whether it has a body. */
const SCALARS = {
  Blob: ["size", "type"],
  File: ["size", "type", "name", "lastModified"],
  Request: [
    "method",
    "url",
    "mode",
    "credentials",
    "cache",
    "redirect",
    "referrer",
    "referrerPolicy",
    "integrity",
    "keepalive",
  ],
  Response: ["status", "statusText", "url", "redirected", "type"],
} as const;
export type HeadName = keyof typeof SCALARS;

/** The scalar fields of a value whose content is not to be had at once; those recorded, of one that was. */
export function scalarsOf(name: HeadName, value: object): Record<string, unknown> {
  const recorded = headOf(value);
  const fields: Record<string, unknown> = {};
  for (const key of SCALARS[name]) {
    // Asked of the class first, so that what is none of it cannot pass.
    const own = readSlot(name, value, key);
    const field = recorded === undefined ? own : recorded[key];
    if (typeof field === "object" || typeof field === "function" || typeof field === "symbol") {
      throw new TypeError(`${name}.${key} is no plain value`);
    }
    fields[key] = field;
  }
  return fields;
}
