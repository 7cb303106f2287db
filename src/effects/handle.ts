/**
 * Something live that an effect gave: a connection, a cursor, an emitter, a transaction, a function. The program gets
 * a Proxy, in a replay of nothing.
 *
 * Invariants
 * 1. Reading its data gives what it is, and in a replay what it was. What was not told with the handle, or has changed
 *    since, is an effect of its own.
 * 2. A call of a method is an effect named `<effect>.<method>`, on the real thing itself: its private fields work.
 * 3. One thing has one handle, and one number in a run.
 * 4. Outside of runs, and inside of effects, it is the real thing.
 */
import { inspect, type InspectOptions, types } from "node:util";
import { Marker } from "../capsule/marker.js";
import { RecordedHandle, setStandIn, standInOf } from "../capsule/recorded-handle.js";
import type { Host } from "../stage/host.js";
import type { Run } from "../stage/run.js";
import { activeCallOf, suspend } from "../stage/scopes.js";
import type { EffectCall } from "../stage/seam.js";
import type { AnyFunction } from "../stage/stage.js";
import type { StageCall } from "../stage/stage-call.js";
import { type Passage, passageOfResult } from "../streams/passage.js";
import { standIn } from "../stage/wrap.js";
import { performEffect } from "./perform-effect.js";
import { fieldsOf, isLive, isLiveIterable, methodsOf, typeOf } from "./live-value.js";
import { hasLocked, memberName, realOf, setReal } from "./live.js";
import type { LentFunctions } from "./lent-function.js";

/** The method of a handle that is a function itself. */
const CALL = "()";
/** And of one that is a class: `new`. */
const NEW = "new()";

/** The handle of `real`, which the effect named `name` gave to `run`. */
export function handleOf(run: Run, real: object, name: string, of: string): object {
  const { owner } = run;
  let known = handles.get(owner);
  if (known === undefined) handles.set(owner, (known = new WeakMap()));
  let handle = known.get(real);
  if (handle === undefined) known.set(real, (handle = new Handle(owner as Host, name, of, real, undefined)));
  handle.giveTo(run);
  return handle.proxy;
}

/** The handle that a replay gives where the record has `recorded`. */
export function recordedHandle(run: Run, recorded: RecordedHandle, of: string): unknown {
  if (recorded.number < 0) return recorded;
  const table = tableOf(run);
  let handle = table.byNumber.get(recorded.number);
  if (handle === undefined) {
    handle = new Handle(run.owner as Host, recorded.name, of, undefined, recorded);
    table.byNumber.set(recorded.number, handle);
    table.numbers.set(handle, recorded.number);
  }
  table.told.add(handle);
  handle.giveTo(run);
  return handle.proxy;
}

/** What the program gets of an effect's result, and of what a function of its own is given. */
export function given(
  { call, name, of, record, revive, read, lent }: EffectCall,
  value: unknown,
  classes: ReadonlySet<string>,
): unknown {
  // Where it says itself what to record, that is whole.
  if (record?.output !== undefined || revive?.output !== undefined) return value;
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return value;
  const run = call.run as Run;
  try {
    // What stands for something that is not in the record tells of being used by itself.
    if (standInOf(value) instanceof Marker) return value;
    if (!types.isProxy(value) && value instanceof RecordedHandle) {
      return recordedHandle(run, value, of ?? name);
    }
    const real = realOf(value) as object;
    return real !== value || isLive(real, classes, read === true || lent === true)
      ? handleOf(run, real, name, of ?? name)
      : value;
  } catch {
    return value; // a Proxy or a getter that throws: the program will hear of it there
  }
}

/** How a stream that an effect gave is passed on; undefined for anything else, also for what is more than a stream. */
export function streamGiven(effect: EffectCall, value: unknown): Passage | undefined {
  return effect.declared === true && isLiveIterable(value) ? undefined : passageOfResult(effect, value);
}

const handles = new WeakMap<object, WeakMap<object, Handle>>();

