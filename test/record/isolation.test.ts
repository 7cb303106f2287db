/** G2: whatever a user hands in may fail, in whichever way: no caller hears of it, and nothing is left unhandled. */
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import {
  context,
  type ContextManager,
  propagation,
  ROOT_CONTEXT,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import {
  type Failure,
  type Hindcast,
  hindcast,
  type HindcastOptions,
  keep,
  memoryStore,
  type Store,
} from "hindcast";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { registerContextManager, registerTracing, unregisterTracing } from "../telemetry/tracing.js";
import { runTypeScript } from "../tools/run-process.js";
import { repositoryRoot } from "../tools/entry-points.js";
import { onlyCapsuleOf, storedBy } from "./recorded.js";

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
});

afterEach(async () => {
  await sleep(5);
  process.off("unhandledRejection", note);
  process.off("uncaughtException", note);
  unregisterTracing();
  expect(unhandled).toEqual([]);
});

const boom = new Error("boom");
const fail = (): never => {
  throw boom;
};
/** What a hook may do in place of what it should. */
const misbehaviours: readonly (readonly [string, () => unknown])[] = [
  ["throws", fail],
  [
    "throws undefined",
    () => {
      throw undefined;
    },
  ],
  ["rejects", () => Promise.reject(boom)],
  ["rejects with undefined", () => Promise.reject(undefined)],
  ["rejects late", () => sleep(2).then(fail)],
  ["rejects a promise of another realm", () => runInNewContext("Promise.reject(new Error('other realm'))")],
  [
    "returns a thenable that rejects",
    () => ({ then: (_resolve: unknown, reject: (error: unknown) => void) => reject(boom) }),
  ],
  ["returns a thenable that throws", () => ({ then: fail })],
  [
    "returns what throws when it is looked at",
    () => new Proxy({}, { get: fail, has: fail, getPrototypeOf: fail }),
  ],
  [
    "returns a promise whose catch throws",
    () => Object.assign(Promise.reject(boom), { catch: fail, then: fail }),
  ],
];

/** Two decisions and a failure, as a caller sees them. */
async function decide(hc: Hindcast): Promise<void> {
  const flow = hc.pipeline({ name: "flow" }, (value: number) => value + 1);
  const asynchronous = hc.pipeline({ name: "asynchronous" }, async (value: number) => value + 1);
  const failing = hc.pipeline({ name: "failing" }, fail);
  expect(flow(1)).toBe(2);
  expect(await asynchronous(1)).toBe(2);
  expect(failing).toThrow(boom);
  await hc.flush({ timeout: 200 });
}

function addsUp(hc: Hindcast): void {
  const { runs, capsules } = hc.stats();
  const { queue, codec, store, exit } = capsules.lost;
  expect(runs.ended).toBe(runs.started);
  expect(runs.discarded + capsules.waiting + capsules.stored + queue + codec + store + exit).toBe(runs.ended);
}

const brokenStore: Store = { ...memoryStore(), append: () => Promise.reject(boom) };

describe.each(misbehaviours)("what %s", (_how, misbehave) => {
  const hook = misbehave as () => never;

  test("as a store's append", async () => {
    const failures: Failure[] = [];
    const store = { ...memoryStore(), append: hook };
    const hc = hindcast({ service: "isolation", store, onError: (failure) => void failures.push(failure) });
    await decide(hc);
    addsUp(hc);
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 0, lost: { store: 3 } });
    expect(failures.map(({ source }) => source)).toEqual(["store"]);
    await hc.close();
  });

  test("as a store's close", async () => {
    const hc = hindcast({
      service: "isolation",
      store: { ...memoryStore(), close: hook },
      onError: () => undefined,
    });
    await decide(hc);
    await hc.close();
    expect(hc.stats()).toMatchObject({ capsules: { stored: 3 }, failures: { store: 1 } });
  });

  test("as a keep rule: it keeps nothing, and the others are asked", async () => {
    const failures: Failure[] = [];
    const rules = [{ name: "broken", keeps: hook }, keep.errors()];
    const hc = hindcast({
      service: "isolation",
      keep: rules,
      onError: (failure) => void failures.push(failure),
    });
    await decide(hc);
    addsUp(hc);
    expect(hc.stats()).toMatchObject({
      runs: { discarded: 2 },
      capsules: { stored: 1 },
      failures: { keep: 3 },
    });
    expect(failures.map(({ source }) => source)).toEqual(["keep"]);
  });

  test("as onError and as a logger", async () => {
    const hc = hindcast({ service: "isolation", store: brokenStore, onError: hook, logger: { warn: hook } });
    await decide(hc);
    await sleep(5);
    addsUp(hc);
    expect(hc.stats().failures).toMatchObject({ store: expect.any(Number), logger: 2 });
  });

  test("as waitUntil", async () => {
    const hc = hindcast({ service: "isolation", waitUntil: hook, onError: () => undefined });
    await decide(hc);
    await sleep(5);
    expect(hc.stats()).toMatchObject({ capsules: { stored: 3 }, failures: { waitUntil: 3 } });
  });

  test("as version and seed functions", async () => {
    const hc = hindcast({ service: "isolation", seed: hook, onError: () => undefined });
    const stage = hc.infer({ name: "stage", model: hook }, (value: number) => value);
    expect(stage(4)).toBe(4);
    expect(hc.pipeline({ name: "flow", seed: hook }, () => 5)()).toBe(5);
    await sleep(5);
    expect(hc.stats().failures).toMatchObject({ seed: 2, version: 1 });
  });
});

