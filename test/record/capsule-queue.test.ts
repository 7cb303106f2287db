/** From kept runs to the store: nothing that happens there reaches a caller (G2), and every run is counted (G9). */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import {
  type Failure,
  type Hindcast,
  hindcast,
  type HindcastOptions,
  keep,
  memoryStore,
  type Store,
} from "hindcast";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { storedBy } from "./recorded.js";
import { gatedStore, storeThat } from "./stores.js";

const model = { name: "m", version: "1" };
const silent = { onError: (): void => undefined } as const;

function runs(hc: Hindcast, count: number): void {
  const flow = hc.pipeline({ name: "flow" }, (index: number) => index);
  for (let index = 0; index < count; index++) expect(flow(index)).toBe(index);
}

/** Every run that has ended is in exactly one place. */
function expectToAddUp(hc: Hindcast): void {
  const { runs: counted, capsules } = hc.stats();
  const { queue, codec, store } = capsules.lost;
  expect(counted.discarded + capsules.waiting + capsules.stored + queue + codec + store).toBe(counted.ended);
}

const failing: readonly (readonly [string, () => Promise<void>])[] = [
  ["rejects", () => Promise.reject(new Error("disk full"))],
  [
    "throws synchronously",
    () => {
      throw new Error("disk full");
    },
  ],
  ["rejects with undefined", () => Promise.reject(undefined)],
  ["rejects late", () => sleep(5).then(() => Promise.reject(new Error("disk full")))],
];

describe.each(failing)("a store that %s", (_how, append) => {
  test("the caller is untouched, and the runs are counted as lost", async () => {
    const failures: Failure[] = [];
    const hc = hindcast({
      service: "queue",
      store: storeThat(append),
      onError: (failure) => void failures.push(failure),
    });
    runs(hc, 20);
    await hc.flush();
    runs(hc, 20);
    await hc.flush();
    expect(hc.stats()).toMatchObject({
      runs: { started: 40, ended: 40, discarded: 0 },
      capsules: { waiting: 0, stored: 0, storedBytes: 0, lost: { queue: 0, codec: 0, store: 40 } },
    });
    expect(failures).toMatchObject([{ source: "store", message: expect.stringContaining("lost") }]);
    expect(hc.stats().failures.store).toBeGreaterThanOrEqual(2);
  });
});

test("a store that recovers stores what comes after", async () => {
  let down = true;
  const store = storeThat((keepIt) => (down ? Promise.reject(new Error("down")) : keepIt()));
  const hc = hindcast({ service: "queue", store, ...silent });
  runs(hc, 3);
  await hc.flush();
  down = false;
  runs(hc, 2);
  await hc.flush();
  expect(hc.stats().capsules).toMatchObject({ stored: 2, lost: { store: 3 } });
  expect(await storedBy(hc)).toHaveLength(2);
});

test("a store that is slow holds no caller up, and everything arrives in order", async () => {
  const gate = gatedStore();
  const hc = hindcast({ service: "queue", store: gate.store });
  runs(hc, 1);
  await expect.poll(gate.waiting).toBe(1);
  runs(hc, 50);
  const ids: string[] = [];
  const flow = hc.pipeline({ name: "flow" }, async () => {
    ids.push(hc.current()?.id ?? "");
    await Promise.resolve();
  });
  for (let index = 0; index < 10; index++) await flow();
  expect(hc.stats().runs.ended).toBe(61);
  expectToAddUp(hc);
  gate.open();
  await hc.flush();
  expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 61 });
  expect((await storedBy(hc)).slice(51).map(({ summary }) => summary.id)).toEqual(ids);
});

