/**
 * What an effect gives that begins its work only when it is asked for its result: a query builder, a lazy promise,
 * a promise with methods. The program gets a Proxy, in a replay of nothing.
 *
 * Invariants
 * 1. The real one is asked when the program asks, and as often (G1). Nothing is asked of it in a replay (G5).
 * 2. The call that gave it and what was called on it up to the asking are one effect. Asked again, it is another
 *    effect of that name.
 * 3. A method that gives something else than a builder is an effect of its own, named `<effect>.<method>`.
 * 4. A function that is given to a method which gives a builder is the builder's own business.
 */
import { type BuilderLog, NO_BUILDER, RecordedHandle, setStandIn } from "../capsule/recorded-handle.js";
import type { Held } from "../capsule/snapshot.js";
import { suspend, activeCallOf } from "../stage/scopes.js";
import type { Conductor, EffectCall } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { hasLocked, isLazy, memberName, realInput, setReal } from "./live.js";

type Method = (this: unknown, ...input: unknown[]) => unknown;

/** What a builder needs of whoever conducts the run. */
export interface BuilderSource {
  readonly conductor: Conductor;
  readonly effect: EffectCall;
  /** What is recorded of the arguments of the effect. */
  readonly input: readonly Held[];
  /** The arguments themselves. */
  readonly given: readonly unknown[];
  /** Where what happens is entered. */
  readonly log: BuilderLog;
  /** What happened in the record; undefined where there is none. */
  readonly recorded: BuilderLog | undefined;
  /** Copies a step, to be recorded. */
  hold(step: unknown): Held;
  /** The program asks for the result, for the first time. `given`: the arguments and the steps. */
  ask(input: readonly Held[], given: readonly unknown[], perform: () => unknown): Promise<unknown>;
}

/** In front of `real`, or of nothing in a replay. */
export function openBuilder(source: BuilderSource, real: object | undefined): object {
  return new Builders(source).open(0, real, source.input, source.given);
}

/** A builder, and all that come of it. */
class Builders {
  readonly source: BuilderSource;
  readonly owner: object;
  readonly replies: Replies;
  readonly #nodes: Node[] = [];
  readonly #known = new Map<object, Node>();
  #asked = false;

  constructor(source: BuilderSource) {
    this.source = source;
    this.owner = (source.effect.call as StageCall).run.owner;
    this.replies = new Replies(source.recorded ?? []);
  }

  open(number: number, real: object | undefined, input: readonly Held[], given: readonly unknown[]): object {
    const node = new Node(this, number, real, input, given);
    this.#nodes[number] = node;
    if (real !== undefined) this.#known.set(real, node);
    return node.proxy;
  }

  /** The one that stands for `real`, or has that number. */
  find(real: object | undefined, number: number): Node | undefined {
    return real === undefined ? this.#nodes[number] : this.#known.get(real);
  }

  get count(): number {
    return this.#nodes.length;
  }

  /** Asks for the result of what was built by `input`. */
  ask(call: StageCall, node: Node): Promise<unknown> {
    const { conductor, effect } = this.source;
    const perform = (): unknown => node.perform();
    if (!this.#asked && !effect.call.run.closed) {
      this.#asked = true;
      return this.source.ask(node.input, node.given, perform);
    }
    const { name, record, revive, of, live } = effect;
    const again = {
      name,
      record,
      revive,
      of,
      live,
      call,
      ordinal: call.nextEffect(name),
      before: node.input,
    };
    return conductor.effect(again, [], () => suspend(perform)) as Promise<unknown>;
  }
}

/** What the methods of a builder gave in the record. */
class Replies {
  readonly #log: BuilderLog;
  #position = 0;

  constructor(log: BuilderLog) {
    this.#log = log;
  }

  /** What the method of a builder gave: as next in the record, or else as wherever it was called. */
  take(node: number, method: string): number | "another" | undefined {
    if (this.#log[this.#position] === node && this.#log[this.#position + 1] === method) {
      this.#position += 3;
      return this.#log[this.#position - 1] as number;
    }
    for (let index = 0; index < this.#log.length; index += 3) {
      if (this.#log[index + 1] !== method) continue;
      const result = this.#log[index + 2];
      if (result === NO_BUILDER) return NO_BUILDER;
      return result === this.#log[index] ? node : "another";
    }
    return undefined;
  }
}

/** Members that are asked for by whoever wonders what a value is, and that hardly any builder has. */
const PROBED: ReadonlySet<PropertyKey> = new Set([
  "toJSON",
  "constructor",
  "asymmetricMatch",
  "nodeType",
  "tagName",
  "$$typeof",
]);

class Node {
  readonly proxy: object;
  readonly #family: Builders;
  readonly #number: number;
  readonly #real: object | undefined;
  input: readonly Held[];
  given: readonly unknown[];
  readonly #methods = new Map<PropertyKey, unknown>();
  readonly #own = new Map<PropertyKey, unknown>();

