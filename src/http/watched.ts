/**
 * Watches what a run does with an object that a server has handed to it and that goes on while the run does: a
 * request of a framework, a response. Each method that the program calls and each property that it computes is an
 * effect. In a replay the object is a stand-in, and the effects give what is recorded.
 *
 * Invariants
 * 1. The program gets the very object that it was given, of its own class: a prototype stands before its own, and what is
 *    put on it looks as it did. Both are taken away when the run has ended.
 * 2. What the object does by itself, or somebody else does with it, is no effect.
 */
import { types } from "node:util";
import { nextEffect } from "../ambient/captured.js";
import { isQuiet } from "../stage/quiet.js";
import { activeCall, suspend } from "../stage/scopes.js";
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";

/** What a program may use of an object besides what its base class has. */
export interface Members {
  readonly methods: readonly string[];
  readonly getters: readonly string[];
}

export interface Watch {
  readonly call: StageCall;
  readonly conductor: Conductor;
  /** Such as `ServerResponse`: effects are named after it. */
  readonly name: string;
  /** What is to be told of the object after each effect, besides its result. */
  readonly stateOf?: (() => Readonly<Record<string, unknown>>) | undefined;
  /** Takes that over, in a replay. */
  readonly restore?: ((state: Readonly<Record<string, unknown>>) => void) | undefined;
  /** What a method is called with besides its arguments. */
  readonly also?: (() => readonly unknown[]) | undefined;
  /** What is to be done with a callback among the arguments of a method. */
  readonly callback?: ((method: string, callback: Callable) => Callable) | undefined;
}

type Callable = (this: unknown, ...input: unknown[]) => unknown;

const watches = new WeakMap<object, Watch>();

/** Those of an object's classes, from its own up to `base`, and of `base` those that are named. */
export function membersOf(object: object, base: object, named: Members = NONE): Members {
  const methods = new Set(named.methods.filter((name) => name in base));
  const getters = new Set(named.getters.filter((name) => name in base && !Object.hasOwn(object, name)));
  for (let owner = Object.getPrototypeOf(object) as object | null; owner !== null && owner !== base; ) {
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      if (NEVER.has(key) || Object.hasOwn(object, key)) continue;
      const value: unknown = descriptor.value;
      if (Object.hasOwn(descriptor, "get")) getters.add(key);
      // What has members of its own is no method, such as the application of Express.
      else if (typeof value === "function" && Object.keys(value).length === 0) methods.add(key);
    }
    owner = Object.getPrototypeOf(owner) as object | null;
  }
  return { methods: [...methods], getters: [...getters] };
}

const NONE: Members = { methods: [], getters: [] };

const NEVER: ReadonlySet<string> = new Set(["constructor", "app", "next", "then", "emit", "push", "destroy"]);

/** Watches `object` until the run has ended. False where somebody does already. */
export function watch(object: object, members: Members, by: Watch): boolean {
  if (watches.get(object)?.call.run.closed === false) return false;
  const prototype = Object.getPrototypeOf(object) as object;
  const watched = watchedPrototype(prototype, members);
  if (!Reflect.setPrototypeOf(object, watched)) return false;
  watches.set(object, by);
  by.call.run.atEnd(() => {
    if (Object.getPrototypeOf(object) === watched) Object.setPrototypeOf(object, prototype);
  });
  return true;
}

/** Makes `standIn` have these members, which give what is recorded. */
export function stand(standIn: object, { methods, getters }: Members, by: Watch): void {
  const nothing = (): undefined => undefined;
  const described: PropertyDescriptorMap = {};
  for (const key of methods) described[key] = method(key, nothing);
  for (const key of getters) described[key] = accessor(key, { get: nothing, set: nothing });
  watches.set(standIn, by);
  Object.setPrototypeOf(
    standIn,
    Object.create(Object.getPrototypeOf(standIn) as object, described) as object,
  );
}

