/**
 * State that runs share, declared: `hc.shared`. A cache, a counter, a pool, a memoised promise.
 *
 * Invariants
 * 1. Outside of recorded runs, and inside of effects, the object is itself: nothing is copied, and nothing waits.
 * 2. Within one, a call of a method, and the reading and writing of a property, are effects, performed on the object.
 * 3. A replay gives what is recorded. It reads nothing of the object, and changes nothing of it.
 * 4. What a method gives of the object itself (`map.set()`) is the declared object, recorded and replayed.
 */
import { types } from "node:util";
import { HindcastError } from "../errors.js";
import type { Conversions } from "../stage/definition.js";
import type { Host } from "../stage/host.js";
import { activeCallOf, suspend } from "../stage/scopes.js";
import { type AnyFunction, isThenable } from "../stage/stage.js";
import { standIn } from "../stage/wrap.js";
import { effectNotRecorded } from "./perform-effect.js";

/** Under this key stands, in a record, what is no data: the object itself, an iterator, something made once a process. */
const MARK = "hindcast.shared";

/** What an iterator of a collection would have given: it is read at once, since the collection goes on changing. */
class Items {
  readonly list: readonly unknown[];
  constructor(list: readonly unknown[]) {
    this.list = list;
  }
}

/** `state`, whose use within runs is recorded and replayed under `name`. */
export function createShared<S extends object>(
  host: Host,
  name: string,
  state: S,
  isKnownClass: (className: string) => boolean,
): S {
  if (typeof name !== "string" || name === "") {
    throw new HindcastError("invalid-options", 'hc.shared needs a name for the state, such as "cache".');
  }
  if ((typeof state !== "object" && typeof state !== "function") || state === null) {
    const kind = state === null ? "null" : typeof state;
    throw new HindcastError(
      "invalid-options",
      `hc.shared("${name}", state) was given ${kind}: give the object that runs share, or a function that gives it. ` +
        "A variable can be held by an object: hc.shared(name, { value }).",
    );
  }
  const effects = new SharedEffects(host, name, isKnownClass);
  return (typeof state === "function"
    ? sharedFunction(effects, state)
    : sharedObject(effects, state)) as unknown as S;
}

/** How one use of the state is made an effect. */
interface Use {
  /** Behind the name of the state; none for a function's own call. */
  readonly key: string | undefined;
  readonly input: readonly unknown[];
  readonly perform: () => unknown;
  /** Makes again, in a replay, what is no data. Undefined where there must be data. */
  readonly makeAgain?: () => unknown;
}

class SharedEffects {
  readonly #host: Host;
  readonly #name: string;
  readonly #isKnownClass: (className: string) => boolean;
  /** The object, and the declared one that stands for it. */
  state: object | undefined;
  declared: object | undefined;

  constructor(host: Host, name: string, isKnownClass: (className: string) => boolean) {
    this.#host = host;
    this.#name = name;
    this.#isKnownClass = isKnownClass;
  }

  use({ key, input, perform, makeAgain }: Use): unknown {
    const call = activeCallOf(this.#host);
    const conductor = call?.run.conductor;
    if (call === undefined || conductor === undefined) return this.#given(perform());
    const name = key === undefined ? this.#name : `${this.#name}.${key}`;
    if (call.run.closed) {
      if (!conductor.replaying) return this.#given(perform());
      throw effectNotRecorded(name, call.definition.name, "it began after the run had ended");
    }
    const conversions = this.#conversions(makeAgain);
    const effect = { name, call, ordinal: call.nextEffect(name), ...conversions };
    return this.#given(
      conductor.effect(effect, input, () =>
        suspend(() => {
          const result = perform();
          return isThenable(result) && !(result instanceof Promise) ? Promise.resolve(result) : result;
        }),
      ),
    );
  }

