/**
 * A value of a record may miss parts: a function, a socket, the rest of a long text, the class of an object. That matters
 * only where somebody reads them. Here such a value gets, in their places, what tells of being read.
 *
 * Invariants
 * 1. What is whole is as it was decoded, and nothing is told of reading it.
 * 2. What stands for a missing part is copied as the `Marker` that it stands for, and telling costs nobody an error.
 * 3. Whether a part is there, and what kind of thing it was, can be asked without telling: `typeof`, `in`, a test for
 *    truth, and what JSON and promises ask of any value.
 */
import { Marker } from "./marker.js";
import { setStandIn } from "./recorded-handle.js";

/** Told of each missing part that is read, such as `$.pool.connect, a function`. */
export type TellMissing = (part: string) => void;

/** What the platform asks of any value, whatever it is. */
const ASKED_OF_ALL: ReadonlySet<PropertyKey> = new Set<PropertyKey>([
  "then",
  "toJSON",
  "constructor",
  "asymmetricMatch",
  "nodeType",
  "$$typeof",
  Symbol.toPrimitive,
  Symbol.toStringTag,
  Symbol.iterator,
  Symbol.asyncIterator,
  Symbol.isConcatSpreadable,
  Symbol.for("nodejs.util.inspect.custom"),
]);

/** Reasons of markers whose place was one thing that can stand there again, as far as asking for its type goes. */
const THINGS: ReadonlySet<string> = new Set(["function", "unsupported", "depth"]);

type Path = readonly (string | number)[];

/** Gives `value` with something that tells in the place of each `Marker`. `formatPath` writes a place out. */
export function tellingMissing(
  value: unknown,
  tell: TellMissing,
  formatPath: (path: Path) => string,
): unknown {
  const visited = new Map<object, unknown>();
  return visit(value, []);

  function visit(part: unknown, path: Path): unknown {
    if (typeof part !== "object" || part === null) return part;
    const known = visited.get(part);
    if (known !== undefined) return known;
    if (part instanceof Marker) {
      const standIn = THINGS.has(part.reason) ? thing(part, formatPath(path), tell) : part;
      visited.set(part, standIn);
      return standIn;
    }
    const cut = cutOf(part);
    const whole = cut === undefined ? part : rest(part, cut, formatPath(path), tell);
    visited.set(part, whole);
    // A marker that is itself an entry of a Map or a Set has made the run inexact: nothing could tell there.
    if (part instanceof Map) for (const [key, item] of part) visitEntry(item, [...path, String(key)]);
    else if (part instanceof Set) for (const item of part) visitEntry(item, path);
    else if (!ArrayBuffer.isView(part)) visitFields(part, path);
    return whole;
  }

  function visitEntry(item: unknown, path: Path): void {
    if (!(item instanceof Marker)) visit(item, path);
  }

  function visitFields(owner: object, path: Path): void {
    for (const key of Object.getOwnPropertyNames(owner)) {
      const descriptor = Object.getOwnPropertyDescriptor(owner, key);
      const field: unknown = descriptor?.value;
      if (typeof field !== "object" || field === null || descriptor?.configurable === false) continue;
      const here = [...path, Array.isArray(owner) ? Number(key) : key];
      const visited = visit(field, here);
      if (visited instanceof Marker) {
        Object.defineProperty(owner, key, accessor(visited, formatPath(here), tell, descriptor?.enumerable));
      } else if (visited !== field) Object.defineProperty(owner, key, { ...descriptor, value: visited });
    }
  }
}

/** What reading the property tells, and gives: the marker. It can be written, as any other. */
function accessor(
  marker: Marker,
  place: string,
  tell: TellMissing,
  enumerable: boolean | undefined = true,
): PropertyDescriptor {
  const get = (): unknown => {
    tell(`${place}, ${described(marker)}`);
    return marker;
  };
  setStandIn(get, () => marker);
  return {
    get,
    set(this: object, value: unknown) {
      Object.defineProperty(this, keyOf(this, get), {
        value,
        writable: true,
        enumerable,
        configurable: true,
      });
    },
    enumerable,
    configurable: true,
  };
}

function keyOf(owner: object, get: () => unknown): PropertyKey {
  const found = Reflect.ownKeys(owner).find(
    (key) => Object.getOwnPropertyDescriptor(owner, key)?.get === get,
  );
  return found ?? "";
}

