import crypto, { randomBytes, randomInt, randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { setImmediate as immediately, setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterEach, describe, expect, test } from "vitest";

function currentPlatform() {
  return {
    random: Math.random,
    Date: globalThis.Date,
    now: Object.getPrototypeOf(performance).now as unknown,
    hrtime: process.hrtime,
    uuid: crypto.randomUUID,
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    abort: Reflect.get(AbortSignal, "timeout") as unknown,
  };
}

const platform = currentPlatform();
const closing: (() => Promise<void>)[] = [];

function instance(options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const hc = hindcast({ service: "ambient", ...options });
  closing.push(() => hc.close());
  return hc;
}

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Records one run and replays it; both must see the same, twice over. */
async function recordAndReplay(body: () => unknown, options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const hc = instance(options);
  const entry = hc.pipeline({ name: "program" }, body);
  const outcome: unknown = await entry();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry);
    if (result.verdict !== "identical") throw new Error(explain(result));
    expect(result.outcome).toEqual({ status: "ok", value: outcome });
    return { outcome, capsule: readCapsule(stored) };
  }
  throw new Error("nothing was recorded");
}

describe("each source is recorded, and given again", () => {
  const sources: Record<string, () => unknown> = {
    "Math.random": () => [Math.random(), Math.random()],
    "Date.now": () => Date.now(),
    "new Date()": () => new Date(),
    "Date()": () => Date(),
    "performance.now": () => performance.now(),
    "process.hrtime": () => process.hrtime(),
    "process.hrtime of a time before": () => process.hrtime([0, 999_999_999]),
    "process.hrtime.bigint": () => process.hrtime.bigint(),
    "crypto.randomUUID, imported by name": () => randomUUID(),
    "globalThis.crypto.randomUUID": () => globalThis.crypto.randomUUID(),
    "globalThis.crypto.getRandomValues": () => globalThis.crypto.getRandomValues(new Uint32Array(4)),
    "crypto.getRandomValues": () => crypto.getRandomValues(new Uint8Array(4)),
    "crypto.randomBytes": () => randomBytes(16),
    "crypto.randomBytes with a callback": () =>
      new Promise((done) => randomBytes(8, (_error, bytes) => done(bytes))),
    "crypto.randomInt": () => [randomInt(1_000_000), randomInt(5, 1_000_000)],
    "crypto.randomInt with a callback": () =>
      new Promise((done) => randomInt(1_000_000, (_error, value) => done(value))),
    setTimeout: () => new Promise((done) => setTimeout(done, 2, "fired")),
    "setTimeout by promisify": () => promisify(setTimeout)(2, "fired"),
    "timers/promises.setTimeout": () => wait(2, "fired"),
    "timers/promises.setImmediate": () => immediately("fired"),
    setImmediate: () => new Promise((done) => setImmediate(done, "fired")),
    "clearTimeout of one of two": () =>
      new Promise((done) => {
        const first = setTimeout(done, 1, "cleared");
        setTimeout(done, 3, "kept");
        clearTimeout(first);
      }),
    "a timer that is refreshed": () =>
      new Promise((done) => {
        const seen: string[] = [];
        const timer = setTimeout(() => {
          seen.push("fired");
          done(seen);
        }, 4);
        setTimeout(() => {
          seen.push("refreshed");
          timer.refresh();
        }, 1);
      }),
    setInterval: () =>
      new Promise((done) => {
        const ticks: number[] = [];
        const timer = setInterval(() => {
          ticks.push(Date.now());
          if (ticks.length < 3) return;
          clearInterval(timer);
          done(ticks);
        }, 1);
      }),
    "AbortSignal.timeout": () => {
      const signal = AbortSignal.timeout(2);
      return new Promise((done) =>
        signal.addEventListener("abort", () => done((signal.reason as DOMException).name)),
      );
    },
    "a race of timers": async () => {
      const order: number[] = [];
      const one = async (delay: number): Promise<void> => {
        await wait(Math.random() * delay);
        order.push(delay);
      };
      await Promise.all([one(3), one(4), one(2), one(5)]);
      return order;
    },
  };
  test.each(Object.entries(sources))("G4: %s", async (_name, read) => {
    const { outcome } = await recordAndReplay(read);
    expect(outcome).toBeDefined();
  });
});

test("Math.random draws from the run's seed, one stream a stage, and costs no entry", async () => {
  const { outcome, capsule } = await recordAndReplay(() => [Math.random(), Math.random()], { seed: 7 });
  expect((await recordAndReplay(() => [Math.random(), Math.random()], { seed: 7 })).outcome).toEqual(outcome);
  expect((await recordAndReplay(() => [Math.random(), Math.random()], { seed: 8 })).outcome).not.toEqual(
    outcome,
  );
  expect(capsule.effects).toEqual([]);
});

test("crypto is not seeded: two runs of one seed draw other bytes", async () => {
  const one = await recordAndReplay(() => randomUUID(), { seed: 7 });
  expect((await recordAndReplay(() => randomUUID(), { seed: 7 })).outcome).not.toBe(one.outcome);
});

test("a replay takes no time for timers", async () => {
  const hc = instance();
  const entry = hc.pipeline({ name: "slow" }, async () => {
    await wait(300);
    return 1;
  });
  await entry();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const start = performance.now();
    expect((await replay(stored, entry)).verdict).toBe("identical");
    expect(performance.now() - start).toBeLessThan(200);
  }
});