  constructor(
    family: Builders,
    number: number,
    real: object | undefined,
    input: readonly Held[],
    given: readonly unknown[],
  ) {
    this.#family = family;
    this.#number = number;
    this.#real = real;
    this.input = input;
    this.given = given;
    this.proxy = this.#open();
    if (real !== undefined) setReal(this.proxy, real);
    const { name, ordinal } = family.source.effect;
    const methods = given.filter(isStep).map(([method]) => method);
    setStandIn(this.proxy, () => new RecordedHandle(-1, [`${name}#${ordinal}`, ...methods].join("")));
  }

  /** Asks the real one. */
  perform(): unknown {
    const real = this.#real as PromiseLike<unknown>;
    return new Promise((resolve, reject) => {
      // What `then` gives back, if it is a promise, is settled by what it is told here.
      real.then(resolve, reject);
    });
  }

  #open(): object {
    const real = this.#real;
    const base: object =
      real === undefined || hasLocked(real) ? (Object.create(this.#prototype()) as object) : real;
    return new Proxy(base, {
      get: (_target, key) => this.#get(key),
      set: (_target, key, value) => {
        if (key === "then" || real === undefined) return this.#keep(key, value);
        return Reflect.set(real, key, value, real);
      },
      // Whoever follows a thenable puts a `then` of their own on it: the real one must not have it.
      defineProperty: (_target, key, descriptor) => {
        if ((key === "then" || real === undefined) && "value" in descriptor)
          return this.#keep(key, descriptor.value);
        return real !== undefined && Reflect.defineProperty(real, key, descriptor);
      },
      has: (_target, key) =>
        real === undefined ? key === "then" || this.#own.has(key) : Reflect.has(real, key),
      getPrototypeOf: () => this.#prototype(),
      ...(base === real ? {} : { ownKeys: () => [], getOwnPropertyDescriptor: () => undefined }),
    });
  }

  #keep(key: PropertyKey, value: unknown): true {
    this.#own.set(key, value);
    return true;
  }

  #prototype(): object | null {
    return this.#real === undefined ? Object.prototype : (Object.getPrototypeOf(this.#real) as object | null);
  }

  #get(key: PropertyKey): unknown {
    if (this.#own.has(key)) return this.#own.get(key);
    const call = activeCallOf(this.#family.owner);
    const real = this.#real;
    if (real !== undefined && (call === undefined || call.run.closed)) return this.#getReal(key);
    if (key === "then") return this.#method(key, () => this.#then);
    if (real === undefined) return this.#getRecorded(call, key);
    const value = suspend(() => Reflect.get(real, key, real) as unknown);
    if (typeof value === "function") {
      if (key === "constructor") return value;
      if (key === "catch") return this.#method(key, () => this.#catch);
      if (key === "finally") return this.#method(key, () => this.#finally);
      return this.#method(key, () => this.#caller(key));
    }
    if (typeof key === "symbol" || PROBED.has(key)) return value;
    return this.#read(call as StageCall, key, () => value);
  }

  #getReal(key: PropertyKey): unknown {
    const real = this.#real as object;
    const value = Reflect.get(real, key, real) as unknown;
    if (typeof value !== "function" || key === "constructor") return value;
    // Its private fields are not to be had through a Proxy.
    return (...input: unknown[]) => Reflect.apply(value, real, input) as unknown;
  }

