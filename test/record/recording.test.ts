/** What a recording holds: values as they crossed the boundary (G3), within limits (G8), or marked. */
import { type Hindcast, hindcast, type Limits } from "hindcast";
import { type Capsule, Marker, replay, valueAt } from "hindcast/replay";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callsOf, effectsOf, onlyCapsuleOf, storedBy } from "./recorded.js";

describe("G3: what was recorded is what was passed", () => {
  interface Order {
    items: { price: number }[];
    at: Date;
    weights: Float32Array;
    tags: Set<string>;
    prices: Map<string, number[]>;
    bytes: ArrayBuffer;
  }
  const order = (): Order => ({
    items: [{ price: 1 }, { price: 2 }],
    at: new Date(0),
    weights: Float32Array.of(1, 2),
    tags: new Set(["a"]),
    prices: new Map([["a", [1]]]),
    bytes: new ArrayBuffer(2),
  });
  const ruin = (value: Order): void => {
    value.items.pop();
    for (const item of value.items) item.price = -1;
    value.at.setTime(99);
    value.weights.fill(0);
    value.tags.clear();
    value.prices.get("a")?.push(2);
    new Uint8Array(value.bytes).fill(255);
    Object.assign(value, { more: true });
  };

  test("inputs and results of stages, whoever changes them later", async () => {
    const hc = hindcast({ service: "recording" });
    const inner = hc.tool({ name: "inner" }, (given: Order) => {
      ruin(given);
      return order();
    });
    const flow = hc.pipeline({ name: "flow" }, (given: Order) => {
      const result = inner(given);
      ruin(result);
      return result;
    });
    ruin(flow(order()));
    const capsule = await onlyCapsuleOf(hc);
    expect(callsOf(capsule, "inner")).toEqual([
      { input: [order()], outcome: { status: "ok", value: order() } },
    ]);
    const ruined = order();
    ruin(ruined);
    expect(callsOf(capsule, "flow")).toEqual([
      { input: [order()], outcome: { status: "ok", value: ruined } },
    ]);
  });

  test("inputs and results of effects, and what they are rejected with", async () => {
    const hc = hindcast({ service: "recording" });
    const fetchIt = hc.effect({ name: "fetch" }, async (given: Order) => {
      ruin(given);
      return order();
    });
    const fail = hc.effect({ name: "fail" }, async () => {
      throw Object.assign(new Error("failed"), { order: order() });
    });
    const flow = hc.pipeline({ name: "flow" }, async () => {
      ruin(await fetchIt(order()));
      await fail().catch((error: { order: Order }) => ruin(error.order));
    });
    await flow();
    const [first, second] = effectsOf(await onlyCapsuleOf(hc));
    expect(first).toEqual({ name: "fetch", input: [order()], outcome: { status: "ok", value: order() } });
    expect(second?.outcome).toMatchObject({ status: "error", value: { order: order() } });
  });
});

function limited(limits: Partial<Limits>): Hindcast {
  return hindcast({ service: "recording", limits });
}