describe("runs go to the store together", () => {
  /** How many capsules each append had, and when it came after the first run, in milliseconds. */
  function gathering(): {
    readonly hc: Hindcast;
    readonly appends: { readonly count: number; readonly at: number }[];
  } {
    const appends: { count: number; at: number }[] = [];
    const start = performance.now();
    const inner = memoryStore();
    const append: Store["append"] = (capsules) => {
      appends.push({ count: capsules.length, at: performance.now() - start });
      return inner.append(capsules);
    };
    const store = { ...inner, append };
    return { hc: hindcast({ service: "queue", store }), appends };
  }

  test("those that end within a moment, in one append, and without anybody asking", async () => {
    const { hc, appends } = gathering();
    for (let round = 0; round < 5; round++) {
      runs(hc, 2);
      await sleep(1);
    }
    await expect.poll(() => hc.stats().capsules.stored).toBe(10);
    expect(appends.map(({ count }) => count)).toEqual([10]);
    expect(appends[0]?.at).toBeGreaterThan(40);
  });

  test("at once where someone asks", async () => {
    const { hc, appends } = gathering();
    runs(hc, 1);
    await hc.flush();
    runs(hc, 1);
    await hc.flush();
    expect(appends.map(({ count }) => count)).toEqual([1, 1]);
  });

  test("at once where there are many of them, or one has failed", async () => {
    const { hc, appends } = gathering();
    runs(hc, 1);
    await hc.flush(); // by then what encodes is loaded
    const turns = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    runs(hc, 1);
    await turns();
    expect(appends).toHaveLength(1);
    runs(hc, 63);
    await turns();
    expect(appends.map(({ count }) => count)).toEqual([1, 64]);
    const fails = hc.pipeline({ name: "fails" }, () => {
      throw new RangeError("no");
    });
    expect(fails).toThrow(RangeError);
    await turns();
    expect(appends.map(({ count }) => count)).toEqual([1, 64, 1]);
  });
});

test("one append is under way at a time, however slow", async () => {
  let under = 0;
  let most = 0;
  const store = storeThat(async (keepIt) => {
    most = Math.max(most, ++under);
    await sleep(3);
    under -= 1;
    await keepIt();
  });
  const hc = hindcast({ service: "queue", store });
  for (let round = 0; round < 10; round++) {
    runs(hc, 5);
    await sleep(1);
  }
  await hc.flush();
  expect(most).toBe(1);
  expect(hc.stats().capsules.stored).toBe(50);
});

test("capsules that are with the store are still on their way: the counters add up meanwhile", async () => {
  const gate = gatedStore();
  const hc = hindcast({ service: "queue", store: gate.store });
  runs(hc, 4);
  await expect.poll(gate.waiting).toBe(1);
  expect(hc.stats().capsules).toMatchObject({ waiting: 4, stored: 0 });
  gate.open();
  await hc.flush();
  expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 4 });
});

describe("a store that never answers", () => {
  const never = (): Promise<never> => new Promise(() => undefined);

  test("the caller is untouched; beyond queueBytes runs are lost and counted", async () => {
    const hc = hindcast({ service: "queue", store: storeThat(never), queueBytes: 20_000, ...silent });
    for (let round = 0; round < 20; round++) {
      runs(hc, 50);
      await sleep(1);
    }
    expect(hc.stats().runs.ended).toBe(1_000);
    expect(hc.stats().capsules.lost.queue).toBeGreaterThan(500);
    expectToAddUp(hc);
  });

  test("flush and close resolve all the same, after their timeout, and the counters add up", async () => {
    const hc = hindcast({ service: "queue", store: storeThat(never), ...silent });
    runs(hc, 3);
    await hc.flush({ timeout: "20ms" });
    expectToAddUp(hc);
    await hc.close({ timeout: 20 });
    expectToAddUp(hc);
    expect(hc.stats().capsules).toMatchObject({ waiting: 3, stored: 0 });
  });

  test.each(["soon", -1, Number.NaN])("flush and close refuse a timeout of %s", (timeout) => {
    const hc = hindcast({ service: "queue" });
    for (const method of ["flush", "close"] as const) {
      expect(() => hc[method]({ timeout: timeout as number })).toThrow(
        expect.objectContaining({ code: "invalid-options", message: expect.stringContaining(method) }),
      );
    }
  });
});

