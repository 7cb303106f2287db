/** G8: a run that has ended is let go: its scope, its calls, its recording and what it was given. */
import { setTimeout as sleep } from "node:timers/promises";
import { queryObjects } from "node:v8";
import { trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { hindcast, keep, type Hindcast } from "hindcast";
import { afterEach, describe, expect, test } from "vitest";
import { Run } from "../../src/stage/run.js";
import { registerContextManager, unregisterTracing } from "../telemetry/tracing.js";

/** Objects of a class, after a collection. What a call or a recording holds on to, a run does: each refers to its run. */
const count = (constructor: object): number => queryObjects(constructor as never, { format: "count" });

/** What a run is given; `made` knows which of them are still there, and by which program. */
class Given {
  readonly value = 1;
  constructor(program: string) {
    made.push({ program, reference: new WeakRef(this) });
  }
}
let made: { readonly program: string; readonly reference: WeakRef<Given> }[] = [];

const environments: readonly (readonly [string, () => void])[] = [
  ["without a context manager", () => undefined],
  ["with one", registerContextManager],
  [
    "with one, and with spans",
    () => {
      registerContextManager();
      trace.setGlobalTracerProvider(new BasicTracerProvider());
    },
  ],
];

const programs: readonly (readonly [string, (hc: Hindcast, program: string) => Promise<unknown>])[] = [
  [
    "calls and effects",
    async (hc, program) => {
      const look = hc.effect({ name: "look" }, async (given: Given) => given);
      const stage = hc.tool({ name: "stage" }, async (given: Given) => look(given));
      const flow = hc.pipeline({ name: "flow" }, async (given: Given) => [
        await stage(given),
        stage(given),
        hc.now(),
      ]);
      await Promise.all(Array.from({ length: 20 }, () => flow(new Given(program))));
    },
  ],
  [
    "runs that fail, and runs that are not kept",
    async (hc, program) => {
      const fail = hc.pipeline({ name: "fail" }, async (given: Given) => {
        await Promise.resolve();
        throw Object.assign(new Error("failed"), { given });
      });
      for (let index = 0; index < 20; index++) await fail(new Given(program)).catch(() => undefined);
    },
  ],
  [
    "effects that nobody waits for, and one that never settles",
    async (hc, program) => {
      const late = hc.effect({ name: "late" }, (given: Given) => sleep(5, given));
      const never = hc.effect({ name: "never" }, (_given: Given) => new Promise(() => undefined));
      const flow = hc.pipeline({ name: "flow" }, (given: Given) => {
        void late(given);
        void never(given);
        return given.value;
      });
      for (let index = 0; index < 20; index++) flow(new Given(program));
      await sleep(20);
    },
  ],
  [
    "timers that were cancelled or have run",
    async (hc, program) => {
      const flow = hc.pipeline({ name: "flow" }, async (given: Given) => {
        clearTimeout(setTimeout(() => given, 60_000));
        await new Promise((resolve) => setTimeout(resolve, 1));
        setTimeout(() => given, 2);
      });
      for (let index = 0; index < 10; index++) await flow(new Given(program));
      await sleep(10);
    },
  ],
  [
    "a pipeline that starts itself again from a timer",
    async (hc, program) => {
      await new Promise<void>((resolve) => {
        let left = 20;
        const flow = hc.pipeline({ name: "flow" }, (given: Given) => {
          if (--left > 0) setTimeout(() => flow(new Given(program)), 1);
          else resolve();
          return given.value;
        });
        flow(new Given(program));
      });
      await sleep(5);
    },
  ],
];

describe.each(environments)("%s", (_environment, register) => {
  afterEach(unregisterTracing);

  test("nothing is left of runs that have ended", async () => {
    register();
    made = [];
    let runs = 0;
    for (const [name, program] of programs) {
      const rules = [keep.errors(), keep.sample(0.5)];
      const hc = hindcast({ service: "let-go", keep: rules, onError: () => undefined });
      await program(hc, name);
      await hc.close();
      runs += hc.stats().runs.ended;
    }
    await sleep(5);
    expect(count(Run)).toBe(0);
    await sleep(0); // until then a WeakRef that was looked at holds what it refers to
    expect(
      made.filter(({ reference }) => reference.deref() !== undefined).map(({ program }) => program),
    ).toEqual([]);
    expect(runs).toBeGreaterThan(80);
  });
});

test("an instance that is let go is collected, though it was never closed", async () => {
  const { CapsuleQueue } = await import("../../src/record/capsule-queue.js");
  await (async () => {
    const hc = hindcast({ service: "let-go", capture: false });
    hc.pipeline({ name: "flow" }, () => 1)();
    await hc.flush();
    expect(hc.stats().capsules.stored).toBe(1);
  })();
  await sleep(5);
  expect(count(CapsuleQueue)).toBe(0);
});
