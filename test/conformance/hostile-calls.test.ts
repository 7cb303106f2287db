/**
 * G2: values made to break whoever looks at them, through the front door: as arguments and results of a
 * recorded stage, and of an effect. Nothing is thrown, the very value comes back, nothing of it is
 * changed, memory stays bounded, and the capsule can be read.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { hindcast, type HindcastStats, memoryStore, type StoredCapsule } from "hindcast";
import { readCapsule, valueAt } from "hindcast/replay";
import { expect, test } from "vitest";
import { hostileProxy, refuse } from "./outcomes.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const VALUES = isLong ? 10_000 : 2_000;
const QUEUE_BYTES = 16 * 1024 * 1024;
/** What the heap may grow by over all values: the store's ring, and what is not collected yet. */
const HEAP_BYTES = 96 * 1024 * 1024;

const accessor = (get: () => unknown, key = "x"): object =>
  Object.defineProperty({ a: 1 }, key, { get, enumerable: true, configurable: true });

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = "innermost";
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

function detached(length: number): Uint8Array {
  const view = new Uint8Array(length);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

class LyingMap extends Map<unknown, unknown> {
  readonly #size: number;
  constructor(size: number) {
    super([[1, { a: 1 }]]);
    this.#size = size;
  }
  override get size(): number {
    return this.#size;
  }
  override *entries(): ReturnType<Map<unknown, unknown>["entries"]> {
    for (;;) yield [1, 2];
  }
}

class Unconvertible {
  readonly field = 1;
  [Symbol.toPrimitive](): never {
    return refuse();
  }
  toJSON(): never {
    return refuse();
  }
}

/** Those that say they can be waited for: an effect waits for them. */
const thenables = new WeakSet();

/** Builders of one value each, from a number that varies it. */
const builders: readonly ((n: number) => unknown)[] = [
  () => accessor(refuse),
  () => accessor(refuse, "then"),
  () => accessor(refuse, "constructor"),
  () => Object.defineProperty({}, Symbol.asyncIterator, { get: refuse, enumerable: true }),
  () => Object.defineProperty({}, Symbol.iterator, { get: refuse, enumerable: true }),
  (n) => hostileProxy(n % 2 === 0 ? {} : []),
  (n) => revoked([{}, [], () => 1][n % 3] as object),
  () => new Proxy({}, { get: (_target, key) => (key === "then" ? undefined : () => 1), ownKeys: refuse }),
  () => {
    const liar = new Proxy(
      {},
      {
        // What says that it is a stream is one to a recorder, and comes back as another: no value of this test.
        get: (_target, key) => (key === Symbol.asyncIterator ? undefined : () => ({})),
        getPrototypeOf: () => Object.prototype,
        defineProperty: refuse,
      },
    );
    thenables.add(liar);
    return liar;
  },
  () =>
    new Proxy(
      {},
      { get: (_target, key) => (key === Symbol.asyncIterator ? () => ({}) : undefined), ownKeys: refuse },
    ),
  (n) => new Proxy([], { get: (target, key) => (key === "length" ? 2 ** 32 + n : Reflect.get(target, key)) }),
  () => {
    let looks = 0;
    return new Proxy(
      { a: 1 },
      { get: (_target, key) => (key === "then" && looks++ > 0 ? refuse() : undefined) },
    );
  },
  () => Object.create(hostileProxy()) as object,
  (n) =>
    Object.create(
      [Response.prototype, URL.prototype, AbortSignal.prototype, Map.prototype][n % 4] as object,
    ) as object,
  (n) => Object.setPrototypeOf(n % 2 === 0 ? [1, 2] : new Map(), null) as object,
  (n) => detached(1 + (n % 64)),
  (n) => detached(1 + (n % 64)).buffer,
  () => new Array(2 ** 32 - 1),
  () => Object.assign([], { [2 ** 32 - 2]: 1 }),
  () => {
    const cycle: Record<string, unknown> = { list: [] };
    (cycle["list"] as unknown[]).push(cycle, new Map([[cycle, new Set([cycle])]]));
    return cycle;
  },
  (n) => nested(n % 50 === 0 ? 100_000 : 200, (inner) => (n % 2 === 0 ? [inner] : { inner })),
  (n) => Symbol(`s${n}`),
  () => ({ [Symbol("key")]: 1, [Symbol.toPrimitive]: refuse, [Symbol.toStringTag]: "Map" }),
  () => {
    const value: Record<string, unknown> = { a: 1 };
    value["toJSON"] = () => (value["a"] = "changed");
    return value;
  },
  () => JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {}}}') as unknown,
  (n) => `${"\ud800".repeat(1 + (n % 5))}x\udfff`,
  (n) => ({ ["\udc00"]: "\ud83d", n }),
  (n) => "x".repeat(n % 40 === 0 ? 20_000_000 : 100_000),
  () => ({
    *[Symbol.iterator]() {
      for (;;) yield 1;
    },
  }),
  (n) =>
    Object.fromEntries(
      Array.from({ length: n % 10 === 0 ? 10_000 : 50 }, (_, index) => [`k${index}`, index]),
    ),
  (n) => new LyingMap([Number.NaN, -1, 2 ** 40, 0][n % 4] as number),
  () => new Unconvertible(),
  () => Object.defineProperty(new Error("x"), "message", { get: refuse }),
  () => Object.assign(() => 1, { toString: refuse }),
  () => class {},
  (n) => [Object(1n), Object(Symbol("s")), -0, Number.NaN, 2n ** 200n, undefined, null][n % 7],
  () => new WeakMap(),
  () => Object.freeze({ a: Object.freeze([1]) }),
  (n) => runInNewContext(`({ a: [${n}], m: new Map([[1, 2]]), e: new Error("x") })`) as unknown,
  () => Object.assign(new Date(Number.NaN), { getTime: refuse }),
  () => Object.assign(/a/g, { lastIndex: { valueOf: refuse } }),
];

