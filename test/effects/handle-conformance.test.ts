/** G1, G2: what is live and odd is, by its handle, as it is without the library. */
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { hindcast } from "../../src/index.js";
import { replay } from "../../src/replay/index.js";

class Counter {
  static readonly first = 1;
  static of(): Counter {
    return new this();
  }
  #count = 0;
  get count(): number {
    return this.#count;
  }
  up(): number {
    return ++this.#count;
  }
}
class Derived extends Counter {
  extra = 1;
}
function add(left: number, right: number): number {
  return left + right;
}
const fail = (): never => {
  throw new RangeError("trap");
};
const hostile: ProxyHandler<object> = {
  get: fail,
  has: fail,
  ownKeys: fail,
  getPrototypeOf: fail,
  getOwnPropertyDescriptor: fail,
  isExtensible: fail,
};
function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}
const withMethods = (): { a: number; f: () => number } => ({ a: 1, f: () => 2 });

/** What is seen, or what kind of error is thrown: how V8 words the error of a Proxy is its own. */
function seen(look: () => unknown): unknown {
  try {
    return look();
  } catch (error) {
    return (error as Error).name;
  }
}

interface Case {
  readonly name: string;
  /** Whether the replay is identical, too. */
  readonly replays: boolean;
  readonly perform: (ask: <T>(make: () => T) => T) => unknown;
}

function look<T>(name: string, make: () => T, see: (value: T) => unknown, replays = true): Case {
  return { name, replays, perform: (ask) => seen(() => see(ask(make))) };
}