  #getRecorded(call: StageCall | undefined, key: PropertyKey): unknown {
    if (call === undefined) return undefined;
    const { conductor, effect } = this.#family.source;
    const upcoming = conductor.upcoming?.(call, `${effect.name}.${memberName(key)}`);
    if (upcoming?.record.read === true) return this.#read(call, key, cannotAsk);
    if (upcoming === undefined && (typeof key === "symbol" || PROBED.has(key))) {
      return Reflect.get(Object.prototype, key);
    }
    if (key === "catch") return this.#method(key, () => this.#catch);
    if (key === "finally") return this.#method(key, () => this.#finally);
    return this.#method(key, () => this.#caller(key));
  }

  /** The same function at each look. */
  #method(key: PropertyKey, make: () => unknown): unknown {
    if (!this.#methods.has(key)) this.#methods.set(key, make());
    return this.#methods.get(key);
  }

  #read(call: StageCall, key: PropertyKey, perform: () => unknown): unknown {
    const { conductor, effect } = this.#family.source;
    const name = `${effect.name}.${memberName(key)}`;
    const of = effect.of ?? effect.name;
    return conductor.effect(
      { call, name, ordinal: call.nextEffect(name), of, read: true, declared: true },
      [],
      perform,
    );
  }

  readonly #then = (fulfilled?: unknown, rejected?: unknown): unknown => {
    const result = this.#ask();
    return result.then(fulfilled as undefined, rejected as undefined);
  };

  readonly #catch = (rejected?: unknown): unknown =>
    (this.proxy as Promise<unknown>).then(undefined, rejected as undefined);

  readonly #finally = (over?: unknown): unknown => this.#ask().finally(over as undefined);

  #ask(): Promise<unknown> {
    const call = activeCallOf(this.#family.owner);
    const real = this.#real as PromiseLike<unknown> | undefined;
    if (call === undefined || (call.run.closed && real !== undefined)) {
      return real === undefined ? new Promise(() => undefined) : Promise.resolve(real);
    }
    return this.#family.ask(call, this);
  }

  #caller(key: PropertyKey): Method {
    const call = (...input: unknown[]): unknown => this.#call(key, input);
    return call;
  }

  #call(key: PropertyKey, input: readonly unknown[]): unknown {
    const { owner } = this.#family;
    const call = activeCallOf(owner);
    const real = this.#real;
    if (real !== undefined && (call === undefined || call.run.closed)) {
      return Reflect.apply(Reflect.get(real, key, real) as Method, real, realInput(input));
    }
    if (call === undefined) return undefined;
    const method = memberName(key);
    const step = [`.${method}`, ...input];
    return real === undefined
      ? this.#callRecorded(call, method, step)
      : this.#callReal(call, method, step, () =>
          suspend(() => Reflect.apply(Reflect.get(real, key, real) as Method, real, realInput(input))),
        );
  }

  #callReal(call: StageCall, method: string, step: readonly unknown[], perform: () => unknown): unknown {
    const held = this.#family.source.hold(step);
    let result: unknown;
    try {
      result = perform();
    } catch (error) {
      return this.#end(call, method, held, () => {
        throw error;
      });
    }
    const node = isObject(result) ? this.#family.find(result, -1) : undefined;
    if (node === undefined && !isLazy(result)) return this.#end(call, method, held, () => result);
    return this.#go(method, held, step, node ?? this.#family.count, result as object);
  }

  #callRecorded(call: StageCall, method: string, step: readonly unknown[]): unknown {
    const { source, replies } = this.#family;
    const held = source.hold(step);
    const reply = replies.take(this.#number, method);
    const own = `${source.effect.name}.${method}`;
    if (
      reply === NO_BUILDER ||
      (reply === undefined && source.conductor.upcoming?.(call, own) !== undefined)
    ) {
      return this.#end(call, method, held, undefined);
    }
    const known = typeof reply === "number" ? this.#family.find(undefined, reply) : undefined;
    return this.#go(method, held, step, known ?? this.#family.count, undefined);
  }

  /** The method has given a builder: this one, another that is known, or a new one. */
  #go(
    method: string,
    held: Held,
    step: readonly unknown[],
    next: Node | number,
    real: object | undefined,
  ): object {
    const { source } = this.#family;
    const isNew = typeof next === "number";
    source.log.push(this.#number, method, isNew ? next : next.#number);
    const [input, given] = [
      [...this.input, held],
      [...this.given, step],
    ];
    if (isNew) return this.#family.open(next, real, input, given);
    if (next === this) [this.input, this.given] = [input, given];
    return next.proxy;
  }

  /** The method has given something else: that is an effect. */
  #end(call: StageCall, method: string, held: Held, perform: (() => unknown) | undefined): unknown {
    const { conductor, effect, log } = this.#family.source;
    log.push(this.#number, method, NO_BUILDER);
    const name = `${effect.name}.${method}`;
    const ending = {
      call,
      name,
      ordinal: call.nextEffect(name),
      of: effect.of ?? effect.name,
      live: effect.live,
      before: [...this.input, held],
      declared: true,
    };
    return conductor.effect(ending, [], perform ?? cannotAsk);
  }
}

function cannotAsk(): never {
  throw new TypeError("There is nothing to perform this on: its builder comes from a record.");
}

function isStep(value: unknown): value is readonly [string, ...unknown[]] {
  return Array.isArray(value) && typeof value[0] === "string" && value[0].startsWith(".");
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