/**
 * Has the program see a change of `key` that comes from outside only when the returned function is called: in the turn
 * that tells of it. Its own changes it sees at once.
 */
export function holdBack(object: object, key: string, call: StageCall): () => void {
  let real: unknown = Reflect.get(object, key);
  let seen = real;
  const isInside = (): boolean => !call.run.closed && activeCall()?.run === call.run;
  Object.defineProperty(object, key, {
    get: () => (isInside() ? seen : real),
    set: (value: unknown) => {
      real = value;
      if (isInside()) seen = value;
    },
    enumerable: true,
    configurable: true,
  });
  call.run.atEnd(() => {
    const descriptor = { value: real, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(object, key, descriptor);
  });
  return () => {
    seen = real;
  };
}

/** By the prototype that it stands before: a framework has one for all its requests. */
const watchedPrototypes = new WeakMap<object, object>();

function watchedPrototype(prototype: object, { methods, getters }: Members): object {
  const known = watchedPrototypes.get(prototype);
  if (known !== undefined) return known;
  const described: PropertyDescriptorMap = {};
  for (const key of methods) described[key] = method(key, Reflect.get(prototype, key) as Callable);
  for (const key of getters) described[key] = accessor(key, descriptorOf(prototype, key));
  const made = Object.create(prototype, described) as object;
  watchedPrototypes.set(prototype, made);
  return made;
}

function descriptorOf(prototype: object, key: string): PropertyDescriptor {
  for (
    let owner: object | null = prototype;
    owner !== null;
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (descriptor !== undefined) return descriptor;
  }
  return {};
}

function method(key: string, original: Callable): PropertyDescriptor {
  const value: Callable = function (...input) {
    return use(this as object, key, input, (given) => Reflect.apply(original, this, given));
  };
  Object.defineProperty(value, "name", { value: key, configurable: true });
  return { value, writable: true, configurable: true };
}

function accessor(key: string, described: PropertyDescriptor): PropertyDescriptor {
  const get = Reflect.get(described, "get") as (() => unknown) | undefined;
  const set = Reflect.get(described, "set") as ((value: unknown) => void) | undefined;
  return {
    configurable: true,
    get(this: object) {
      return use(this, key, [], () => get?.call(this));
    },
    set(this: object, value: unknown) {
      if (set === undefined)
        Object.defineProperty(this, key, { value, writable: true, enumerable: true, configurable: true });
      else use(this, `${key}=`, [value], () => set.call(this, value));
    },
  };
}

/** What goes into the record of a use. */
interface Used {
  /** Whether the result is the object itself, as of methods that are chained. */
  readonly self: boolean;
  readonly value: unknown;
  readonly state: Readonly<Record<string, unknown>> | undefined;
}

function use(
  object: object,
  key: string,
  input: readonly unknown[],
  original: (input: readonly unknown[]) => unknown,
): unknown {
  const by = watches.get(object);
  const call = by === undefined || isQuiet() ? undefined : activeCall();
  if (by === undefined || call === undefined || call.run !== by.call.run || call.run.closed)
    return original(input);
  const { conductor, callback } = by;
  const usedOf = (value: unknown): Used => ({
    self: value === object,
    value: value === object ? undefined : value,
    state: by.stateOf?.(),
  });
  const given =
    callback === undefined
      ? input
      : input.map((one) => (typeof one === "function" ? callback(key, one as Callable) : one));
  const shown = [...input.filter((one) => typeof one !== "function"), ...(by.also?.() ?? [])];
  const used = conductor.effect(nextEffect(call, `${by.name}.${key}`), shown, () =>
    suspend(() => {
      const value = original(given);
      return types.isPromise(value) ? value.then(usedOf) : usedOf(value);
    }, true),
  );
  const result = ({ self, value, state }: Used): unknown => {
    if (conductor.replaying && state !== undefined) by.restore?.(state);
    return self ? object : value;
  };
  return types.isPromise(used) ? (used as Promise<Used>).then(result) : result(used as Used);
}
