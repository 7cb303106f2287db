/**
 * What stands for something live: a Proxy in front of the real thing while a run is recorded, and of nothing in a
 * replay. Whoever is no part of a run, and everything inside an effect, has the real thing.
 */
import { types } from "node:util";
import { isThenable } from "../stage/stage.js";

const reals = new WeakMap<object, object>();
/** Most processes have none, and need not look. */
let anyStandIn = false;
/** Longer lists of arguments are not looked into: whatever length a list claims, an effect must begin at once. */
const MOST_LOOKED_INTO = 1_000;
/** Nor lists in lists beyond that. */
const DEEPEST = 8;

/** Notes that `standIn` stands for `real`. */
export function setReal(standIn: object, real: object): void {
  anyStandIn = true;
  reals.set(standIn, real);
}

/** What `value` stands for; itself where it stands for nothing. */
export function realOf(value: unknown): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return value;
  return reals.get(value) ?? value;
}

/** Arguments for the real thing, in which nothing stands for another. Looks into lists of up to 1,000 items. */
export function realInput(input: readonly unknown[], depth: number = DEEPEST): readonly unknown[] {
  if (!anyStandIn || depth === 0 || types.isProxy(input) || input.length > MOST_LOOKED_INTO) return input;
  for (let index = 0; index < input.length; index++) {
    const value = input[index];
    const real = isList(value) ? realInput(value, depth - 1) : realOf(value);
    if (real === value) continue;
    const copy = [...input];
    copy[index] = real;
    for (let rest = index + 1; rest < copy.length; rest++) {
      const one = copy[rest];
      copy[rest] = isList(one) ? realInput(one, depth - 1) : realOf(one);
    }
    return copy;
  }
  return input;
}

/** A Proxy that was revoked throws when it is asked whether it is an array. */
function isList(value: unknown): value is readonly unknown[] {
  return !types.isProxy(value) && Array.isArray(value);
}

/**
 * Whether something does its work when it is asked for its result, or has more to it than a result: what is not
 * just a promise of the platform's.
 */
export function isLazy(value: unknown): value is PromiseLike<unknown> {
  if (!isThenable(value)) return false;
  if (!types.isPromise(value)) return true;
  return Object.getPrototypeOf(value) !== Promise.prototype || Object.getOwnPropertyNames(value).length > 0;
}

/** The name of a member in the record. */
export function memberName(key: PropertyKey): string {
  if (typeof key !== "symbol") return String(key);
  return `@@${(key.description ?? "").replace("Symbol.", "")}`;
}

/** A property that cannot be changed, which a Proxy must give as it is. */
export function hasLocked(target: object): boolean {
  return Reflect.ownKeys(target).some((key) => {
    const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
    return descriptor?.configurable === false && key !== "prototype";
  });
}