describe("a store", () => {
  test("whose append never settles keeps nobody waiting, and close lets go of it all the same", async () => {
    let closed = 0;
    const store: Store = {
      ...memoryStore(),
      append: () => new Promise(() => undefined),
      close: () => Promise.resolve(void (closed += 1)),
    };
    const hc = hindcast({ service: "isolation", store, onError: () => undefined });
    await decide(hc);
    expect(hc.stats().capsules).toMatchObject({ waiting: 3, stored: 0 });
    await hc.close({ timeout: 20 });
    await sleep(2);
    expect(closed).toBe(1);
    addsUp(hc);
  });

  test("whose close never settles lets close resolve in time", async () => {
    const hc = hindcast({
      service: "isolation",
      store: { ...memoryStore(), close: () => new Promise(() => undefined) },
    });
    await decide(hc);
    const begun = performance.now();
    await hc.close({ timeout: 30 });
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(hc.stats().capsules.stored).toBe(3);
  });

  test("that returns no promise has taken what it was given", async () => {
    const store = { ...memoryStore(), append: (() => undefined) as unknown as Store["append"] };
    const hc = hindcast({ service: "isolation", store });
    await decide(hc);
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 3 });
  });

  test("that empties the list it is given is counted for what it was given", async () => {
    for (const error of [undefined, boom]) {
      const store: Store = {
        ...memoryStore(),
        append: async (capsules) => {
          (capsules as unknown[]).length = 0;
          if (error !== undefined) throw error;
        },
      };
      const hc = hindcast({ service: "isolation", store, onError: () => undefined });
      await decide(hc);
      addsUp(hc);
      expect(hc.stats().capsules.waiting).toBe(0);
    }
  });

  test("that runs stages of the instance it belongs to is given their runs, too", async () => {
    const inner = memoryStore();
    let appends = 0;
    const stage = (): unknown => hc.tool({ name: "stage" }, () => 1)();
    const store: Store = {
      ...inner,
      append: (capsules) => {
        appends += 1;
        if (appends < 3) stage();
        return inner.append(capsules);
      },
    };
    const hc: Hindcast = hindcast({ service: "isolation", store });
    await decide(hc);
    // Once for each append that adds runs: what begins in the last of them may come after a flush.
    for (let flushed = 0; flushed < 3; flushed++) await hc.flush();
    expect(appends).toBeGreaterThan(2);
    addsUp(hc);
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 5 });
  });
});

describe("hooks are no part of a run", () => {
  test("a keep rule that calls stages sets off no run, and no run within a run", async () => {
    let calls = 0;
    const hc: Hindcast = hindcast({
      service: "isolation",
      keep: ["one", "two"].map((name) => ({
        name,
        keeps: () => (stage(1), stage(2), calls++, name === "two"),
      })),
    });
    const stage = hc.tool({ name: "stage" }, (value: number) => value);
    expect(stage(1)).toBe(1);
    await hc.flush();
    expect(calls).toBe(2);
    expect(hc.stats().runs.started).toBe(1);
  });

  test("a keep rule that changes the summary changes nothing that is stored", async () => {
    const rule = {
      name: "meddling",
      keeps: (run: object) => {
        Object.assign(run, { id: "other" });
        return true;
      },
    };
    const hc = hindcast({ service: "isolation", keep: [rule, keep.all()], onError: () => undefined });
    await decide(hc);
    const stored = await storedBy(hc);
    expect(stored.map(({ summary }) => summary.kept)).toEqual(["all", "all", "all"]);
    expect(hc.stats().failures.keep).toBe(3);
  });

  test.each([true, false])(
    "what onError goes on to do is not recorded (context manager: %s)",
    async (hasManager) => {
      if (hasManager) registerContextManager();
      let later: Promise<unknown> | undefined;
      const options: HindcastOptions = {
        service: "isolation",
        onError: () => {
          later = sleep(1).then(() => [hc.current(), Date.now()]);
        },
      };
      const hc: Hindcast = hindcast(options);
      const stage = hc.infer({ name: "stage", model: fail }, (value: number) => value);
      const flow = hc.pipeline({ name: "flow" }, async () => {
        stage(1);
        await new Promise((resolve) => setTimeout(resolve, 10));
      });
      await flow();
      expect(await later).toEqual([undefined, expect.any(Number)]);
      expect((await onlyCapsuleOf(hc)).effects.map(({ name }) => name)).toEqual(["setTimeout"]);
    },
  );
});