/** Such as `a function "connect"`, `an instance of Socket`, `the rest of a text`. */
function described({ reason, detail }: Marker): string {
  switch (reason) {
    case "function":
      return detail === "" ? "a function" : `the function "${detail}"`;
    case "unsupported":
      return `a ${detail === "" ? "thing" : detail}, of which nothing is recorded`;
    case "symbol":
      return `the symbol "${detail}"`;
    case "unreadable":
      return detail === "" ? "unreadable" : `what a ${detail} would have given`;
    case "depth":
    case "entries":
    case "bytes":
    case "capsule":
      return `over the limit of ${reason}`;
  }
}

/** Stands for one thing: it has the type that `typeof` gave, and tells of every use. */
function thing(marker: Marker, place: string, tell: TellMissing): object {
  const told = (): void => tell(`${place}, ${described(marker)}`);
  const target: object = marker.reason === "function" ? function () {} : {};
  const standIn = new Proxy(target, {
    get(_target, key) {
      if (!ASKED_OF_ALL.has(key)) told();
      return key === Symbol.toPrimitive ? () => marker.toString() : undefined;
    },
    apply: told,
    construct() {
      told();
      return {};
    },
    has(_target, key) {
      if (!ASKED_OF_ALL.has(key)) told();
      return false;
    },
    ownKeys() {
      told();
      return Reflect.ownKeys(target);
    },
    set() {
      told();
      return true;
    },
  });
  setStandIn(standIn, () => marker);
  return standIn;
}

/** The marker that says that a list or an object goes on beyond what is recorded. */
function cutOf(value: object): Marker | undefined {
  const last: unknown = Array.isArray(value) ? value.at(-1) : lastField(value);
  const isCut = last instanceof Marker && (last.detail === "array" || last.detail === "object");
  return isCut && (last.reason === "entries" || last.reason === "bytes") ? last : undefined;
}

function lastField(value: object): unknown {
  if (ArrayBuffer.isView(value)) return undefined;
  const key = Object.keys(value).findLast((name) => name.startsWith("…"));
  return key === undefined ? undefined : Object.getOwnPropertyDescriptor(value, key)?.value;
}

/** A list or an object that has been cut: asking for what would be behind the cut tells. */
function rest<T extends object>(value: T, marker: Marker, place: string, tell: TellMissing): T {
  const told = (): void => tell(`${place}, ${described(marker)}`);
  return new Proxy(value, {
    get(target, key, receiver) {
      const isThere = Object.hasOwn(target, key) && !(Array.isArray(target) && key === "length");
      const isInherited = typeof key === "symbol" || (key in target && key !== "length");
      if (!isThere && !isInherited && !ASKED_OF_ALL.has(key)) told();
      return Reflect.get(target, key, receiver) as unknown;
    },
    has(target, key) {
      if (!Reflect.has(target, key)) told();
      return Reflect.has(target, key);
    },
    ownKeys(target) {
      told();
      return Reflect.ownKeys(target);
    },
  });
}

/**
 * The prototype of an instance whose class is not known here. Fields of the instance are its own; what only its class
 * can give tells of being asked for. It says that it is of a class of that name.
 */
export function tellingPrototype(type: string, parent: object, tell: TellMissing): object {
  const told = (key: PropertyKey): void => tell(`"${String(key)}" of an instance of ${type}`);
  const named = { constructor: { value: namedFunction(type), writable: true, configurable: true } };
  return new Proxy(Object.create(parent, named) as object, {
    get(target, key, receiver) {
      if (!Reflect.has(target, key) && !ASKED_OF_ALL.has(key)) told(key);
      return Reflect.get(target, key, receiver) as unknown;
    },
    has(target, key) {
      if (!Reflect.has(target, key) && !ASKED_OF_ALL.has(key)) told(key);
      return Reflect.has(target, key);
    },
    getPrototypeOf() {
      tell(`the class of an instance of ${type}`);
      return parent;
    },
    set: (_target, key, value, receiver: object) =>
      Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true }),
  });
}

function namedFunction(name: string): object {
  return Object.defineProperty(function () {}, "name", { value: name, configurable: true });
}