const cases: readonly Case[] = [
  look(
    "a function",
    () => add,
    (f) => [f(1, 2), f.name, f.length, typeof f, f.bind(null, 1)(2)],
  ),
  look(
    "a function: the same each time",
    () => add,
    (f) => [f === f, new Set([f, f]).size],
  ),
  look(
    "no constructor",
    () => () => 1,
    (f) => Reflect.construct(f, []),
    false,
  ),
  look(
    "a bound function",
    () => add.bind(null, 1),
    (f) => [f(2), f.name, f.length],
  ),
  look(
    "a bound function: no prototype",
    () => add.bind(null, 1),
    (f) => "prototype" in f,
    false,
  ),
  look(
    "a class: new",
    () => Counter,
    (Class) => new Class().up(),
  ),
  look(
    "a class: static members",
    () => Counter,
    (Class) => [Class.first, Class.of().up(), Class.name],
  ),
  look(
    "a class: call",
    () => Counter,
    (Class) => Reflect.apply(Class as unknown as () => unknown, undefined, []),
  ),
  look(
    "a class: instanceof",
    () => Counter,
    (Class) => new Class() instanceof Class,
    false,
  ),
  look(
    "a class: constructor",
    () => Counter,
    (Class) => new Class().constructor === Class,
    false,
  ),
  look(
    "a class: extends",
    () => Counter,
    (Class) => {
      class More extends Class {
        readonly own = 2;
      }
      const more = new More();
      return [more.up(), more.own, more instanceof Class, more instanceof More];
    },
    false,
  ),
  look(
    "a derived class",
    () => Derived,
    (Class) => [new Class().up(), Class.first, Object.hasOwn(Class, "first")],
    false,
  ),
  look(
    "a frozen class: new",
    () =>
      Object.freeze(
        class {
          m(): number {
            return 4;
          }
        },
      ),
    (Class) => new Class().m(),
  ),
  look(
    "an instance",
    () => new Counter(),
    (one) => [one.count, one.up(), one.count, Object.keys(one)],
  ),
  look(
    "printed",
    () => Object.freeze(new Derived()),
    (one) => inspect(one),
    false,
  ),
  look(
    "frozen",
    () => Object.freeze(withMethods()),
    (one) => [one.f(), one.a, { ...one }.a, JSON.stringify(one)],
  ),
  look(
    "frozen: asked",
    () => Object.freeze(withMethods()),
    (one) => [Object.isFrozen(one), Object.isExtensible(one), Object.keys(one), one.f === one.f],
    false,
  ),
  look(
    "frozen: set",
    () => Object.freeze(withMethods()),
    (one) => Object.assign(one, { a: 2 }),
    false,
  ),
  look(
    "frozen: define",
    () => Object.freeze(withMethods()),
    (one) => Object.defineProperty(one, "z", { value: 1 }),
    false,
  ),
  look(
    "frozen: delete",
    () => Object.freeze(withMethods()),
    (one) => Reflect.deleteProperty(one, "a"),
    false,
  ),
  look(
    "frozen: prototype",
    () => Object.freeze(withMethods()),
    (one) => Reflect.setPrototypeOf(one, null),
    false,
  ),
  look(
    "sealed",
    () => Object.seal(new Derived()),
    (one) => [one.up(), (one.extra = 5), one.extra, Object.isSealed(one)],
    false,
  ),
  look(
    "not extensible",
    () =>
      Object.preventExtensions(function named() {
        return 3;
      }),
    (f) => [f(), f.name, Object.isExtensible(f)],
    false,
  ),
  look(
    "frozen by the program",
    withMethods,
    (one) => [
      Object.isFrozen(Object.freeze(one)),
      one.a,
      one.f(),
      Object.keys(one),
      inspect(one).includes("a: 1"),
    ],
    false,
  ),
  look(
    "locked by the program",
    withMethods,
    (one) => [Object.defineProperty(one, "a", { value: 9, writable: false, configurable: false }).a, one.f()],
    false,
  ),
  {
    name: "frozen by whoever gave it, later",
    replays: true,
    perform: (ask) => {
      const real = withMethods();
      const one = ask(() => real);
      ask(() => void Object.freeze(real));
      return seen(() => [one.a, one.f()]);
    },
  },
  look(
    "a getter that throws",
    () => ({
      get bad(): number {
        return fail();
      },
      ok: () => 1,
    }),
    (one) => [one.ok(), seen(() => one.bad)],
    false,
  ),
  look(
    "a getter that counts",
    () => {
      let count = 0;
      return {
        get next(): number {
          return ++count;
        },
        count: () => count,
      };
    },
    (one) => [one.next, one.next, one.count()],
  ),
  look(
    "node:vm: a function",
    () => runInNewContext("(function f(a) { return a * 2 })") as (a: number) => number,
    (f) => [f(2), f.name],
  ),
  look(
    "node:vm: a class",
    () => runInNewContext("(class V { #p = 1; p() { return this.#p } })") as new () => { p(): number },
    (Class) => new Class().p(),
  ),
  look(
    "node:vm: an object",
    () => runInNewContext("({ a: 1, f() { return this.a } })") as { f(): number },
    (one) => one.f(),
  ),
  look(
    "revoked: an object",
    () => revoked({ a: 1 }),
    (one) => [typeof one, seen(() => one.a), seen(() => Object.getPrototypeOf(one) as unknown)],
    false,
  ),
  look(
    "revoked: a function",
    () => revoked(() => 1),
    (f) => [typeof f, seen(f), seen(() => f.name)],
    false,
  ),
  look(
    "revoked: a class",
    () => revoked(Counter),
    (Class) => new Class(),
    false,
  ),
  look(
    "revoked: an array",
    () => revoked([1]),
    (list) => [seen(() => list.length), seen(() => Array.isArray(list))],
    false,
  ),
  look(
    "a Proxy that throws",
    () => new Proxy({ a: 1 }, hostile) as { a: number },
    (one) => [seen(() => one.a), seen(() => "a" in one), seen(() => Object.keys(one))],
    false,
  ),
  look(
    "a function's Proxy that throws",
    () => new Proxy(() => 6, hostile) as () => number,
    (f) => [f(), seen(() => f.name)],
    false,
  ),
];

describe("G1, G2: seen by its handle", () => {
  test.each(cases)("$name", async ({ perform, replays }) => {
    const hc = hindcast({ service: "conformance" });
    // Set from outside: a function among the arguments of an effect is lent to it.
    let make: () => unknown = () => undefined;
    const give = hc.effect({ name: "give" }, () => make());
    const flow = hc.pipeline({ name: "flow" }, () =>
      perform((own) => {
        make = own;
        return give() as ReturnType<typeof own>;
      }),
    );
    const recorded = flow();
    expect(recorded).toEqual(perform((own) => own()));
    await hc.flush();
    let count = 0;
    for await (const stored of hc.store.find()) {
      count += 1;
      const { verdict } = await replay(stored, flow, { patience: 100 });
      if (replays) expect(verdict).toBe("identical");
    }
    expect(count).toBe(1);
    await hc.close();
  });
});