describe("queueBytes", () => {
  test("overflow loses the newcomers and counts them; the earlier ones are stored", async () => {
    const gate = gatedStore();
    const hc = hindcast({ service: "queue", store: gate.store, queueBytes: 50_000, ...silent });
    const flow = hc.pipeline({ name: "flow" }, (text: string) => text.length);
    for (let index = 0; index < 30; index++) flow(`${index}`.padEnd(5_000, "x"));
    const { lost } = hc.stats().capsules;
    expect(lost.queue).toBeGreaterThanOrEqual(18);
    expect(lost.queue).toBeLessThan(30);
    expectToAddUp(hc);
    gate.open();
    await hc.flush();
    expectToAddUp(hc);
    expect(hc.stats().capsules.stored).toBe(30 - lost.queue);
    expect(flow("short")).toBe(5);
    await hc.flush();
    expect(hc.stats().capsules.stored).toBe(31 - lost.queue);
  });

  test("someone is told that runs are being lost", async () => {
    const failures: Failure[] = [];
    const hc = hindcast({
      service: "queue",
      queueBytes: 100,
      onError: (failure) => void failures.push(failure),
    });
    hc.pipeline({ name: "flow" }, (text: string) => text)("x".repeat(1_000));
    await hc.flush();
    expect(hc.stats().capsules.lost.queue).toBe(1);
    expect(failures).toMatchObject([{ message: expect.stringContaining("queueBytes") }]);
  });
});

describe("flush", () => {
  test("resolves at once where nothing is on its way, however often", async () => {
    const hc = hindcast({ service: "queue" });
    await Promise.all([hc.flush(), hc.flush()]);
    runs(hc, 1);
    await Promise.all([hc.flush(), hc.flush(), hc.flush()]);
    expect(hc.stats().capsules.stored).toBe(1);
    await hc.flush();
  });

  test("resolves under a load that never ends, once what was kept before it is stored", async () => {
    const store = storeThat((keepIt) => sleep(2).then(keepIt));
    const hc = hindcast({ service: "queue", store });
    let loaded = true;
    const load = (async () => {
      while (loaded) {
        runs(hc, 2);
        await sleep(0);
      }
    })();
    await sleep(10);
    const before = hc.stats().runs.ended;
    const settled = await Promise.race([hc.flush().then(() => "flushed"), sleep(3_000, "starved")]);
    const { stored } = hc.stats().capsules;
    loaded = false;
    await load;
    expect(settled).toBe("flushed");
    expect(stored).toBeGreaterThanOrEqual(before);
    await hc.flush();
  });
});

describe("close", () => {
  test("stores what waits, closes the store, and is idempotent", async () => {
    let closed = 0;
    const inner = memoryStore();
    const store: Store = {
      ...inner,
      close: async () => {
        closed += 1;
      },
    };
    const hc = hindcast({ service: "queue", store });
    runs(hc, 5);
    await hc.close();
    expect([hc.stats().capsules.stored, closed]).toEqual([5, 1]);
    await hc.close();
    await hc[Symbol.asyncDispose]();
    expect(closed).toBe(1);
  });

  test("a second close waits for the first", async () => {
    const gate = gatedStore();
    const hc = hindcast({ service: "queue", store: gate.store });
    runs(hc, 1);
    const order: string[] = [];
    const first = hc.close().then(() => order.push("first"));
    const second = hc.close().then(() => order.push("second"));
    await sleep(2);
    expect(order).toEqual([]);
    gate.open();
    await Promise.all([first, second]);
    expect(hc.stats().capsules.stored).toBe(1);
  });

  test("stages go on working after it, unrecorded, effects and hc.random() included", async () => {
    const hc = hindcast({ service: "queue" });
    const look = hc.effect({ name: "look" }, async (x: number) => x + 1);
    const stage = hc.infer({ name: "stage", model, input: z.coerce.number() }, (x) => look(x));
    const flow = hc.pipeline({ name: "flow" }, async (x: string) => [await stage(x), hc.random() < 1]);
    await flow("1");
    await hc.close();
    expect(await flow("1")).toEqual([2, true]);
    await expect(async () => stage("x")).rejects.toMatchObject({ code: "contract-violation" });
    await hc.flush();
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 1, lost: { store: 0 } });
  });

  test("a run that is under way while it closes is not stored, and no caller hears of it", async () => {
    const hc = hindcast({ service: "queue", ...silent });
    const flow = hc.pipeline({ name: "flow" }, () => sleep(10, "done"));
    const pending = flow();
    await hc.close();
    expect(await pending).toBe("done");
    await hc.flush();
    expect(hc.stats().capsules.stored).toBe(0);
    expectToAddUp(hc);
  });

  test.each([
    ["rejects", () => Promise.reject(new Error("close"))],
    [
      "throws",
      () => {
        throw new Error("close");
      },
    ],
  ] as const)("resolves where the store's close %s, and someone is told", async (_how, close) => {
    const failures: Failure[] = [];
    const hc = hindcast({
      service: "queue",
      store: { ...memoryStore(), close },
      onError: (failure) => void failures.push(failure),
    });
    await hc.close();
    expect(failures).toMatchObject([{ source: "store" }]);
  });

  test("await using closes at the end of the block", async () => {
    const gate = { closed: false };
    const inner = memoryStore();
    const store: Store = {
      ...inner,
      close: async () => {
        gate.closed = true;
      },
    };
    {
      await using hc = hindcast({ service: "queue", store });
      runs(hc, 2);
      expect(gate.closed).toBe(false);
    }
    expect(gate.closed).toBe(true);
    const ids: string[] = [];
    for await (const { summary } of inner.find()) ids.push(summary.id);
    expect(ids).toHaveLength(2);
  });
});

