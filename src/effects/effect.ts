/** Declares what the library cannot see by itself: `hc.effect`, `hc.effects`, `hc.now`. */
import { HindcastError } from "../errors.js";
import { wallClock } from "../originals.js";
import type { Host } from "../stage/host.js";
import type { AnyFunction } from "../stage/stage.js";
import { mirror, mustBeFunction, nameOf } from "../stage/wrap.js";

export interface EffectOptions {
  /** Default: the function's own name. */
  readonly name?: string;
}

/** The name under which `hc.now()` is recorded. */
export const CLOCK_EFFECT = "clock.now";

/** `body` as an effect: recorded and replayed within runs, itself outside of them. */
export function createEffect<F extends AnyFunction>(host: Host, options: EffectOptions, body: F): F {
  const name = nameOf(options.name, body, "effect");
  mustBeFunction(body, name, "effect");
  const wrapped = function (this: unknown, ...input: unknown[]): unknown {
    return callEffect(host, name, input, () =>
      Reflect.apply(body as AnyFunction, this as never, input as never[]),
    );
  } as unknown as F;
  mirror(wrapped, body);
  return wrapped;
}

function callEffect(host: Host, name: string, input: readonly unknown[], perform: () => unknown): unknown {
  const call = host.scopes.active();
  const conductor = call?.run.conductor;
  if (call === undefined || conductor === undefined) return perform();
  if (call.run.closed) {
    if (!conductor.replaying) return perform();
    throw effectNotRecorded(name, call.definition.name, "it began after the run had ended");
  }
  const effect = { call, name, ordinal: call.nextEffect(name) };
  return conductor.effect(effect, input, () => host.scopes.suspend(perform));
}

/** What a replay throws into the program in place of touching the outside world (G5). */
export function effectNotRecorded(name: string, stage: string, why: string): HindcastError {
  return new HindcastError(
    "effect-not-recorded",
    `Effect "${name}" in stage "${stage}" cannot be replayed: ${why}. ` +
      `To let it run for real in this replay, say so: { effects: { "${name}": "live" } }.`,
  );
}

/** A client whose `methods` are effects, named `<name>.<method>`; everything else of it is as it was. */
export function createEffects<C extends object, M extends keyof C & string>(
  host: Host,
  name: string,
  client: C,
  methods: readonly M[],
): C {
  if (typeof name !== "string" || name === "") {
    throw new HindcastError("invalid-options", 'hc.effects needs a name for the client, such as "db".');
  }
  const wrapped = new Map<PropertyKey, unknown>();
  for (const method of methods) {
    const body: unknown = client[method];
    if (typeof body !== "function") {
      throw new HindcastError(
        "invalid-options",
        `hc.effects("${name}", client, …): the client has no method "${method}".`,
      );
    }
    // Called with the client itself as `this`: its private fields are not to be had through a Proxy.
    wrapped.set(method, createEffect(host, { name: `${name}.${method}` }, bind(body as AnyFunction, client)));
  }
  const bound = new WeakMap<object, unknown>();
  return new Proxy(client, {
    get(target, key) {
      const effect = wrapped.get(key);
      if (effect !== undefined) return effect;
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function" || isLocked(target, key)) return member;
      if (!bound.has(member)) bound.set(member, bind(member as AnyFunction, target));
      return bound.get(member);
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}

/** `method` of `owner`, whatever `this` it is called on. A class stays one. */
function bind(method: AnyFunction, owner: object): AnyFunction {
  const bound = new Proxy(method, {
    apply: (target, _self, input: unknown[]) =>
      Reflect.apply(target, owner as never, input as never[]) as unknown,
  });
  return bound;
}

/** A Proxy must give such a property as it is. */
function isLocked(target: object, key: PropertyKey): boolean {
  const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
  return descriptor !== undefined && descriptor.configurable === false && descriptor.writable === false;
}

/** `hc.now()`: milliseconds since the epoch, the recorded ones in a replay. */
export function createClock(host: Host): () => number {
  return createEffect(host, { name: CLOCK_EFFECT }, () => wallClock());
}