const hostile: fc.Arbitrary<{
  readonly build: () => unknown;
  readonly held: "bare" | "in a list" | "in an object";
}> = fc.record({
  build: fc.tuple(fc.nat(builders.length - 1), fc.nat(1_000)).map(
    ([index, n]) =>
      () =>
        (builders[index] as (n: number) => unknown)(n),
  ),
  held: fc.constantFrom("bare", "in a list", "in an object"),
});

/** What can be told of a value without calling anything of it: enough to see that nobody has touched it. */
function outline(value: unknown): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return typeof value;
  try {
    const keys = Reflect.ownKeys(value);
    return [
      keys.length > 100 ? keys.length : keys.map(String),
      Object.isFrozen(value),
      keys.length > 100 ? "" : keys.map((key) => typeof Object.getOwnPropertyDescriptor(value, key)?.value),
    ];
  } catch {
    return "shows nothing"; // a Proxy that throws
  }
}

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

test(`G2, G8: ${VALUES} hostile values, as arguments and results of stages and effects`, async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): unknown => unhandled.push(reason);
  process.on("unhandledRejection", listen);
  const read: string[] = [];
  const inner = memoryStore({ capacity: 20 });
  const hc = hindcast({
    service: "hostile",
    queueBytes: QUEUE_BYTES,
    logger: { warn: () => undefined },
    store: {
      ...inner,
      async append(capsules: readonly StoredCapsule[]) {
        for (const stored of capsules) {
          const capsule = readCapsule(stored);
          for (const call of capsule.calls) {
            for (const reference of call.input) valueAt(capsule, reference);
            if (call.outcome.status !== "pending") valueAt(capsule, call.outcome.value);
          }
          read.push(capsule.id);
        }
        await inner.append(capsules);
      },
    },
  });
  type Box = { readonly is: unknown };
  const stage = hc.tool({ name: "stage" }, (...input: unknown[]) => input[0]);
  const effect = hc.effect({ name: "effect" }, (...input: unknown[]) => input[0]);
  const later = hc.tool({ name: "later" }, async (value: unknown): Promise<Box> => ({ is: value }));
  const laterEffect = hc.effect(
    { name: "later-effect" },
    async (value: unknown): Promise<Box> => ({ is: value }),
  );
  const flow = hc.pipeline({ name: "flow" }, async (value: unknown, box: Box): Promise<Box> => {
    const direct = thenables.has(Object(box.is) as object) ? value : effect(value);
    const seen = [stage(value), direct, (await later(value)).is, (await laterEffect(value)).is];
    // An effect gives what stands for something live: the matrix says of what. Here nothing may be thrown.
    const changed = seen.findIndex((one, index) => index % 2 === 0 && !Object.is(one, box.is));
    if (changed !== -1) throw new Error(`another value came from call ${changed}`);
    return { is: value };
  });

  const before = heapUsed();
  const begun = performance.now();
  let count = 0;
  try {
    await fc.assert(
      fc.asyncProperty(hostile, async ({ build, held }) => {
        const built = build();
        const value =
          held === "bare" ? built : held === "in a list" ? [built, built] : { built, again: built };
        const outlined = [outline(value), outline(built)];
        expect(Object.is(stage(value), value)).toBe(true);
        expect(Object.is((await flow(value, { is: value })).is, value)).toBe(true);
        expect([outline(value), outline(built)]).toEqual(outlined);
        if (++count % 50 === 0) await hc.flush();
      }),
      { numRuns: VALUES, endOnFailure: true },
    );
    await hc.flush();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", listen);
  }
  const seconds = (performance.now() - begun) / 1000;
  const grown = heapUsed() - before;
  const { runs, capsules, failures }: HindcastStats = hc.stats();
  console.log(
    `${count} hostile values in ${seconds.toFixed(1)} s: ${runs.ended} runs, ${read.length} capsules read, ` +
      `heap ${(grown / 1024 / 1024).toFixed(1)} MiB more, ${capsules.lost.queue} lost to a full queue`,
  );
  expect(unhandled).toEqual([]);
  expect(Object.entries(failures).filter(([source, number]) => number > 0 && source !== "queue")).toEqual([]);
  expect(runs.ended).toBe(runs.started);
  expect(capsules.waiting).toBe(0);
  expect(read.length + capsules.lost.queue).toBe(runs.ended);
  expect(grown).toBeLessThan(HEAP_BYTES);
}, 120_000);
