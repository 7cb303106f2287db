/** Declares what the library cannot see by itself: `hc.effect`, `hc.effects`, `hc.now`. */
import { HindcastError } from "../errors.js";
import { wallClock } from "../originals.js";
import { conversionOf } from "../stage/conversion.js";
import type { Conversion } from "../stage/definition.js";
import type { Host } from "../stage/host.js";
import { type AnyFunction, isAsynchronous } from "../stage/stage.js";
import type { LentFunctions } from "./lent-function.js";
import { performEffect, type Told } from "./perform-effect.js";
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
export function createEffect<F extends AnyFunction>(
  host: Host,
  options: EffectOptions,
  body: F,
  lent?: LentFunctions,
): F {
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
  const told: Told = { name, asynchronous: isAsynchronous(body), lent, ...conversions };
  return standIn(body, (self, input) =>
    performEffect(host, told, input, (given) =>
      Reflect.apply(body as AnyFunction, self as never, given as never[]),
    ),
  );
}

/** What to record of a method of a client, in place of its arguments and its result. */
export type MethodOptions = Pick<EffectOptions, "record" | "revive">;

/** The methods of a client that are effects: a list, or an object that says of each what to record. */
export type EffectMethods<Method extends string> =
  | readonly Method[]
  | Readonly<Partial<Record<Method, MethodOptions>>>;

/** A client whose `methods` are effects, named `<name>.<method>`; everything else of it is as it was. */
export function createEffects<C extends object, M extends keyof C & string>(
  host: Host,
  name: string,
  client: C,
  methods: EffectMethods<M>,
): C {
  if (typeof name !== "string" || name === "") {
    throw new HindcastError("invalid-options", 'hc.effects needs a name for the client, such as "db".');
  }
  const isClient = (typeof client === "object" || typeof client === "function") && client !== null;
  const options = isClient ? optionsOf(methods) : undefined;
  if (options === undefined) {
    throw new HindcastError(
      "invalid-options",
      `hc.effects("${name}", client, methods): give a client, and a list of its methods' names ` +
        "or an object such as { query: { record, revive }, close: {} }.",
    );
  }
  const wrapped = new Map<PropertyKey, unknown>();
  const lent: LentFunctions = new WeakMap();
  const declare = (method: string, body: AnyFunction): void => {
    const own: EffectOptions = { ...options.get(method), name: `${name}.${method}` };
    // Called with the client itself as `this`: its private fields are not to be had through a Proxy.
    wrapped.set(method, createEffect(host, own, bind(body, client), lent));
  };
  for (const [method, own] of options) {
    mustBeMethodOptions(own, `${name}.${method}`);
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

function optionsOf(methods: unknown): ReadonlyMap<string, MethodOptions> | undefined {
  if (Array.isArray(methods)) return new Map((methods as string[]).map((method) => [method, {}]));
  if (typeof methods !== "object" || methods === null) return undefined;
  return new Map(Object.entries(methods as Record<string, MethodOptions>));
}

function mustBeMethodOptions(options: unknown, name: string): void {
  const keys = typeof options === "object" && options !== null ? Object.keys(options) : undefined;
  const unknown = keys?.find((key) => key !== "record" && key !== "revive");
  if (keys !== undefined && unknown === undefined) return;
  const what = unknown === undefined ? "" : `: "${unknown}" is no option of a method`;
  throw new HindcastError("invalid-options", `hc.effects: "${name}" takes { record?, revive? }${what}.`);
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
