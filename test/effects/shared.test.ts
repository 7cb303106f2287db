/** `hc.shared`: state that runs share. Each kind is recorded cold and warm, one after the other and many at once. */
import fc from "fast-check";
import { hindcast, type StoredCapsule } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";

const instance = () => hindcast({ service: "s", logger: { warn: () => undefined } });
type Instance = ReturnType<typeof instance>;

async function capsulesOf(hc: Instance): Promise<StoredCapsule[]> {
  await hc.flush();
  const capsules: StoredCapsule[] = [];
  for await (const capsule of hc.store.find()) capsules.push(capsule);
  return capsules;
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 3));

/** A program over state of some kind; `state` is read to see that a replay does not change it. */
interface Program {
  readonly run: (x: number) => Promise<unknown>;
  readonly state: () => unknown;
}

/** As a cache does that is no Map: with private state, a getter, and iterators that are generators. */
class Lru<V> {
  readonly #map = new Map<number, V>();
  readonly max: number;
  constructor(max: number) {
    this.max = max;
  }
  get size(): number {
    return this.#map.size;
  }
  get(key: number): V | undefined {
    const value = this.#map.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }
  set(key: number, value: V): this {
    this.#map.delete(key);
    this.#map.set(key, value);
    const oldest = this.#map.keys().next();
    if (this.#map.size > this.max && oldest.done !== true) this.#map.delete(oldest.value);
    return this;
  }
  *keys(): Generator<number> {
    yield* this.#map.keys();
  }
}

/** As a DataLoader does: what is asked for in one turn is loaded at once, in the scope of whoever asked first. */
class Loader {
  #asked: { key: number; resolve: (value: number) => void }[] = [];
  readonly #load: (keys: readonly number[]) => Promise<readonly number[]>;
  constructor(load: (keys: readonly number[]) => Promise<readonly number[]>) {
    this.#load = load;
  }
  load(key: number): Promise<number> {
    return new Promise((resolve) => {
      this.#asked.push({ key, resolve });
      if (this.#asked.length === 1) queueMicrotask(() => void this.#run());
    });
  }
  async #run(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    const values = await this.#load(asked.map(({ key }) => key));
    for (const [index, { resolve }] of asked.entries()) resolve(values[index] as number);
  }
}

class Client {
  readonly #factor = 2;
  times(x: number): number {
    return this.#factor * x;
  }
}

const PROGRAMS: Readonly<Record<string, (hc: Instance, read: (x: number) => Promise<number>) => Program>> = {
  "a Map": (hc, read) => {
    const state = new Map<number, number>();
    const cache = hc.shared("cache", state);
    const run = async (x: number) => {
      let value = cache.get(x);
      if (value === undefined) expect(cache.set(x, (value = await read(x)))).toBe(cache);
      return [value, cache.size, [...cache.keys()].length, cache.has(0)];
    };
    return { run, state: () => [...state] };
  },
  "a Set, iterated": (hc) => {
    const state = new Set<number>();
    const seen = hc.shared("seen", state);
    const run = async (x: number) => {
      seen.add(x).add(-x);
      const visited: number[] = [];
      seen.forEach((value) => visited.push(value));
      await pause();
      return [visited, [...seen], seen.delete(x)];
    };
    return { run, state: () => [...state] };
  },
  "a WeakMap": (hc) => {
    const keys = [{}, {}, {}];
    const state = new WeakMap<object, number>();
    const counts = hc.shared("counts", state);
    const run = async (x: number) => {
      const key = keys[x % 3] as object;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      await pause();
      return counts.get(key);
    };
    return { run, state: () => keys.map((key) => state.get(key)) };
  },
  "a cache of a class of its own": (hc, read) => {
    const state = new Lru<number>(2);
    const cache = hc.shared("lru", state);
    const run = async (x: number) => {
      const known = cache.get(x);
      if (known === undefined) cache.set(x, await read(x));
      return [cache instanceof Lru, known === undefined, cache.size, [...cache.keys()], cache.max];
    };
    return { run, state: () => [...state.keys()] };
  },
  "a counter": (hc) => {
    const state: { next: number; last?: number } = { next: 0 };
    const counter = hc.shared("counter", state);
    const run = async (x: number) => {
      const mine = counter.next++;
      await pause();
      counter.last = x;
      if (x === 2) delete counter.last;
      return [mine, counter.next, "last" in counter, Object.keys(counter), { ...counter }];
    };
    return { run, state: () => ({ ...state }) };
  },
  "a list": (hc) => {
    const state: number[] = [];
    const recent = hc.shared("recent", state);
    const run = async (x: number) => {
      recent.push(x);
      await pause();
      return [
        Array.isArray(recent),
        recent.length,
        recent[0],
        recent.slice(-2),
        recent.map((one) => one + 1),
      ];
    };
    return { run, state: () => [...state] };
  },
  "a promise that is made once": (hc, read) => {
    const state: { value?: Promise<number> } = {};
    const ready = hc.shared("ready", state);
    const run = async (x: number) => (await (ready.value ??= read(1))) + (await read(x));
    return { run, state: () => state.value };
  },
  "a function that makes once": (hc, read) => {
    let made: Promise<number> | undefined;
    const connect = hc.shared("connect", async () => void (await (made ??= pause().then(() => 1))));
    const load = async (x: number) => {
      await connect();
      return read(x);
    };
    return { run: async (x) => Promise.all([load(x), load(x + 1)]), state: () => made };
  },
  "a client that is made once": (hc, read) => {
    let made: Client | undefined;
    const client = hc.shared("client", () => (made ??= new Client()));
    return { run: async (x) => client().times(await read(x)), state: () => made };
  },
  "a client that is made once, in a promise": (hc, read) => {
    let made: Promise<Client> | undefined;
    const client = hc.shared("client", () => (made ??= pause().then(() => new Client())));
    return { run: async (x) => (await client()).times(await read(x)), state: () => made };
  },
  "a memoised function with members": (hc) => {
    const known = new Map<number, number>();
    const state = Object.assign((x: number) => known.get(x) ?? known.set(x, Math.random()).get(x), {
      clear: () => known.clear(),
    });
    const memoised = hc.shared("memoised", state);
    const run = async (x: number) => {
      if (x === 3) memoised.clear();
      await pause();
      return [memoised(x), memoised(x), memoised.name, memoised.length];
    };
    return { run, state: () => [...known] };
  },
  "a batcher": (hc, read) => {
    const loader = hc.shared("loader", new Loader(async (keys) => Promise.all(keys.map(read))));
    return { run: async (x) => Promise.all([loader.load(x), loader.load(x + 1)]), state: () => loader };
  },
};

describe.each(Object.entries(PROGRAMS))("%s", (_name, make) => {
  test("is recorded and replayed, cold and warm, alone and among others; a replay does not change it", async () => {
    const hc = instance();
    const read = hc.effect({ name: "read" }, async (x: number) => {
      await pause();
      return x + Math.random();
    });
    const program = make(hc, read);
    const entry = hc.pipeline({ name: "entry" }, program.run);
    for (const x of [1, 2, 1, 3]) await entry(x);
    await Promise.all(Array.from({ length: 12 }, (_, index) => entry(index % 4)));
    const capsules = await capsulesOf(hc);
    expect(capsules).toHaveLength(16);
    const before = program.state();
    for (const capsule of capsules) {
      expect(readCapsule(capsule).replayable).toEqual({ exact: true, reasons: [] });
      expect(explain(await replay(capsule, entry))).toContain("verdict   identical");
    }
    expect(program.state()).toEqual(before);
    // In a process in which nothing has been made yet.
    const fresh = instance();
    const gone = fresh.effect({ name: "read" }, async () => Promise.reject<number>(new Error("touched")));
    const again = fresh.pipeline({ name: "entry" }, make(fresh, gone).run);
    for (const capsule of capsules) {
      expect(explain(await replay(capsule, again))).toContain("verdict   identical");
    }
  });
});

test("outside of runs it is the object", () => {
  const hc = instance();
  const state = new Map([[1, 2]]);
  const cache = hc.shared("cache", state);
  expect(cache.set(3, 4)).toBe(cache);
  expect([...state]).toEqual([...cache]);
  expect(cache).toBeInstanceOf(Map);
  expect(Reflect.get(cache, "get")).toBe(Reflect.get(cache, "get"));
  const counter = hc.shared("counter", Object.freeze({ value: 1 }));
  expect({ ...counter }).toEqual({ value: 1 });
  expect(() => Reflect.apply(Object.assign, Object, [counter, { value: 2 }])).toThrow(TypeError);
});

test("a program that does otherwise with it is noticed, and the state is named", async () => {
  const hc = instance();
  const cache = hc.shared("cache", new Map<number, number>());
  let shift = 0;
  const entry = hc.pipeline({ name: "entry" }, (x: number) => {
    cache.set(x + shift, x);
    return cache.get(x + shift);
  });
  entry(1);
  const [capsule] = await capsulesOf(hc);
  shift = 1;
  expect(await replay(capsule as StoredCapsule, entry)).toMatchObject({
    verdict: "diverged",
    divergence: { effect: "cache.set", point: "effect-input" },
  });
  expect(cache.has(2)).toBe(false);
});

test("a mistake is told", () => {
  const hc = instance();
  expect(() => hc.shared("", new Map())).toThrow(/needs a name/);
  expect(() => hc.shared("n", 1 as never)).toThrow(/was given number.*hc\.shared\(name, \{ value \}\)/);
  expect(() => hc.shared("n", null as never)).toThrow(/was given null/);
});

test("random uses of a Map give what a Map gives, recorded, and in a replay without it", async () => {
  const use = fc.record({
    key: fc.nat(3),
    value: fc.integer(),
    what: fc.constantFrom("get", "set", "has", "delete", "size", "entries", "clear"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(use, { maxLength: 30 }), async (uses) => {
      const apply = (map: Map<number, number>): unknown[] =>
        uses.map(({ key, value, what }) => {
          if (what === "size") return map.size;
          if (what === "entries") return [...map.entries()];
          if (what === "set") return map.set(key, value) === map;
          if (what === "clear") return map.clear();
          return map[what](key);
        });
      const hc = instance();
      const entry = hc.pipeline({ name: "entry" }, () => apply(shared));
      const shared = hc.shared("map", new Map<number, number>());
      const outside = apply(new Map());
      expect(entry()).toEqual(outside);
      const [capsule] = await capsulesOf(hc);
      shared.clear();
      shared.set(0, 123);
      expect(await replay(capsule as StoredCapsule, entry)).toMatchObject({ verdict: "identical" });
      expect([...shared]).toEqual([[0, 123]]);
    }),
    { numRuns: 60 },
  );
});