function markersIn(capsule: Capsule): Marker[] {
  const found: Marker[] = [];
  const look = (value: unknown): void => {
    if (value instanceof Marker) found.push(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(look);
  };
  for (const index of capsule.values.keys()) look(valueAt(capsule, index));
  return found;
}

describe("G8: limits mark in place what they cut", () => {
  test("valueBytes: the head of a text, with how much there was", async () => {
    const hc = limited({ valueBytes: 1_000 });
    const long = "x".repeat(5_000);
    expect(hc.tool({ name: "s" }, (text: string) => text.length)(long)).toBe(5_000);
    const capsule = await onlyCapsuleOf(hc);
    const [marker] = markersIn(capsule);
    expect(marker).toMatchObject({ reason: "bytes", size: 5_000 });
    expect(String(marker?.kept).length).toBeGreaterThan(500);
    expect(long.startsWith(String(marker?.kept))).toBe(true);
  });

  test("entries and depth: the rest of the value is there", async () => {
    const hc = limited({ entries: 3, depth: 4 });
    const value = { list: [1, 2, 3, 4, 5], deep: { a: { b: { c: { d: 1 } } } }, last: "here" };
    hc.tool({ name: "s" }, (given: object) => Object.keys(given))(value);
    const capsule = await onlyCapsuleOf(hc);
    const [call] = callsOf(capsule, "s");
    expect(call?.input[0]).toMatchObject({ list: expect.arrayContaining([1, 2, 3]), last: "here" });
    expect(
      markersIn(capsule)
        .map((marker) => marker.reason)
        .sort(),
    ).toEqual(["depth", "entries"]);
  });

  test("capsuleBytes: later values are markers, and the structure of the run is whole", async () => {
    const hc = limited({ capsuleBytes: 4_000 });
    const step = hc.tool({ name: "step" }, (index: number) => String(index).repeat(1_000));
    hc.pipeline({ name: "flow" }, () => {
      for (let index = 0; index < 10; index++) step(index);
    })();
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.calls).toHaveLength(11);
    expect(callsOf(capsule, "step")[0]?.outcome).toEqual({ status: "ok", value: "0".repeat(1_000) });
    expect(callsOf(capsule, "step")[9]?.outcome).toMatchObject({ value: { reason: "capsule" } });
    const [stored] = await storedBy(hc);
    expect(stored?.bytes.byteLength).toBeLessThan(10_000);
  });

  test("capsuleBytes bound a run of very many calls, too", async () => {
    const hc = limited({ capsuleBytes: 20_000 });
    const step = hc.tool({ name: "step" }, (index: number) => index);
    const flow = hc.pipeline({ name: "flow" }, () => {
      for (let index = 0; index < 20_000; index++) step(index);
      return "done";
    });
    expect(flow()).toBe("done");
    const [stored] = await storedBy(hc);
    // Twice the limit leaves room for what a capsule says of itself and of what it lost.
    expect(stored?.bytes.byteLength).toBeLessThan(40_000);
  });

  test("whatever the limits and the value, the capsule can be read, and is bounded", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        fc.record({
          depth: fc.integer({ min: 1, max: 6 }),
          entries: fc.integer({ min: 1, max: 6 }),
          valueBytes: fc.integer({ min: 1, max: 200 }),
          capsuleBytes: fc.integer({ min: 1, max: 400 }),
        }),
        async (value, limits) => {
          const hc = limited(limits);
          const stage = hc.tool({ name: "s" }, (given: unknown) => given);
          expect(stage(value)).toBe(value);
          const [stored] = await storedBy(hc);
          const capsule = await onlyCapsuleOf(hc);
          expect(capsule.calls).toHaveLength(1);
          for (const index of capsule.values.keys()) valueAt(capsule, index);
          // What a capsule holds besides its values: names, environment, limits, reasons.
          expect(stored?.bytes.byteLength).toBeLessThan(6_000);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("G7: replayable.exact says whether all is there that a replay needs", () => {
  test("a root's input that was cut as a whole: no, with the reason, also in the summary", async () => {
    const hc = limited({ valueBytes: 100 });
    hc.pipeline({ name: "flow" }, (text: string) => text.length)("x".repeat(200));
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.replayable.exact).toBe(false);
    expect(capsule.replayable.reasons).toMatchObject([
      { code: "lost", name: "flow", message: expect.stringMatching(/input of "flow".*bytes/) },
    ]);
    expect((await storedBy(hc))[0]?.summary.exact).toBe(false);
  });

  test("an effect's result that was cut, or cannot be written down as a whole: no", async () => {
    const hc = limited({ valueBytes: 100 });
    const text = hc.effect({ name: "text" }, async () => "x".repeat(200));
    const lost = hc.effect({ name: "lost" }, () => new WeakMap());
    await hc.pipeline({ name: "flow" }, async () => [lost(), await text()].length)();
    const { replayable } = await onlyCapsuleOf(hc);
    expect(replayable.exact).toBe(false);
    expect(replayable.reasons.map(({ code, name }) => [code, name])).toEqual([
      ["lost", "lost"],
      ["lost", "text"],
    ]);
  });

  test("parts that were cut, or cannot be written down: yes, since a replay hears of one that reads them", async () => {
    const hc = limited({ entries: 5 });
    const rows = hc.effect({ name: "rows" }, async () => Array.from({ length: 10 }, (_, index) => index));
    const row = hc.effect({ name: "row" }, () => [{ close: () => 1, key: Symbol("key") }]);
    await hc.pipeline({ name: "flow" }, async () => [row(), await rows()].length)();
    expect((await onlyCapsuleOf(hc)).replayable).toEqual({ exact: true, reasons: [] });
  });

  test("an entry of a Map or a Set that cannot be written down: no, since nobody would hear of it", async () => {
    const hc = limited({});
    const get = hc.effect({ name: "get" }, () => new Map([["close", () => 1]]));
    hc.pipeline({ name: "flow" }, () => get().size)();
    const { replayable } = await onlyCapsuleOf(hc);
    expect(replayable.reasons).toMatchObject([{ code: "lost", name: "get" }]);
  });

  test("a class of the language's that a replay cannot give back: no, and what to do about it", async () => {
    class Row extends Map<string, number> {}
    const run = async (options: { classes?: readonly (new () => Row)[] }): Promise<Capsule> => {
      const hc = hindcast({ service: "recording", ...options });
      const row = hc.effect({ name: "row" }, async () => new Row());
      await hc.pipeline({ name: "flow" }, () => row())();
      return onlyCapsuleOf(hc);
    };
    const { replayable } = await run({});
    expect(replayable).toMatchObject({
      exact: false,
      reasons: [
        { code: "class", name: "row", message: expect.stringMatching(/Row.*hindcast\(\{ classes \}\)/) },
      ],
    });
  });

  test("what the program makes itself may be cut: the replay makes it again", async () => {
    const hc = limited({ valueBytes: 100 });
    const stage = hc.tool({ name: "stage" }, (n: number) => "x".repeat(n));
    const flow = hc.pipeline({ name: "flow" }, (n: number) => stage(n));
    expect(flow(500)).toHaveLength(500);
    expect((await onlyCapsuleOf(hc)).replayable).toEqual({ exact: true, reasons: [] });
    const [stored] = await storedBy(hc);
    expect((await replay(stored!, flow)).verdict).toBe("identical");
  });

  test("many losses give a bounded list of reasons", async () => {
    const hc = limited({ valueBytes: 10 });
    const effect = hc.effect({ name: "effect" }, () => "x".repeat(100));
    hc.pipeline({ name: "flow" }, () => {
      for (let index = 0; index < 500; index++) effect();
    })();
    const { replayable } = await onlyCapsuleOf(hc);
    expect(replayable.exact).toBe(false);
    expect(replayable.reasons.length).toBeLessThan(50);
  });
});

test("G2: values that resist being looked at do not reach the caller", async () => {
  const trap = (): never => {
    throw new Error("trap");
  };
  const hostile: readonly (() => unknown)[] = [
    () => new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap, has: trap }),
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
    () => ({
      get field() {
        return trap();
      },
      kept: 1,
    }),
    () => Object.create(null, { constructor: { get: trap } }) as unknown,
    () => ({ toJSON: trap, toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap }),
    () => {
      const cycle: unknown[] = [];
      cycle.push(cycle);
      return cycle;
    },
    () => Object.assign([1, 2], { length: 2 ** 32 - 1 }),
    () => Array.from({ length: 5_000 }).reduce<unknown>((inner) => ({ inner }), 1),
    () => Symbol("s"),
    () => class extends Map {},
    () =>
      new (class extends Map {
        override entries(): never {
          return trap();
        }
        override get size(): never {
          return trap();
        }
      })(),
  ];
  for (const make of hostile) {
    const hc = hindcast({ service: "recording" });
    const value = make();
    const stage = hc.tool({ name: "s" }, (given: { is: unknown }) => given.is);
    expect(Object.is(stage({ is: value }), value)).toBe(true);
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.calls).toHaveLength(1);
    expect(hc.stats().failures).toMatchObject({ listener: 0, codec: 0 });
  }
});

test("G8: values of equal content are in a capsule once", async () => {
  const hc = hindcast({ service: "recording" });
  const pass = hc.tool({ name: "pass" }, (value: unknown) => value);
  hc.pipeline({ name: "flow" }, (value: unknown) => pass(pass(structuredClone(value))))({ big: [1, 2, 3] });
  expect((await onlyCapsuleOf(hc)).values).toHaveLength(1);
});

test("what the capsule says of where it comes from", async () => {
  const hc = hindcast({ service: { name: "loan-approval", version: "1.4.2" }, seed: 8 });
  const before = Date.now();
  hc.pipeline({ name: "flow" }, () => 1)();
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule).toMatchObject({
    service: { name: "loan-approval", version: "1.4.2" },
    pipeline: "flow",
    seed: 8,
    kept: "all",
    trace: undefined,
    writer: expect.stringMatching(/^hindcast \d/),
  });
  expect(capsule.startedAt).toBeGreaterThanOrEqual(before);
  expect(capsule.startedAt).toBeLessThanOrEqual(Date.now());
  expect((await storedBy(hc))[0]?.summary).toMatchObject({
    service: "loan-approval",
    startedAt: capsule.startedAt,
  });
});