describe("telemetry", () => {
  test.each<[string, Partial<ContextManager>]>([
    ["active throws", { active: fail }],
    ["with throws, and calls nothing", { with: fail }],
    [
      "with throws after what it was to call",
      {
        with: (_context, body, self, ...input) => {
          Reflect.apply(body, self, input);
          throw boom;
        },
      },
    ],
  ])("G2: a context manager whose %s", async (_how, broken) => {
    const manager: ContextManager = {
      active: () => ROOT_CONTEXT,
      with: (_context, body, self, ...input) => Reflect.apply(body, self, input),
      bind: (_context, target) => target,
      enable: () => manager,
      disable: () => manager,
      ...broken,
    };
    context.setGlobalContextManager(manager);
    const hc = hindcast({ service: "isolation", onError: () => undefined });
    let calls = 0;
    const step = hc.tool({ name: "step" }, async (x: number) => {
      calls += 1;
      if (x < 0) throw new RangeError("its own");
      return x + 1;
    });
    const read = hc.effect({ name: "read" }, async (x: number) => x);
    const flow = hc.pipeline({ name: "flow" }, async (x: number) => step(await read(x)));
    expect(await flow(1)).toBe(2);
    await expect(flow(-5)).rejects.toThrow("its own");
    expect(calls).toBe(2);
    await hc.close();
    expect(hc.stats().capsules.stored).toBeGreaterThanOrEqual(2);
    expect(hc.stats().failures.listener).toBeGreaterThan(0);
  });

  const everything = new Proxy({}, { get: () => fail });
  const providers: readonly (readonly [string, TracerProvider])[] = [
    ["a provider that throws", { getTracer: fail }],
    ["a tracer that throws", { getTracer: () => everything as never }],
    [
      "spans that throw on every method",
      { getTracer: () => ({ startSpan: () => everything, startActiveSpan: fail }) as never },
    ],
    ["spans that are none", { getTracer: () => ({ startSpan: () => undefined }) as never }],
    [
      "spans whose context is none",
      {
        getTracer: () =>
          ({
            startSpan: () => ({
              spanContext: () => ({ traceId: 5 }),
              setAttribute: fail,
              setStatus: fail,
              end: fail,
            }),
          }) as never,
      },
    ],
  ];
  test.each(providers)("%s", async (_what, provider) => {
    trace.setGlobalTracerProvider(provider);
    const hc = hindcast({ service: "isolation", onError: () => undefined });
    await decide(hc);
    addsUp(hc);
    expect(hc.stats().capsules.stored).toBe(3);
    expect(hc.stats().failures.listener).toBeGreaterThan(0);
    // And what was recorded beside it can be read.
    const stored = await storedBy(hc);
    expect(stored).toHaveLength(3);
    const { readCapsule } = await import("hindcast/replay");
    for (const capsule of stored) expect(readCapsule(capsule).calls).toHaveLength(1);
    context.disable();
  });
});

describe("contracts", () => {
  test("G8: an array of many wrong items is a violation of bounded size, and the capsule can be read", async () => {
    const hc = hindcast({ service: "isolation", contracts: "observe" });
    const stage = hc.tool({ name: "stage", input: z.array(z.string()) }, (list) => list.length);
    expect(stage(Array.from({ length: 5_000 }, (_, index) => index) as never)).toBe(5_000);
    const { violations } = await onlyCapsuleOf(hc);
    expect(violations).toHaveLength(1);
    expect(violations[0]?.issues.length).toBe(100);
  });

  test("violations of calls that are not in the capsule any more do not spoil it, and are counted", async () => {
    const hc = hindcast({ service: "isolation", contracts: "observe", limits: { capsuleBytes: 2_000 } });
    const stage = hc.tool({ name: "stage", input: z.string() }, (text) => text);
    hc.pipeline({ name: "flow" }, () => {
      for (let index = 0; index < 200; index++) stage(index as never);
    })();
    const [stored] = await storedBy(hc);
    expect(stored?.summary.violations).toBe(200);
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.violations.every(({ call }) => call < capsule.calls.length)).toBe(true);
  });
});

