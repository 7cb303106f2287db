/**
 * Thenables, and promises of a class of their own, that a stage returns. They stay themselves: they may
 * have more methods, and may begin their work only when they are asked for their result.
 *
 * Invariants
 * 1. Nothing is asked of a thenable that nobody asks; one asking reaches it as one asking (G1).
 * 2. What its `then` returns is what the program gets: a promise of its class, if it has one.
 * 3. The same thenable may be returned by many calls. Each of them ends by the first asking after it;
 *    of one that nobody asks, only so many wait (G8).
 */
import { types } from "node:util";
import type { Context } from "@opentelemetry/api";
import { runIn } from "./scopes.js";

/** A call that ends when a thenable does. */
export interface Follower {
  /** What the work of the thenable belongs to. */
  readonly context: Context;
  /** Follows the result, and gives it when it is to be handed on. */
  readonly follow: (result: Promise<unknown>) => Promise<unknown>;
}

type Then = (this: unknown, fulfilled?: unknown, rejected?: unknown) => unknown;

interface Following {
  readonly then: Then;
  /** Calls that have returned it since it was last asked. */
  readonly waiting: Follower[];
}

/** One that is kept, given to every request and asked by none would otherwise hold the run of each. */
const MAXIMUM_WAITING = 1_000;

const followings = new WeakMap<object, Following>();

/** Lets `follower` follow `thenable` from when it is first asked; false where that cannot be had of it. */
export function followThenable(thenable: object, follower: Follower): boolean {
  try {
    const then = (thenable as { then?: unknown }).then as Then;
    const known = followings.get(thenable);
    if (known?.then === then) {
      if (known.waiting.length >= MAXIMUM_WAITING) return false;
      known.waiting.push(follower);
      return true;
    }
    const waiting = [follower];
    const value = following(thenable, then, waiting);
    if (!Reflect.defineProperty(thenable, "then", { value, writable: true, configurable: true }))
      return false;
    followings.set(thenable, { then: value, waiting });
    return true;
  } catch {
    return false; // a Proxy, or a getter, that does as it likes: whoever awaits the value will hear of it there
  }
}

function following(thenable: object, then: Then, waiting: Follower[]): Then {
  let last: Promise<unknown> | undefined;
  return function (fulfilled, rejected) {
    // A thenable that is asked again may do its work again, and that is no longer of the call.
    if (waiting.length === 0 && !(last !== undefined && types.isPromise(thenable))) {
      return Reflect.apply(then, thenable, [fulfilled, rejected]);
    }
    let answered = false;
    let threw = false;
    let resolve: (value: unknown) => void = () => undefined;
    let reject: (error: unknown) => void = () => undefined;
    let context: Context | undefined;
    if (waiting.length > 0) {
      const result = new Promise((...settle) => ([resolve, reject] = settle));
      for (const follower of waiting.splice(0)) {
        last = follower.follow(result);
        context = follower.context;
      }
    }
    // Made here, so that what the program does with the result is done where it has asked.
    const handed = (last as Promise<unknown>).then(fulfilled as undefined, (error: unknown) => {
      if (threw) return undefined;
      if (typeof rejected === "function") return Reflect.apply(rejected, undefined, [error]) as unknown;
      throw error;
    });
    // Whether it is heard of is up to what `then` returns.
    if (typeof rejected !== "function") handed.catch(() => undefined);
    const settled = [
      (value: unknown) => {
        answered = true;
        resolve(value);
        return handed;
      },
      (error: unknown) => {
        answered = true;
        reject(error);
        return handed;
      },
    ];
    const ask = (): unknown => Reflect.apply(then, thenable, settled);
    try {
      return context === undefined ? ask() : runIn(context, ask);
    } catch (error) {
      // Whoever awaits it has an answer, and no ear for what it throws after that.
      if (answered) return handed;
      threw = true;
      reject(error);
      throw error;
    }
  };
}