describe("G1: the platform is as it was", () => {
  test("outside of runs everything is itself", async () => {
    const hc = instance({ seed: 1 });
    expect(new Date()).toBeInstanceOf(Date);
    expect(new Date(0).constructor).toBe(Date);
    expect(Object.getPrototypeOf(new Date())).toBe(platform.Date.prototype);
    expect(typeof Date()).toBe("string");
    expect(Date.UTC(2001, 0)).toBe(platform.Date.UTC(2001, 0));
    expect(Math.random()).not.toBe(Math.random());
    const handle = setTimeout(() => undefined, 1000);
    expect(handle.hasRef()).toBe(true);
    clearTimeout(handle);
    expect([setTimeout.name, Date.name, Date.length, Math.random.name]).toEqual([
      "setTimeout",
      "Date",
      7,
      "random",
    ]);
    const entry = hc.pipeline({ name: "p" }, () => new Date() instanceof Date);
    expect(entry()).toBe(true);
  });

  test("what was patched at import stays, and is dormant without an instance", async () => {
    const [first, second] = [instance(), instance()];
    expect(currentPlatform()).toEqual(platform);
    expect(randomUUID).toBe(platform.uuid);
    const { capsule } = await recordAndReplay(() => randomUUID());
    expect(capsule.effects).toHaveLength(1);
    await first.close();
    await second.close();
    expect(currentPlatform()).toEqual(platform);
  });

  test("what somebody replaces before an instance is made is captured on top of that, and given back", async () => {
    const ours = globalThis.Date;
    const now = (): number => ours.now() + 1_000_000_000;
    class Shifted extends ours {
      constructor(...input: []) {
        super(...(input.length === 0 ? ([now()] as unknown as []) : input));
      }
      static override now = now;
    }
    globalThis.Date = Shifted as DateConstructor;
    try {
      const { capsule } = await recordAndReplay(() => [Date.now(), Date.now() > 0]);
      // Once each, though what was put there calls on to what the library had put there before.
      expect(capsule.effects.map(({ name }) => name)).toEqual(["Date.now", "Date.now"]);
      for (const close of closing.splice(0)) await close();
      expect(globalThis.Date).toBe(Shifted);
    } finally {
      globalThis.Date = ours;
    }
  });

  test("what an instance does not capture is itself in its runs", async () => {
    const { capsule } = await recordAndReplay(() => wait(1, 1), { capture: { timers: false } });
    expect(capsule.effects).toEqual([]);
    for (const close of closing.splice(0)) await close();
    const none = instance({ capture: false });
    expect(Math.random).toBe(platform.random);
    none.pipeline({ name: "p" }, () => Date.now())();
    instance({ keep: [] });
    expect(Math.random).toBe(platform.random);
    expect(() => instance({ capture: { timer: true } as never })).toThrow(
      /no source "timer".*random, clock, crypto, timers/,
    );
  });

  test("a timer's handle, `this`, arguments and errors are as without", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "p" }, () => {
      const start = setTimeout as (callback: unknown) => unknown;
      expect(() => start(5)).toThrow(TypeError);
      return new Promise((done) => {
        const handle = setTimeout(
          function (this: unknown, ...input: unknown[]) {
            done([this === handle, input, handle.hasRef()]);
          },
          1,
          "a",
          "b",
        );
      });
    });
    expect(await entry()).toEqual([true, ["a", "b"], true]);
  });

  test("inside an effect nothing is captured", async () => {
    const hc = instance();
    const effect = hc.effect({ name: "client" }, async () => {
      await wait(1);
      return [Date.now(), Math.random(), randomUUID()];
    });
    const entry = hc.pipeline({ name: "p" }, () => effect());
    await entry();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      expect(readCapsule(stored).effects.map(({ name }) => name)).toEqual(["client"]);
      expect((await replay(stored, entry)).verdict).toBe("identical");
    }
  });
});

test("G1: an interval outlives its run as it does without", async () => {
  const hc = instance();
  let last = { ticks: 0, timer: undefined as NodeJS.Timeout | undefined };
  const entry = hc.pipeline({ name: "p" }, async () => {
    const own = { ticks: 0, timer: undefined as NodeJS.Timeout | undefined };
    last = own;
    own.timer = setInterval(() => {
      own.ticks += 1;
    }, 1);
    await wait(5);
    return own.ticks;
  });
  const within = await entry();
  await wait(30);
  clearInterval(last.timer);
  expect(last.ticks).toBeGreaterThan(within + 2);
  await hc.flush();
  for await (const stored of hc.store.find()) expect((await replay(stored, entry)).verdict).toBe("identical");
  await wait(5);
  // What a replay has begun ends with it.
  expect(last.ticks).toBe(within);
});

test("two instances with runs at the same time do not disturb each other", async () => {
  const [a, b] = [instance({ seed: 1 }), instance({ seed: 2, capture: { random: true, timers: false } })];
  const body = async (): Promise<number[]> => {
    const drawn: number[] = [];
    for (let index = 0; index < 5; index++) {
      await wait(Math.random());
      drawn.push(Math.random());
    }
    return drawn;
  };
  const [inA, inB] = [a.pipeline({ name: "p" }, body), b.pipeline({ name: "p" }, body)];
  const [fromA, fromB, againA] = await Promise.all([inA(), inB(), inA()]);
  expect(fromA).toEqual(againA);
  expect(fromA).not.toEqual(fromB);
  await Promise.all([a.flush(), b.flush()]);
  for await (const stored of a.store.find()) expect((await replay(stored, inA)).verdict).toBe("identical");
});

test("a run goes on after another instance's run within it", async () => {
  const [outer, inner] = [instance({ seed: 1 }), instance({ seed: 2 })];
  const within = inner.pipeline({ name: "within" }, () => Math.random());
  const entry = outer.pipeline({ name: "outer" }, () => [Math.random(), within(), Math.random()]);
  const alone = outer.pipeline({ name: "outer" }, () => [Math.random(), Math.random()]);
  const [first, , second] = entry();
  expect([first, second]).toEqual(alone());
});
