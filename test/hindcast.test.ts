/** What `hindcast()` takes, and what it makes. */
/* oxlint-disable typescript/unbound-method -- that they may be taken off is what is tested */
import { type HindcastOptions, hindcast, isHindcastError, keep, memoryStore } from "hindcast";
import { describe, expect, test } from "vitest";
import { onlyCapsuleOf, storedBy } from "./record/recorded.js";

/** Options as plain JavaScript may give them. */
const make = (options: unknown): unknown => hindcast(options as HindcastOptions);

const invalid: readonly (readonly [string, unknown, RegExp])[] = [
  ["nothing", undefined, /hindcast\(\{ service \}\)/],
  ["null", null, /hindcast\(\{ service \}\)/],
  ["no service", {}, /hindcast\(\{ service \}\).*name the service/],
  ["an empty service", { service: "" }, /service/],
  ["a service that is a number", { service: 5 }, /service/],
  ["a service without a name", { service: { version: "1" } }, /service/],
  ["a service whose version is no text", { service: { name: "s", version: 3 } }, /service/],
  ["a store without append", { service: "s", store: { ...memoryStore(), append: undefined } }, /append/],
  ["a store that is a promise of one", { service: "s", store: Promise.resolve(memoryStore()) }, /store/],
  ["a store that is a text", { service: "s", store: "memory" }, /store/],
  ["a rule that was not called", { service: "s", keep: keep.errors }, /keep.*keep\.errors\(\)/],
  ["a rule among others that is none", { service: "s", keep: [keep.all(), "errors"] }, /keep/],
  ["a rule without a name", { service: "s", keep: { keeps: () => true } }, /name/],
  ["a mode that is none", { service: "s", contracts: "off" }, /"off".*"enforce".*"observe"/],
  ["queueBytes of 0", { service: "s", queueBytes: 0 }, /queueBytes: 0.*positive integer/],
  ["queueBytes as text", { service: "s", queueBytes: "64MiB" }, /queueBytes.*positive integer/],
  ["a limit of 0", { service: "s", limits: { depth: 0 } }, /limits\.depth.*positive integer/],
  ["a limit that is a fraction", { service: "s", limits: { valueBytes: 1.5 } }, /limits\.valueBytes/],
  ["a depth that could exhaust a stack", { service: "s", limits: { depth: 10_000 } }, /limits\.depth.*256/],
  ["a limit that does not exist", { service: "s", limits: { valueByte: 5 } }, /limits\.valueByte/],
  ["classes that are none", { service: "s", classes: ["Row"] }, /classes/],
  ["classes that are no list", { service: "s", classes: class Row {} }, /classes/],
  ["onError that is no function", { service: "s", onError: "log" }, /onError/],
  ["a logger that cannot warn", { service: "s", logger: {} }, /logger.*warn/],
];

test.each(invalid)("%s: refused at once, by code, with what to do", (_what, options, message) => {
  let error: unknown;
  try {
    make(options);
  } catch (thrown) {
    error = thrown;
  }
  expect(isHindcastError(error), String(error)).toBe(true);
  expect(error).toMatchObject({ code: "invalid-options", message: expect.stringMatching(message) });
});

describe("what it makes", () => {
  test("an instance with the given store, or one in memory", async () => {
    const store = memoryStore();
    expect(hindcast({ service: "s", store }).store).toBe(store);
    const hc = hindcast({ service: "s" });
    hc.tool({ name: "t" }, () => 1)();
    const [stored] = await storedBy(hc);
    expect(await hc.store.get(stored?.summary.id ?? "")).toEqual(stored);
  });

  test("methods that may be taken off it", async () => {
    const { tool, pipeline, now, store, infer } = hindcast({ service: "s" });
    const double = tool({ name: "double" }, (x: number) => x * 2);
    const score = infer({ name: "score", model: { name: "m", version: "1" } }, (x: number) => x + 1);
    expect(pipeline({ name: "flow" }, (x: number) => double(score(x)))(1)).toBe(4);
    expect(now()).toBeGreaterThan(1e12);
    expect(store).toBeDefined();
  });

  test("hc.random may be handed on where a generator is asked for, as Math.random may", () => {
    const { random, pipeline } = hindcast({ service: "s", seed: 1 });
    const draw = pipeline({ name: "flow" }, () => [1, 2].map(() => random()));
    expect(draw()).toEqual(draw());
    expect(random()).toBeLessThan(1);
  });

  test("counters that begin at nothing, and count what happens", async () => {
    const hc = hindcast({ service: "s", keep: keep.errors(), onError: () => undefined });
    expect(hc.stats()).toEqual({
      runs: { started: 0, ended: 0, discarded: 0, inexact: 0 },
      capsules: {
        waiting: 0,
        stored: 0,
        storedBytes: 0,
        lost: { queue: 0, codec: 0, store: 0, exit: 0 },
        lostByRule: {},
      },
      failures: expect.objectContaining({
        listener: 0,
        keep: 0,
        codec: 0,
        store: 0,
        version: 0,
        seed: 0,
        logger: 0,
      }),
    });
    const flow = hc.pipeline({ name: "flow" }, (fails: boolean) => {
      if (fails) throw new Error("failed");
    });
    flow(false);
    expect(() => flow(true)).toThrow("failed");
    expect(hc.stats()).toMatchObject({
      runs: { started: 2, ended: 2, discarded: 1, inexact: 0 },
      capsules: { waiting: 1 },
    });
    const [stored] = await storedBy(hc);
    expect(hc.stats().capsules).toMatchObject({
      waiting: 0,
      stored: 1,
      storedBytes: stored?.bytes.byteLength,
    });
  });

  test("stats are a copy, not a window", () => {
    const hc = hindcast({ service: "s" });
    const before = hc.stats();
    hc.tool({ name: "t" }, () => 1)();
    expect(before.runs.started).toBe(0);
    expect(hc.stats().runs.started).toBe(1);
  });

  test("a service may give its version", async () => {
    const hc = hindcast({ service: { name: "loans", version: "3.1" } });
    hc.tool({ name: "t" }, () => 1)();
    expect((await onlyCapsuleOf(hc)).service).toEqual({ name: "loans", version: "3.1" });
  });

  test("the array of rules may change afterwards: the instance keeps what it was given", async () => {
    const rules = [keep.all()];
    const hc = hindcast({ service: "s", keep: rules });
    rules.length = 0;
    hc.tool({ name: "t" }, () => 1)();
    expect(await storedBy(hc)).toHaveLength(1);
  });
});