describe("with no stack left", () => {
  const endless = fileURLToPath(new URL("exhausted-stack-process.ts", import.meta.url));

  test.each(["off", "telemetry", "recorded", "recorded, telemetry"])(
    "an endless recursion fails as it does without the library, and the process goes on (%s)",
    async (condition) => {
      const { exitCode, output } = await runTypeScript(endless, {
        cwd: repositoryRoot,
        arguments: [condition],
      });
      // Node itself writes of promises that are settled with no stack left.
      expect(output.split("\n").filter((line) => line.startsWith("result:"))).toEqual([
        "result: RangeError: Maximum call stack size exceeded; goes on; 0 open, 0 wait",
      ]);
      expect(exitCode).toBe(0);
    },
    60_000,
  );

  // V8 ends the process where it is to compile a regular expression and the stack is exhausted.
  test.each([false, true])(
    "no regular expression of the library is asked during a run (telemetry: %s)",
    async (traced) => {
      if (traced) registerTracing();
      const hc = hindcast({ service: "isolation", waitUntil: () => undefined, onError: () => undefined });
      class Own {
        readonly "a key" = [/a/];
      }
      const input = z.object({ "a key": z.number(), b: z.enum(["x"]) });
      const stage = hc.tool({ name: "stage", input, mode: "observe" }, (value: unknown) => value);
      const effect = hc.effect({ name: "effect" }, () => ({ "a key": [new Own(), () => 1] }));
      const failing = hc.tool({ name: "failing" }, (code: string): never => {
        throw Object.assign(new RangeError("no"), { code });
      });
      const flow = hc.pipeline({ name: "flow" }, async (value: unknown) => {
        stage({ "a key": "no", b: "y" } as never);
        effect();
        for (const code of ["ERR_MINE", "not a code", ""]) expect(() => failing(code)).toThrow("no");
        await new Promise((resolve) => setTimeout(resolve, 1));
        return [randomUUID(), Math.random(), Date.now(), hc.random(), value];
      });
      const baggage = propagation.createBaggage({ "hindcast.seed": { value: "7" } });
      await context.with(propagation.setBaggage(context.active(), baggage), () => flow(new Own())); // what is loaded late
      await hc.flush();
      const asked: string[] = [];
      const exec = Object.getOwnPropertyDescriptor(RegExp.prototype, "exec")?.value as RegExp["exec"];
      RegExp.prototype.exec = function (text) {
        const [, , ...frames] = (new Error().stack as string).split(" at ");
        const caller = frames.find((frame) => frame.includes("/")) as string;
        if (caller.includes("/src/")) asked.push(`${this.source}: ${caller}`);
        return Reflect.apply(exec, this, [text]);
      };
      try {
        expect(/a/.test("a")).toBe(true);
        await context.with(propagation.setBaggage(context.active(), baggage), () => flow(new Own()));
      } finally {
        RegExp.prototype.exec = exec;
      }
      expect(asked).toEqual([]);
      expect(hc.stats().runs.ended).toBe(2);
    },
  );

  test("a run whose way to the store could not be set off is stored with the next one, or by a flush", async () => {
    let missing = 0;
    const manager: ContextManager = {
      active: () => ROOT_CONTEXT,
      with(_context, body, self, ...input) {
        if (missing-- > 0) throw new RangeError("Maximum call stack size exceeded");
        return Reflect.apply(body, self, input);
      },
      bind: (_context, target) => target,
      enable: () => manager,
      disable: () => manager,
    };
    context.setGlobalContextManager(manager);
    const keeps = (): boolean => ((missing = 1), true);
    const hc = hindcast({ service: "isolation", keep: { name: "all", keeps }, onError: () => undefined });
    expect(hc.tool({ name: "stage" }, () => 1)()).toBe(1);
    expect(hc.stats()).toMatchObject({ capsules: { waiting: 1 }, failures: { listener: 1 } });
    missing = 0;
    await hc.flush({ timeout: "2s" });
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 1 });
  });
});

test("a process with schemas that reject and a store that fails goes on", async () => {
  const file = fileURLToPath(new URL("rejecting-process.ts", import.meta.url));
  const { exitCode, output } = await runTypeScript(file, { cwd: repositoryRoot });
  expect(output).toContain("alive");
  expect(exitCode).toBe(0);
});
