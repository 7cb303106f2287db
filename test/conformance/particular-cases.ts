/** Functions that are a kind of their own: those that call themselves, are constructed, change what they are given. */
import { attempt, type Case, settled, tick, ticks, type Trial } from "./trial.js";

// Methods are taken off their classes here, to be put back wrapped.
/* oxlint-disable typescript/unbound-method */

function one(callable: string, ending: string, play: (trial: Trial) => Promise<void>, open = false): Case {
  return { callable, ending, play, open };
}

const given = (...parts: unknown[]): string => parts.map(String).join(" ");

export const particularCases: readonly Case[] = [
  one("recursive function", "returns", async ({ wrap, note, log }) => {
    const factorial: (n: number) => number = wrap(
      (n: number): number => {
        log(`called with ${n}`);
        return n <= 1 ? 1 : n * factorial(n - 1);
      },
      { name: "factorial" },
    );
    note("result", factorial(6));
  }),
  one("recursive function", "throws from its depth", async ({ wrap, note }) => {
    const error = new Error("deep");
    const dive: (n: number) => number = wrap(
      (n: number): number => {
        if (n === 0) throw error;
        return dive(n - 1);
      },
      { name: "dive" },
    );
    note("the very error", (attempt(() => dive(400)) as { value?: unknown }).value === error);
  }),
  one("recursive async function", "resolves", async ({ wrap, note, log }) => {
    const walk: (n: number) => Promise<number> = wrap(
      async (n: number): Promise<number> => {
        log(`called with ${n}`);
        await tick();
        return n === 0 ? 0 : 1 + (await walk(n - 1));
      },
      { name: "walk" },
    );
    note("result", await settled(walk(3)).then((ended) => (ended as { value?: unknown }).value));
  }),
  one("mutually recursive functions", "return", async ({ wrap, note, log }) => {
    const isEven: (n: number) => boolean = wrap(
      (n: number): boolean => {
        log(`even ${n}`);
        return n === 0 || isOdd(n - 1);
      },
      { name: "even" },
    );
    const isOdd: (n: number) => boolean = wrap(
      (n: number): boolean => {
        log(`odd ${n}`);
        return n !== 0 && isEven(n - 1);
      },
      { name: "odd" },
    );
    note("result", [isEven(10), isOdd(10)]);
  }),
  one("re-entrant function", "calls itself while it is waited for", async ({ wrap, note, log }) => {
    let inside = 0;
    const enter: (again: boolean) => Promise<number> = wrap(
      async (again: boolean): Promise<number> => {
        inside += 1;
        log(`inside ${inside}`);
        await tick();
        const inner = again ? await enter(false) : 0;
        inside -= 1;
        return inner + 1;
      },
      { name: "enter" },
    );
    const ends = await Promise.all([enter(true), enter(false)].map(settled));
    note(
      "results",
      ends.map((ended) => (ended as { value?: unknown }).value),
    );
    note("inside", inside);
  }),
  one("overloaded function", "returns by what it is given", async ({ wrap, note }) => {
    function overloaded(x: number): number;
    function overloaded(x: string, y: string): string;
    function overloaded(...input: (number | string)[]): number | string {
      return input.length === 1 ? Number(input[0]) + 1 : input.join("+");
    }
    const wrapped = wrap(overloaded, { name: "overloaded" });
    note("results", [wrapped(1), wrapped("a", "b")]);
  }),
  one("generic function", "returns what it is given", async ({ wrap, note }) => {
    const identity = wrap(<T>(value: T): T => value, { name: "identity" });
    const value = { a: 1 };
    note("the very value", [identity(value) === value, identity(5), identity(undefined)]);
  }),
  one("function that looks at `arguments`", "returns", async ({ wrap, note }) => {
    function look(this: unknown): unknown[] {
      // oxlint-disable-next-line prefer-rest-params
      return [arguments.length, Array.from(arguments).map(String), this === undefined];
    }
    const wrapped = wrap(look as (...input: unknown[]) => unknown, { name: "look" });
    note("arguments", [wrapped(), wrapped(undefined), wrapped(1, undefined)]);
  }),
  one("function that changes its argument", "returns it", async ({ wrap, note }) => {
    const value = { list: [1], map: new Map([[1, { a: 1 }]]), bytes: new Uint8Array([1, 2]) };
    const change = wrap(
      (one_: typeof value) => {
        one_.list.push(2);
        one_.map.set(2, { a: 2 });
        one_.bytes[0] = 9;
        return one_;
      },
      { name: "change" },
    );
    note("the very value", change(value) === value);
    note("changed", [value.list, [...value.map.keys()], [...value.bytes]]);
  }),
  one("function of frozen arguments", "returns them", async ({ wrap, note }) => {
    const value = Object.freeze({ nested: Object.freeze([1]) });
    const give = wrap((...input: unknown[]) => input, { name: "give" });
    const [got, list] = give(value, value.nested);
    note("the very values", [got === value, list === value.nested]);
  }),
  one("function of options with a signal", "returns them", async ({ wrap, note }) => {
    const { signal } = new AbortController();
    const key = Symbol("key");
    const value = Object.defineProperty({ signal, a: 1, [key]: 2 }, "hidden", {
      value: 3,
      enumerable: false,
    });
    const give = wrap((options: typeof value) => options, { name: "give" });
    const got = give(value) as typeof value & { hidden?: number };
    note("the very options", got === value);
    note("members", [got.a, got[key], got.hidden, got.signal instanceof AbortSignal]);
  }),
  one("function of options with a signal", "whose getter throws", async ({ wrap, note }) => {
    const { signal } = new AbortController();
    const value = {
      signal,
      get broken(): never {
        throw new Error("getter");
      },
    };
    const give = wrap((_options: object) => "given", { name: "give" });
    note(
      "call",
      attempt(() => give(value)),
    );
  }),
  one("function that leaves a signal behind", "is aborted after its end", async ({ wrap, note, log }) => {
    const [listening, holding] = [new AbortController(), new AbortController()];
    let held: AbortSignal | undefined;
    const begin = wrap(
      (listened: AbortSignal, options: { signal: AbortSignal }) => {
        listened.addEventListener("abort", () => log(`heard: ${String(listened.reason)}`));
        held = options.signal;
      },
      { name: "begin" },
    );
    begin(listening.signal, { signal: holding.signal });
    await tick();
    listening.abort("first");
    holding.abort("second");
    await ticks(2);
    note("held", [held?.aborted, held?.reason]);
  }),
  one("function made to be used with `new`", "constructs", async ({ wrap, note }) => {
    function Point(this: { x: number }, x: number): void {
      note("new.target is a function", typeof new.target);
      this.x = x;
    }
    Point.prototype = { norm: () => 1 };
    const Wrapped = wrap(Point, { name: "Point" }) as unknown as new (
      x: number,
    ) => { x: number; norm(): number };
    const ended = attempt(() => new Wrapped(3));
    note("how", ended.how);
    if (ended.how !== "returned") return;
    const point = ended.value as { x: number; norm(): number };
    note("instance", [point.x, point.norm(), point instanceof Wrapped, point instanceof (Point as never)]);
  }),
  one("class", "constructs, is extended, and refuses to be called", async ({ wrap, note }) => {
    class Point {
      readonly #x: number;
      static readonly origin = 0;
      constructor(x: number) {
        this.#x = x;
      }
      get x(): number {
        return this.#x;
      }
    }
    const Wrapped = wrap(Point as unknown as () => unknown, { name: "Point" }) as unknown as typeof Point;
    const called = attempt(() => (Wrapped as unknown as () => unknown)());
    note("called", [called.how, called.how === "threw" && called.value instanceof TypeError]);
    const ended = attempt(() => {
      class Derived extends Wrapped {
        get doubled(): number {
          return this.x * 2;
        }
      }
      const derived = new Derived(4);
      return given(derived.doubled, derived instanceof Wrapped, derived instanceof Point, Wrapped.origin);
    });
    note("derived", ended);
  }),
  one("function that others are derived from", "is called by both", async ({ wrap, note }) => {
    const calls: unknown[] = [];
    class Base {
      run(x: number): unknown {
        calls.push(this.constructor.name, x);
        return this;
      }
    }
    Base.prototype.run = wrap(Base.prototype.run, { name: "run" });
    class Derived extends Base {
      override run(x: number): unknown {
        return super.run(x + 1);
      }
    }
    const derived = new Derived();
    note("this", [derived.run(1) === derived, calls]);
  }),
  one("two functions at once", "settle in the order of their work", async ({ wrap, note, log }) => {
    const slow = wrap(
      async (rounds: number) => {
        for (let round = 0; round < rounds; round++) await tick();
        log(`after ${rounds}`);
        return rounds;
      },
      { name: "slow" },
    );
    const ends = await Promise.all([slow(6), slow(1), slow(3)].map(settled));
    note(
      "results",
      ends.map((ended) => (ended as { value?: unknown }).value),
    );
  }),
  one("function that gives one promise to all", "resolves", async ({ wrap, note }) => {
    const value = { a: 1 };
    const shared = Promise.resolve(value);
    const get = wrap(() => shared, { name: "get" });
    const [a, b] = [get(), get()];
    note("the very promise", a === shared && b === shared);
    note("the very value", [(await a) === value, (await b) === value]);
  }),
  one("function that gives one promise of a subclass to all", "resolves", async ({ wrap, note }) => {
    class Own extends Promise<unknown> {}
    const value = { a: 1 };
    const shared = Own.resolve(value);
    const get = wrap(() => shared, { name: "get" });
    const all = Array.from({ length: 2_000 }, () => get());
    note(
      "the very promise",
      all.every((promise) => promise === shared),
    );
    note("the very value", [(await get()) === value, (await all[0]) === value, (await get()) === value]);
  }),
];