test("G9: whatever is mixed, every run that has ended is counted exactly once", async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("fine", "fail", "violate", "large", "asynchronous") },
    { weight: 1, arbitrary: fc.constantFrom("flush", "wait") },
  );
  const rules = fc.subarray(["errors", "violations", "sample", "throwing"] as const);
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.option(rules, { nil: undefined }),
      fc.array(fc.constantFrom("ok", "slow", "reject", "throw"), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(1_000, 20_000, 1_000_000),
      async (steps, ruleNames, answers, queueBytes) => {
        let appended = 0;
        const store = storeThat((keepIt) => {
          switch (answers[appended++ % answers.length]) {
            case "slow":
              return sleep(1).then(keepIt);
            case "reject":
              return Promise.reject(new Error("rejected"));
            case "throw":
              throw new Error("thrown");
            default:
              return keepIt();
          }
        });
        const options: HindcastOptions = {
          service: "queue",
          store,
          queueBytes,
          contracts: "observe",
          ...silent,
        };
        const hc = hindcast(ruleNames === undefined ? options : { ...options, keep: ruleNames.map(ruleOf) });
        const flow = hc.pipeline({ name: "flow", input: z.string().max(10) }, (text) => text.length);
        const fail = hc.pipeline({ name: "fail" }, () => {
          throw new Error("failed");
        });
        const later = hc.pipeline({ name: "later" }, () => sleep(1));
        const pending: Promise<unknown>[] = [];
        for (const one of steps) {
          if (one === "fine") flow("fine");
          else if (one === "fail") expect(fail).toThrow("failed");
          else if (one === "violate") flow("more than ten");
          else if (one === "large") flow("x".repeat(3_000));
          else if (one === "asynchronous") pending.push(later());
          else if (one === "flush") await hc.flush();
          else await sleep(1);
          expectToAddUp(hc);
        }
        await Promise.all(pending);
        await hc.flush();
        expectToAddUp(hc);
        const { runs: counted, capsules } = hc.stats();
        expect([capsules.waiting, counted.started]).toEqual([0, counted.ended]);
        expect((await storedBy(hc)).length).toBe(capsules.stored);
      },
    ),
    { numRuns: 60 },
  );
});

function ruleOf(name: "errors" | "violations" | "sample" | "throwing") {
  switch (name) {
    case "errors":
      return keep.errors();
    case "violations":
      return keep.violations();
    case "sample":
      return keep.sample(0.5);
    case "throwing":
      return {
        name,
        keeps: (): boolean => {
          throw new Error("rule");
        },
      };
  }
}