/** The handles of a run. */
interface HandleTable {
  readonly numbers: Map<Handle, number>;
  readonly byNumber: Map<number, Handle>;
  /** Those that the record has told of. */
  readonly told: Set<Handle>;
  /** What the program knows of their data. */
  readonly known: Map<Handle, Map<PropertyKey, unknown>>;
}

const tables = new WeakMap<Run, HandleTable>();

function tableOf(run: Run): HandleTable {
  let table = tables.get(run);
  if (table === undefined) {
    tables.set(run, (table = { numbers: new Map(), byNumber: new Map(), told: new Set(), known: new Map() }));
  }
  return table;
}

class Handle {
  readonly proxy: object;
  readonly #owner: Host;
  readonly #name: string;
  readonly #of: string;
  readonly #real: object | undefined;
  readonly #recorded: RecordedHandle | undefined;
  readonly #members = new Map<PropertyKey, unknown>();
  readonly #raw = new Map<PropertyKey, { readonly value: unknown; readonly bound: unknown }>();
  readonly #lent: LentFunctions = new WeakMap();
  /** What the program has seen to be locked. */
  #locked: Map<PropertyKey, unknown> | undefined;
  #run: Run | undefined;

  constructor(
    owner: Host,
    name: string,
    of: string,
    real: object | undefined,
    recorded: RecordedHandle | undefined,
  ) {
    this.#owner = owner;
    this.#name = name;
    this.#of = of;
    this.#real = real;
    this.#recorded = recorded;
    this.proxy = real === undefined ? this.#openRecorded() : this.#openReal(real);
    if (real !== undefined) setReal(this.proxy, real);
    setStandIn(this.proxy, () => this.#describe());
  }

  /** From here on it is known in `run`. */
  giveTo(run: Run): void {
    this.#run = run;
    const table = tableOf(run);
    if (table.numbers.has(this)) return;
    const number = table.numbers.size;
    table.numbers.set(this, number);
    table.byNumber.set(number, this);
  }

  /** What is recorded where it is part of a value: where it is given for the first time, all that is known of it. */
  #describe(): RecordedHandle {
    const active = activeCallOf(this.#owner)?.run;
    const run = active !== undefined && tables.get(active)?.numbers.has(this) === true ? active : this.#run;
    if (run === undefined) return new RecordedHandle(-1, this.#name);
    const table = tableOf(run);
    const number = table.numbers.get(this) ?? -1;
    if (table.told.has(this)) return new RecordedHandle(number, this.#name);
    table.told.add(this);
    const real = this.#real;
    if (real === undefined) return this.#recorded as RecordedHandle;
    const fields: Record<string, unknown> = {};
    const known = new Map<PropertyKey, unknown>();
    for (const [key, value] of fieldsOf(real)) {
      fields[key] = value;
      known.set(key, value);
    }
    table.known.set(this, known);
    const methods = [...callsOf(real), ...methodsOf(real)];
    return new RecordedHandle(number, this.#name, typeOf(real), methods, fields);
  }

  // In front of the real thing.

  #openReal(real: object): object {
    // A Proxy is its own target, if it lets itself be looked at: one that throws here is given as it is.
    const base = types.isProxy(real) && !hasLocked(real) ? real : shadowOf(real);
    const proxy: object = new Proxy(base, {
      get: (_target, key) => this.#getReal(real, key),
      set: (_target, key, value) => this.#setReal(real, key, value),
      apply: (_target, self, input: unknown[]) => this.#apply(real as AnyFunction, self, input),
      construct: (_target, input: unknown[], newTarget) =>
        this.#construct(
          real as AnyFunction,
          input,
          newTarget === proxy ? undefined : (newTarget as AnyFunction),
        ),
      getPrototypeOf: () => this.#prototypeOf(real),
      ...(base === real ? {} : this.#throughTo(real)),
    });
    return proxy;
  }

  /**
   * The target of the Proxy is a shadow: what is locked of the real thing, now or later, would have to be given as it
   * is. Where the program asks for what is locked, the shadow gets it as the program sees it.
   */
  #throughTo(real: object): ProxyHandler<object> {
    const lock = (target: object): void => {
      Reflect.deleteProperty(target, inspect.custom);
      for (const key of Reflect.ownKeys(target)) {
        if (!Object.hasOwn(real, key)) Reflect.deleteProperty(target, key);
      }
      for (const key of Reflect.ownKeys(real)) {
        const descriptor = this.#describeProperty(real, key);
        if (descriptor !== undefined) Reflect.defineProperty(target, key, descriptor);
      }
      Reflect.preventExtensions(target);
    };
    return {
      has: (_target, key) => Reflect.has(real, key),
      ownKeys: (target) => {
        if (!Reflect.isExtensible(real)) lock(target);
        return Reflect.ownKeys(real);
      },
      getOwnPropertyDescriptor: (target, key) => {
        const descriptor = this.#describeProperty(real, key);
        if (descriptor === undefined) Reflect.deleteProperty(target, key);
        else if (descriptor.configurable === false) Reflect.defineProperty(target, key, descriptor);
        return descriptor;
      },
      defineProperty: (target, key, descriptor) => {
        const own = "value" in descriptor ? { ...descriptor, value: realOf(descriptor.value) } : descriptor;
        if (!Reflect.defineProperty(real, key, own)) return false;
        const made = this.#describeProperty(real, key);
        if (made?.configurable === false) Reflect.defineProperty(target, key, made);
        return true;
      },
      deleteProperty: (target, key) =>
        Reflect.deleteProperty(real, key) && Reflect.deleteProperty(target, key),
      isExtensible: (target) => {
        const isOpen = Reflect.isExtensible(real);
        if (!isOpen) lock(target);
        return isOpen;
      },
      preventExtensions: (target) => {
        if (!Reflect.preventExtensions(real)) return false;
        lock(target);
        return true;
      },
      setPrototypeOf: (target, prototype) =>
        Reflect.setPrototypeOf(real, prototype) && Reflect.setPrototypeOf(target, prototype),
    };
  }

  /** A property as the program sees it: what can never change again is from here on the same at each look. */
  #describeProperty(real: object, key: PropertyKey): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(real, key);
    if (descriptor === undefined || descriptor.configurable !== false) return descriptor;
    if (!("value" in descriptor) || descriptor.writable !== false) return descriptor;
    const value = this.#locked?.get(key) ?? this.#seen(real, key, descriptor.value);
    (this.#locked ??= new Map()).set(key, value);
    return { ...descriptor, value };
  }

  #seen(real: object, key: PropertyKey, value: unknown): unknown {
    if (key === "prototype" || key === "constructor") return value;
    if (typeof value === "function") return this.#method(real, key, value as AnyFunction);
    if (typeof value !== "object" || value === null || this.#run === undefined) return value;
    return isLive(value, new Set(), true) ? handleOf(this.#run, value, this.#name, this.#of) : value;
  }

  /** Whoever asks for its class will not find it in a replay. */
  #prototypeOf(real: object): object | null {
    const prototype = Object.getPrototypeOf(real) as object | null;
    const call = activeCallOf(this.#owner);
    if (call === undefined || call.run.closed || prototype === null || typeof real === "function")
      return prototype;
    if (prototype === Object.prototype || types.isProxy(real)) return prototype;
    call.run.conductor?.doubt?.(
      this.#name,
      `What effect "${this.#name}" gave was asked for its class, which a replay cannot give it: ` +
        `list ${typeOf(real) || "the class"} in hindcast({ classes }).`,
    );
    return prototype;
  }

  #getReal(real: object, key: PropertyKey): unknown {
    const value = this.#getOpen(real, key);
    return this.#locked?.has(key) === true ? this.#locked.get(key) : value;
  }

  #getOpen(real: object, key: PropertyKey): unknown {
    const call = activeCallOf(this.#owner);
    if (call === undefined || call.run.closed) return this.#getRaw(real, key);
    const value = suspend(() => Reflect.get(real, key, real) as unknown);
    if (typeof value === "function") {
      if (key === "constructor") return handles.get(this.#owner)?.get(value)?.proxy ?? value;
      if (value === Reflect.get(Object.prototype, key)) return this.#getRaw(real, key);
      return this.#method(real, key, value as AnyFunction);
    }
    if (typeof key === "symbol" || (value === undefined && !(key in real))) return value;
    // What `new` and `extends` need of a class, and must be given as it is.
    if (key === "prototype" && typeof real === "function") return value;
    const table = tableOf(call.run);
    if (!table.numbers.has(this)) this.giveTo(call.run);
    const known = table.known.get(this);
    if (known?.has(key) === true && Object.is(known.get(key), value)) return value;
    known?.set(key, value);
    return this.#read(call, key, () => value);
  }

  /** For whoever is no part of a run. Its private fields are not to be had through a Proxy. */
  #getRaw(real: object, key: PropertyKey): unknown {
    const value: unknown = Reflect.get(real, key, real);
    if (typeof value !== "function" || key === "constructor") return value;
    let raw = this.#raw.get(key);
    if (raw?.value !== value) {
      const bound = new Proxy(value, {
        apply: (target, _self, input: unknown[]) => Reflect.apply(target, real, input) as unknown,
      });
      this.#raw.set(key, (raw = { value, bound }));
    }
    return raw?.bound;
  }

  #method(real: object, key: PropertyKey, body: AnyFunction): unknown {
    const known = this.#members.get(key) as { body: AnyFunction; made: unknown } | undefined;
    if (known?.body === body) return known.made;
    const made = standIn(body, (_self, input) =>
      this.#call(key, input, (arguments_) =>
        Reflect.apply(body as unknown as (...given: unknown[]) => unknown, real, arguments_),
      ),
    );
    this.#members.set(key, { body, made });
    return made;
  }

