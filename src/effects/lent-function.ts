/**
 * Functions of the program that it gives to an effect: callbacks, listeners, what a transaction does.
 *
 * Invariants
 * 1. What such a function does is part of the run: it is called in the scope of the call that gave it.
 * 2. Each call of it is an effect named `<effect>.callback`, whose result is what it is called with. A replay calls it
 *    again at that place, and what it gives goes nowhere.
 * 3. While the own function of an effect is on the stack, it is called in place. Later, it is called in place as well where
 *    something outside has called; within a turn of the run it waits for its own, if whoever calls can wait.
 */
import { types } from "node:util";
import type { Context } from "@opentelemetry/api";
import { hasStandIn } from "../capsule/recorded-handle.js";
import type { Outcome } from "../stage/definition.js";
import { activeContext, runIn } from "../stage/scopes.js";
import type { Conductor, EffectCall } from "../stage/seam.js";
import { isAsynchronous, isThenable, type AnyFunction } from "../stage/stage.js";
import type { StageCall } from "../stage/stage-call.js";
import { standIn } from "../stage/wrap.js";
import { unawaited } from "../unawaited.js";
import { realOf } from "./live.js";

/** By the function: so that whoever gave a listener can take it away. */
export type LentFunctions = WeakMap<object, LentFunction>;

/** The effect that functions are given to. */
export interface Borrower {
  readonly call: StageCall;
  readonly conductor: Conductor;
  readonly name: string;
  readonly ordinal: number;
  readonly of: string;
  /** What its methods are called on, where it is a handle. */
  readonly self: object | undefined;
  readonly lent: LentFunctions | undefined;
}

export interface Lending {
  /** Calls `body` with arguments whose functions are part of the run. */
  readonly perform: (body: (input: readonly unknown[]) => unknown) => unknown;
  /** What a replay does in place of that: it calls those that were called. */
  readonly during: () => void;
}

/** Options have fewer; what has more is data. */
const MOST_KEYS = 32;

/** Methods that keep a function, or forget one that was kept. */
const KEEPERS = ["on", "off", "add", "remove", "prepend", "subscribe", "unsubscribe", "listen", "unlisten"];

/** Lends functions among the input of an effect. */
export function lend(borrower: Borrower, input: readonly unknown[], places: readonly Place[]): Lending {
  return new LentInput(borrower, input, places);
}

/** The functions among `input`, its own and those of its options; undefined where there are none. */
export function functionsIn(input: readonly unknown[]): readonly Place[] | undefined {
  let places: Place[] | undefined;
  for (let index = 0; index < input.length; index++) {
    const value = input[index];
    if (typeof value === "function") {
      if (isLendable(value)) (places ??= []).push({ index, key: undefined, body: value as AnyFunction });
    } else if (typeof value === "object" && value !== null) {
      const found = placesIn(value, index);
      if (found !== undefined) (places ??= []).push(...found);
    }
  }
  return places;
}

export interface Place {
  readonly index: number;
  /** Of the options that it is in. */
  readonly key: string | undefined;
  readonly body: AnyFunction;
}

function placesIn(value: object, index: number): Place[] | undefined {
  if (hasStandIn(value)) return undefined;
  let places: Place[] | undefined;
  try {
    if (Array.isArray(value)) return undefined;
    if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
    const keys = Object.keys(value);
    if (keys.length > MOST_KEYS) return undefined;
    for (const key of keys) {
      const body: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
      if (typeof body === "function" && isLendable(body)) {
        (places ??= []).push({ index, key, body: body as AnyFunction });
      }
    }
  } catch {
    return undefined; // a Proxy that throws: whoever reads it will hear of it there
  }
  return places;
}

/** Not a class, and nothing that stands for something else. */
function isLendable(body: object): boolean {
  // A Proxy may throw at any question: it is called as it is.
  if (hasStandIn(body) || types.isProxy(body)) return false;
  const prototype = Object.getOwnPropertyDescriptor(body, "prototype");
  if (prototype === undefined) return true;
  if (prototype.writable === false) return false;
  const methods: unknown = prototype.value;
  return typeof methods !== "object" || methods === null || Reflect.ownKeys(methods).length <= 1;
}

/** The run whose effect is being performed, as long as its own function is on the stack. */
let performing: object | undefined;

/** Calls `body`, which is an effect's own function. */
export function performingFor<T>(run: object, body: () => T): T {
  const outer = performing;
  performing = run;
  try {
    return body();
  } finally {
    performing = outer;
  }
}

/** In a replay: the functions that a run has lent. */
const lentFunctions = new WeakMap<object, LentFunction[]>();