  #conversions(makeAgain: (() => unknown) | undefined): Conversions {
    return {
      record: {
        output: (value: unknown) => {
          if (value === this.state) return { [MARK]: "itself" };
          if (value instanceof Items) return { [MARK]: "items", items: value.list };
          return makeAgain === undefined || isData(value, this.#isKnownClass) ? value : { [MARK]: "own" };
        },
      },
      revive: {
        output: (value: unknown) => {
          switch (markOf(value)) {
            case "itself":
              return this.state;
            case "items":
              return new Items((value as { readonly items: readonly unknown[] }).items);
            case "own":
              return makeAgain === undefined ? value : suspend(makeAgain);
            default:
              return value;
          }
        },
      },
    };
  }

  /** What the program gets. */
  #given(result: unknown): unknown {
    if (result === this.state) return this.declared;
    return result instanceof Items ? result.list[Symbol.iterator]() : result;
  }
}

function markOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[MARK] : undefined;
}

/**
 * Whether a replay can give it as it is recorded. What is of a class that it cannot know, or carries functions, is the
 * process's own, such as a client.
 */
function isData(value: unknown, isKnownClass: (className: string) => boolean): boolean {
  if (typeof value === "function") return false;
  if (typeof value !== "object" || value === null) return true;
  if (types.isProxy(value)) return false;
  if (ArrayBuffer.isView(value) || value instanceof Date || value instanceof Error) return true;
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null;
  const isPlain =
    prototype === null ||
    [Object.prototype, Array.prototype, Map.prototype, Set.prototype].includes(prototype as never);
  if (!isPlain && !isKnownClass(prototype.constructor?.name ?? "")) return false;
  return !Object.values(Object.getOwnPropertyDescriptors(value)).some(
    (one) => typeof one.value === "function",
  );
}

/** A memoised function, or one that makes something once: each call of it is an effect. */
function sharedFunction(effects: SharedEffects, state: AnyFunction): AnyFunction {
  const call = (self: unknown, input: readonly unknown[]): unknown => {
    const perform = (): unknown => Reflect.apply(state, self as never, input as never[]);
    return effects.use({ key: undefined, input, perform, makeAgain: perform });
  };
  const methods = new MethodTable(effects, state);
  const declared = new Proxy(state, {
    apply: (_state, self, input: unknown[]) => call(self, input),
    // What it has of its own, such as `clear`. `call`, `bind` and the like are those of every function.
    get: (_state, key, receiver) =>
      Object.hasOwn(state, key) && typeof Reflect.get(state, key) === "function" && key !== "prototype"
        ? methods.get(key)
        : (Reflect.get(state, key, receiver) as unknown),
  });
  effects.state = state;
  effects.declared = declared;
  return declared;
}

/** Methods of the state as effects. Each is made once, so that it is the same whenever it is read. */
class MethodTable {
  readonly #effects: SharedEffects;
  readonly #state: object;
  readonly #made = new Map<PropertyKey, unknown>();

  constructor(effects: SharedEffects, state: object) {
    this.#effects = effects;
    this.#state = state;
  }