  #apply(real: AnyFunction, self: unknown, input: readonly unknown[]): unknown {
    return this.#call(CALL, input, (arguments_) =>
      Reflect.apply(real as unknown as (...given: unknown[]) => unknown, realOf(self), arguments_),
    );
  }

  /** `derived`: the class of the program's that extends it. What that makes is the program's own. */
  #construct(real: AnyFunction, input: readonly unknown[], derived: AnyFunction | undefined): object {
    const call = activeCallOf(this.#owner);
    const make = (given: readonly unknown[]): object =>
      Reflect.construct(real, given as never[], derived ?? real) as object;
    if (derived === undefined) return this.#call(NEW, input, make) as object;
    if (call !== undefined && !call.run.closed) {
      call.run.conductor?.doubt?.(
        this.#name,
        `A class extends the one that effect "${this.#name}" gave, which a replay does not have: ` +
          "import it where it is extended.",
      );
    }
    return make(input);
  }

  #setReal(real: object, key: PropertyKey, value: unknown): boolean {
    const call = activeCallOf(this.#owner);
    if (call === undefined || call.run.closed) return Reflect.set(real, key, value, real);
    if (isListener(key, value)) {
      this.#call(key, [value], ([listener]) => void Reflect.set(real, key, listener, real));
      return true;
    }
    tableOf(call.run).known.get(this)?.set(key, value);
    return suspend(() => Reflect.set(real, key, realOf(value), real));
  }

  // In front of nothing.

  #openRecorded(): object {
    const { type, methods, fields } = this.#recorded as RecordedHandle;
    const isFunction = methods.includes(CALL);
    const base: object = methods.includes(NEW) ? function () {} : isFunction ? callable() : {};
    if (!isFunction) Object.setPrototypeOf(base, prototypeNamed(type ?? ""));
    Object.assign(base, fields);
    return new Proxy(base, {
      get: (target, key) => this.#getRecorded(target, key),
      has: (target, key) => Reflect.has(target, key) || this.#isMethod(key),
      apply: (_target, _self, input: unknown[]) => this.#call(CALL, input, cannotPerform),
      construct: (_target, input: unknown[]) => this.#call(NEW, input, cannotPerform) as object,
      set: (target, key, value) => {
        if (isListener(key, value)) this.#call(key, [value], cannotPerform);
        else Reflect.set(target, key, value);
        return true;
      },
    });
  }

  #getRecorded(target: object, key: PropertyKey): unknown {
    const call = activeCallOf(this.#owner);
    if (call !== undefined && typeof key === "string") {
      const upcoming = call.run.conductor?.upcoming?.(call, `${this.#name}.${key}`);
      const isOwn = Object.hasOwn(target, key);
      // What is known already is read again where it had changed: there, and not before.
      if (upcoming?.record.read === true && (upcoming.isNext || !isOwn)) {
        const value = this.#read(call, key, cannotPerform);
        if (isOwn) Reflect.set(target, key, value);
        return value;
      }
      if (upcoming !== undefined && !isOwn) return this.#recordedMethod(key);
    }
    return this.#isMethod(key) ? this.#recordedMethod(key) : (Reflect.get(target, key) as unknown);
  }

  #isMethod(key: PropertyKey): boolean {
    return (this.#recorded as RecordedHandle).methods.includes(memberName(key));
  }

  #recordedMethod(key: PropertyKey): unknown {
    if (!this.#members.has(key)) {
      this.#members.set(key, (...input: unknown[]) => this.#call(key, input, cannotPerform));
    }
    return this.#members.get(key);
  }

  // The effects.

  #read(call: StageCall, key: PropertyKey, perform: () => unknown): unknown {
    const name = `${this.#name}.${memberName(key)}`;
    const effect = { call, name, ordinal: call.nextEffect(name), of: this.#of, read: true, declared: true };
    return call.run.conductor?.effect(effect, [], perform);
  }

  #call(
    key: PropertyKey,
    input: readonly unknown[],
    perform: (input: readonly unknown[]) => unknown,
  ): unknown {
    const name = key === CALL ? `${this.#name}${CALL}` : `${this.#name}.${memberName(key)}`;
    const told = { name, of: this.#of, lent: this.#lent, self: this.proxy };
    return performEffect(this.#owner, told, input, perform);
  }
}

/** Such as `onmessage`: the property of an event target that is called. */
function isListener(key: PropertyKey, value: unknown): boolean {
  return typeof key === "string" && key.startsWith("on") && typeof value === "function";
}

function cannotPerform(): never {
  throw new TypeError("There is nothing to perform this on: it comes from a record.");
}

const prototypes = new Map<string, object>();

/** Of what was of a class of that name. */
function prototypeNamed(name: string): object {
  let prototype = prototypes.get(name);
  if (prototype === undefined) {
    // Whoever prints it looks for the class, and whether it is of it.
    const named = { [name]: function () {} }[name] as unknown as { prototype: object };
    prototype = named.prototype;
    prototypes.set(name, prototype);
  }
  return name === "" || name === "Object" ? Object.prototype : prototype;
}

/** What can be done with something itself: calling it, and `new`. */
function callsOf(real: object): readonly string[] {
  if (typeof real !== "function") return [];
  return isConstructor(real) ? [CALL, NEW] : [CALL];
}

/** Runs nothing of it. */
function isConstructor(real: object): boolean {
  try {
    const asked = new Proxy(real as new () => object, { construct: () => ({}) });
    return typeof new asked() === "object";
  } catch {
    return false; // what is no constructor says so by throwing
  }
}

/** As methods are: there is no `new` of it, and no `prototype`. */
function callable(): object {
  return () => undefined;
}

/** An object of the kind of `real`, which prints as it does. */
function shadowOf(real: object): object {
  const prototype = Object.getPrototypeOf(real) as object | null;
  let shadow: object;
  if (typeof real !== "function") shadow = Object.create(prototype) as object;
  else {
    const own = Reflect.getOwnPropertyDescriptor(real, "prototype");
    if (!isConstructor(real)) shadow = callable();
    else if (own === undefined) shadow = function () {}.bind(undefined);
    else shadow = Object.defineProperty(function () {}, "prototype", own);
    Object.setPrototypeOf(shadow, prototype);
  }
  // Whoever prints a Proxy looks at its target, past the traps.
  Object.defineProperty(shadow, inspect.custom, {
    value: (_depth: number, options: InspectOptions, print: typeof inspect) => print(real, options),
    configurable: true,
  });
  return shadow;
}