function lentBy(run: object): LentFunction[] {
  let lent = lentFunctions.get(run);
  if (lent === undefined) lentFunctions.set(run, (lent = []));
  return lent;
}

/** In a replay, where an effect has begun: calls what was called while its own function was on the stack. */
export function callBack(run: object): void {
  const lent = lentFunctions.get(run);
  if (lent === undefined) return;
  for (;;) {
    const next = lent.find((one) => one.isNext);
    if (next === undefined) return;
    next.callRecorded();
  }
}

class LentInput implements Lending {
  readonly #borrower: Borrower;
  readonly #input: readonly unknown[];
  readonly #places: readonly Place[];
  readonly #functions: readonly LentFunction[];

  constructor(borrower: Borrower, input: readonly unknown[], places: readonly Place[]) {
    this.#borrower = borrower;
    this.#input = input;
    this.#places = places;
    this.#functions = places.map((place) => this.#lend(place));
  }

  #lend({ index, key, body }: Place): LentFunction {
    const { lent, name, ordinal } = this.#borrower;
    const method = name.slice(name.lastIndexOf(".") + 1);
    const isKept = lent !== undefined && KEEPERS.some((keeper) => method.startsWith(keeper));
    const known = isKept ? lent.get(body) : undefined;
    if (known?.isOpenFor(this.#borrower.call) === true) return known;
    const which = this.#places.length === 1 ? "" : `.${index}${key === undefined ? "" : `.${key}`}`;
    const own = `${name}${ordinal === 0 ? "" : `#${ordinal}`}.callback${which}`;
    const made = new LentFunction(this.#borrower, own, body, key === undefined);
    const { run } = this.#borrower.call;
    if (this.#borrower.conductor.replaying) lentBy(run).push(made);
    if (isKept) lent.set(body, made);
    return made;
  }

  readonly perform = (body: (input: readonly unknown[]) => unknown): unknown => {
    const input = [...this.#input];
    const options = new Map<number, Map<string, unknown>>();
    for (const [position, { index, key }] of this.#places.entries()) {
      const { made } = this.#functions[position] as LentFunction;
      if (key === undefined) input[index] = made;
      else {
        const own = options.get(index) ?? new Map<string, unknown>();
        options.set(index, own.set(key, made));
      }
    }
    for (const [index, own] of options) input[index] = withOwn(input[index] as object, own);
    try {
      return body(input);
    } finally {
      for (const one of this.#functions) one.wait();
    }
  };

  readonly during = (): void => {
    callBack(this.#borrower.call.run);
    for (const one of this.#functions) one.wait();
  };
}

/** The options themselves, but for functions that stand for theirs: what is written to them is written there. */
function withOwn(options: object, own: ReadonlyMap<string, unknown>): object {
  const changed = new Map<PropertyKey, unknown>(own);
  const base = Object.isFrozen(options) ? { ...options } : options;
  return new Proxy(base, {
    get: (target, key) => (changed.has(key) ? changed.get(key) : (Reflect.get(target, key) as unknown)),
    set(target, key, value) {
      changed.delete(key);
      return Reflect.set(target, key, value);
    },
    getOwnPropertyDescriptor(target, key) {
      const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
      if (descriptor === undefined || !changed.has(key) || descriptor.configurable !== true)
        return descriptor;
      return { ...descriptor, value: changed.get(key) };
    },
  });
}

/** A call of a lent function. */
interface Asked {
  readonly self: unknown;
  readonly input: readonly unknown[];
  readonly tell: (outcome: Outcome) => void;
}

export class LentFunction {
  readonly name: string;
  /** What the effect's own function gets. */
  readonly made: unknown;
  readonly #borrower: Borrower;
  readonly #context: Context = activeContext();
  readonly #body: AnyFunction;
  /** Whether whoever calls it may get a promise. */
  readonly #canWait: boolean;
  readonly #asked: Asked[] = [];
  #arrive: ((outcome: Outcome, atOnce?: boolean) => void) | undefined;
  #isWaiting = false;

  constructor(borrower: Borrower, name: string, body: AnyFunction, isArgument: boolean) {
    this.#borrower = borrower;
    this.name = name;
    this.#body = body;
    // Options have functions that are asked something; what is an argument is called back.
    this.#canWait = isArgument || isAsynchronous(body);
    this.made = standIn(body, (self, input) => this.#called(self, input));
  }

  isOpenFor(call: StageCall): boolean {
    return this.#borrower.call.run === call.run;
  }

  /** Whether it was called next in the record, while an effect's own function was on the stack. */
  get isNext(): boolean {
    const { call, conductor } = this.#borrower;
    const upcoming = conductor.upcoming?.(call, this.name);
    if (upcoming?.isNext !== true) return false;
    const { asynchronous, outcome } = upcoming.record;
    return !asynchronous && outcome.status !== "pending";
  }

  /** Waits for its next call. */
  wait(): void {
    const { call, conductor, of } = this.#borrower;
    if (this.#isWaiting || call.run.closed) return;
    this.#isWaiting = true;
    conductor.start(
      { call, name: this.name, ordinal: call.nextEffect(this.name), of },
      [],
      (arrive) => {
        this.#arrive = arrive;
        if (conductor.turn === undefined) this.#offer();
      },
      (outcome) => this.#hand(outcome),
    );
  }

  /** In a replay: calls it as it was called while the effect's own function was on the stack. */
  callRecorded(): void {
    const { conductor } = this.#borrower;
    const input = conductor.effect(this.#effect(), [], () => []) as unknown[];
    this.#call(this.#borrower.self, input, ignore);
  }

  #effect(): EffectCall {
    const { call, of } = this.#borrower;
    return { call, name: this.name, ordinal: call.nextEffect(this.name), of };
  }

  #called(self: unknown, input: readonly unknown[]): unknown {
    const { call, conductor } = this.#borrower;
    if (call.run.closed) return runIn(this.#context, () => apply(this.#body, self, input));
    const opened = this.#open(input);
    if (performing === call.run) {
      conductor.effect(this.#effect(), [], () => opened);
      return this.#callInPlace((tell) => this.#call(self, opened, tell));
    }
    const isOutside = conductor.isOpen?.() === false;
    if ((isOutside || !this.#canWait) && this.#arrive !== undefined && this.#asked.length === 0) {
      return this.#callInPlace((tell) => {
        this.#asked.push({ self, input: opened, tell });
        this.#take()?.({ status: "ok", value: opened }, true);
      });
    }
    return new Promise((resolve, reject) => {
      const tell = (outcome: Outcome): void => {
        if (outcome.status === "ok") resolve(outcome.value);
        else reject(outcome.error);
      };
      this.#asked.push({ self, input: opened, tell });
      // In the order in which all functions of the run were called, and not each in its own.
      if (conductor.turn === undefined) this.#offer();
      else conductor.turn(() => this.#offer(true));
    });
  }

  #callInPlace(ask: (tell: (outcome: Outcome) => void) => void): unknown {
    let outcome: Outcome = { status: "ok", value: undefined };
    ask((told) => {
      outcome = told;
    });
    if (outcome.status === "ok") return outcome.value;
    throw (outcome as { readonly error: unknown }).error;
  }

  /** What it is called with, as the program gets it. */
  #open(input: readonly unknown[]): readonly unknown[] {
    const { call, conductor, of } = this.#borrower;
    return input.map((value, index) => {
      const name = index === 0 ? this.name : `${this.name}.${index}`;
      return conductor.give({ call, name, of, ordinal: 0, lent: true }, value);
    });
  }

  #take(): ((outcome: Outcome, atOnce?: boolean) => void) | undefined {
    const arrive = this.#arrive;
    this.#arrive = undefined;
    return arrive;
  }

  #offer(atOnce = false): void {
    const [first] = this.#asked;
    if (first === undefined) return;
    if (this.#arrive !== undefined) return this.#take()?.({ status: "ok", value: first.input }, atOnce);
    // The run has ended in the meantime.
    if (this.#borrower.call.run.closed) this.#call(first.self, first.input, first.tell);
  }

  #hand(outcome: Outcome): void {
    this.#isWaiting = false;
    this.#arrive = undefined;
    const asked = this.#asked.shift();
    this.wait();
    if (asked !== undefined) return this.#call(asked.self, asked.input, asked.tell);
    if (outcome.status === "ok" && Array.isArray(outcome.value)) {
      this.#call(this.#borrower.self, outcome.value, ignore);
    }
  }

  #call(self: unknown, input: readonly unknown[], tell: (outcome: Outcome) => void): void {
    const { self: handle } = this.#borrower;
    const own = handle !== undefined && realOf(handle) === self ? handle : self;
    const opened = this.#borrower.conductor.replaying ? this.#open(input) : input;
    try {
      const value = runIn(this.#context, () => apply(this.#body, own, opened));
      tell({ status: "ok", value: realOf(value) });
    } catch (error) {
      tell({ status: "error", error });
    }
  }
}

/** In a replay nobody hears of what it gives: the record has what came of it. */
function ignore(outcome: Outcome): void {
  if (outcome.status === "ok" && isThenable(outcome.value)) unawaited(outcome.value, () => undefined);
}

function apply(body: AnyFunction, self: unknown, input: readonly unknown[]): unknown {
  return Reflect.apply(body as unknown as (...input: unknown[]) => unknown, self, input);
}