  get(key: PropertyKey): unknown {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const body = Reflect.get(this.#state, key, this.#state) as AnyFunction;
    const made = standIn(body, (_self, input) =>
      key === "forEach" ? this.#each(input) : this.#call(key, input),
    );
    this.#made.set(key, made);
    return made;
  }

  #call(key: PropertyKey, input: readonly unknown[]): unknown {
    const perform = (): unknown => {
      const body = Reflect.get(this.#state, key, this.#state) as AnyFunction;
      const result: unknown = Reflect.apply(body, this.#state as never, input as never[]);
      return isCollectionIterator(key, result) ? new Items([...result]) : result;
    };
    return this.#effects.use({ key: nameOfKey(key), input, perform });
  }

  /** What it calls back is part of the program, and not of the effect. */
  #each([callback, self]: readonly unknown[]): void {
    const read = (): unknown[] => {
      const entries: unknown[] = [];
      const state = this.#state as { forEach(visit: (...entry: unknown[]) => void): void };
      state.forEach((value, key) => entries.push([value, key]));
      return entries;
    };
    const entries = this.#effects.use({ key: "forEach", input: [], perform: read }) as [unknown, unknown][];
    for (const [value, key] of entries) {
      Reflect.apply(callback as AnyFunction, self as never, [value, key, this.#effects.declared] as never[]);
    }
  }
}

const ITERATORS = new Set<PropertyKey>([
  Symbol.iterator,
  "entries",
  "keys",
  "values",
  "rentries",
  "rkeys",
  "rvalues",
]);

function isCollectionIterator(key: PropertyKey, value: unknown): value is Iterable<unknown> {
  if (!ITERATORS.has(key) || typeof value !== "object" || value === null || Array.isArray(value))
    return false;
  return typeof (value as Partial<Iterator<unknown> & Iterable<unknown>>)[Symbol.iterator] === "function";
}

function nameOfKey(key: PropertyKey): string {
  return typeof key === "symbol" ? (key.description ?? "symbol").replace("Symbol.", "") : String(key);
}

function sharedObject(effects: SharedEffects, state: object): object {
  const methods = new MethodTable(effects, state);
  const ownMethods = new Set(
    Reflect.ownKeys(state).filter(
      (key) => typeof Object.getOwnPropertyDescriptor(state, key)?.value === "function",
    ),
  );
  const isMethod = (key: string | symbol): boolean =>
    ownMethods.has(key) || typeof inheritedValue(state, key) === "function";
  const isStructure = (key: string | symbol): boolean =>
    key === "constructor" ||
    (key === "then" && !isMethod(key)) ||
    (typeof key === "symbol" && !ITERATORS.has(key));
  const descriptorOf = (key: string): PropertyDescriptor | undefined => {
    const read = (): unknown => Object.hasOwn(state, key) && { value: Reflect.get(state, key, state) };
    const own = effects.use({ key: "own", input: [key], perform: read }) as PropertyDescriptor | false;
    return own === false ? undefined : { ...own, writable: true, enumerable: true, configurable: true };
  };
  // Not the state itself: what is locked there must be given as it is, and is not to be read in a replay.
  const shape: object = Array.isArray(state)
    ? []
    : (Object.create(Object.getPrototypeOf(state) as object | null) as object);
  const declared = new Proxy(shape, {
    get: (_shape, key) => {
      if (isStructure(key)) return Reflect.get(state, key, state) as unknown;
      if (isMethod(key)) return methods.get(key);
      return effects.use({
        key: String(key),
        input: [],
        perform: () => Reflect.get(state, key, state) as unknown,
      });
    },
    set: (_shape, key, value) => {
      if (typeof key === "symbol") return Reflect.set(state, key, value, state);
      const perform = (): boolean => Reflect.set(state, key, value, state);
      return effects.use({ key: `${key}=`, input: [value], perform }) as boolean;
    },
    defineProperty: (_shape, key: string | symbol, descriptor) => {
      const perform = (): boolean =>
        Reflect.defineProperty(state, key, { ...descriptor, configurable: true });
      return effects.use({ key: `${nameOfKey(key)}=`, input: [descriptor.value], perform }) as boolean;
    },
    deleteProperty: (_shape, key) => {
      const perform = (): boolean => Reflect.deleteProperty(state, key);
      return effects.use({ key: "delete", input: [nameOfKey(key)], perform }) as boolean;
    },
    has: (_shape, key) => {
      if (isStructure(key) || isMethod(key)) return Reflect.has(state, key);
      return effects.use({
        key: "has",
        input: [String(key)],
        perform: () => Reflect.has(state, key),
      }) as boolean;
    },
    ownKeys: (target) => {
      const perform = (): string[] => Object.keys(state);
      const keys = effects.use({ key: "keys", input: [], perform }) as string[];
      return [...new Set([...keys, ...Reflect.ownKeys(target)])];
    },
    getOwnPropertyDescriptor: (target, key) =>
      typeof key === "symbol" || Object.hasOwn(target, key)
        ? Reflect.getOwnPropertyDescriptor(target, key)
        : descriptorOf(key),
  });
  effects.state = state;
  effects.declared = declared;
  return declared;
}

/** The value of a property of a prototype; a getter's is not read. */
function inheritedValue(state: object, key: PropertyKey): unknown {
  for (let owner: object | null = state; (owner = Object.getPrototypeOf(owner) as object | null) !== null; ) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (descriptor !== undefined) return descriptor.value;
  }
  return undefined;
}
