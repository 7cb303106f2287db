/** Declares what the library cannot see by itself: `hc.effect`, `hc.effects`, `hc.now`. */
import { HindcastError } from "../errors.js";
import { wallClock } from "../originals.js";
import { conversionOf } from "../stage/conversion.js";
import type { Conversion } from "../stage/definition.js";
import type { Host } from "../stage/host.js";
import type { EffectCall } from "../stage/seam.js";
import { activeCallOf, suspend } from "../stage/scopes.js";
import { type AnyFunction, isAsynchronous } from "../stage/stage.js";
import { realInput } from "./live.js";
import { mustBeFunction, nameOf, standIn } from "../stage/wrap.js";

export interface EffectOptions {
  /** Default: the function's own name. */
  readonly name?: string;
  /** What to record in place of its arguments and its result: plain data. */
  readonly record?: Conversion;
  /** Makes the result again of what is recorded, for a replay to give to the program. */
  readonly revive?: Pick<Conversion, "output">;
}

/** The name under which `hc.now()` is recorded. */
export const CLOCK_EFFECT = "clock.now";

/** `body` as an effect: recorded and replayed within runs, itself outside of them. */
export function createEffect<F extends AnyFunction>(host: Host, options: EffectOptions, body: F): F {
  if (typeof options !== "object" || options === null) {
    throw new HindcastError(
      "invalid-options",
      "hc.effect(options, fn): the first argument is the options object.",
    );
  }
  const name = nameOf(options.name, body, "effect");
  mustBeFunction(body, name, "effect");
  const conversions = {
    record: conversionOf(options.record, `record of effect "${name}"`),
    revive: conversionOf(options.revive, `revive of effect "${name}"`),
  };
  const told: Told = { name, asynchronous: isAsynchronous(body), ...conversions };
  return standIn(body, (self, input) =>
    callEffect(host, told, input, (given) =>
      Reflect.apply(body as AnyFunction, self as never, given as never[]),
    ),
  );
}

/** What is told of an effect beforehand. */
type Told = Required<Pick<EffectCall, "name" | "asynchronous" | "record" | "revive">>;

function callEffect(
  host: Host,
  told: Told,
  input: readonly unknown[],
  perform: (input: readonly unknown[]) => unknown,
): unknown {
  const call = activeCallOf(host);
  const conductor = call?.run.conductor;
  const { name, asynchronous, record, revive } = told;
  if (call === undefined || conductor === undefined) return perform(input);
  if (call.run.closed) {
    if (!conductor.replaying) return perform(input);
    // Nobody waits for it any more; an error that nobody handles would end the process.
    if (asynchronous === true) return new Promise(() => undefined);
    throw effectNotRecorded(name, call.definition.name, "it began after the run had ended");
  }
  const effect = { name, asynchronous, record, revive, call, ordinal: call.nextEffect(name) };
  return conductor.effect(effect, input, () => suspend(() => perform(realInput(input)), true));
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
  if (
    (typeof client !== "object" && typeof client !== "function") ||
    client === null ||
    !Array.isArray(methods)
  ) {
    throw new HindcastError(
      "invalid-options",
      `hc.effects("${name}", client, methods): give a client and a list of its methods' names.`,
    );
  }
  const wrapped = new Map<PropertyKey, unknown>();
  const declare = (method: string, body: AnyFunction): void => {
    // Called with the client itself as `this`: its private fields are not to be had through a Proxy.
    wrapped.set(method, createEffect(host, { name: `${name}.${method}` }, bind(body, client)));
  };
  for (const method of methods as readonly string[]) {
    const body: unknown = client[method as M];
    if (typeof body !== "function") {
      throw new HindcastError(
        "invalid-options",
        `hc.effects("${name}", client, …): the client has no method "${method}".`,
      );
    }
    declare(method, body as AnyFunction);
  }
  const bound = new WeakMap<object, unknown>();
  const handler: ProxyHandler<C> = {
    get(_target, key) {
      const effect = wrapped.get(key);
      if (effect !== undefined) return effect;
      const member: unknown = Reflect.get(client, key, client);
      if (typeof member !== "function" || key === "constructor") return member;
      if (!bound.has(member)) bound.set(member, bind(member as AnyFunction, client));
      return bound.get(member);
    },
    set(_target, key, value) {
      if (!Reflect.set(client, key, value, client)) return false;
      if (wrapped.has(key) && typeof value === "function") declare(key as string, value as AnyFunction);
      return true;
    },
  };
  if (typeof client === "function" || !Reflect.ownKeys(client).some((key) => isLocked(client, key))) {
    return new Proxy(client, handler);
  }
  // A Proxy must give a locked property of its target as it is: so another object stands as the target.
  const described = (key: PropertyKey): PropertyDescriptor | undefined => {
    const descriptor = Reflect.getOwnPropertyDescriptor(client, key);
    return descriptor && { ...descriptor, configurable: true };
  };
  return new Proxy(Object.create(Object.getPrototypeOf(client) as object | null) as C, {
    ...handler,
    has: (_target, key) => Reflect.has(client, key),
    ownKeys: () => Reflect.ownKeys(client),
    getOwnPropertyDescriptor: (_target, key) => described(key),
    deleteProperty: (_target, key) => Reflect.deleteProperty(client, key),
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
