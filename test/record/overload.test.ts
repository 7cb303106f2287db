/** G8: a queue that is full loses what is worth least, and says what it lost, why, and by which rule. */
import { type Hindcast, hindcast, type HindcastOptions, keep, type KeepRule } from "hindcast";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { storedBy } from "./recorded.js";
import { gatedStore } from "./stores.js";

interface Overloaded {
  readonly hc: Hindcast;
  /** Runs, each of a text of its own, that fail or do not. */
  readonly run: (kind: "fine" | "fails" | "violates" | "special", count: number) => void;
  /** Kept by which rule, of those that were stored in the end. */
  readonly stored: () => Promise<Record<string, number>>;
}

/** An instance whose store takes nothing until the end, and whose queue has room for about 20 runs. */
function overloaded(options: Partial<HindcastOptions>): Overloaded {
  const gate = gatedStore();
  const hc = hindcast({
    service: "overload",
    store: gate.store,
    queueBytes: 200_000,
    contracts: "observe",
    onError: () => undefined,
    ...options,
  });
  const body = (text: string): string => {
    if (text.startsWith("fails")) throw new Error("failed");
    return text;
  };
  const flow = hc.pipeline({ name: "flow", output: z.string().regex(/^(?!violates)/) }, body);
  let made = 0;
  return {
    hc,
    run(kind, count) {
      for (let index = 0; index < count; index++) {
        const text = `${kind} ${made++}`.padEnd(2_500, "x");
        if (kind === "fails") expect(() => flow(text)).toThrow("failed");
        else expect(flow(text)).toBe(text);
      }
    },
    async stored() {
      gate.open();
      const kept: Record<string, number> = {};
      for (const { summary } of await storedBy(hc)) {
        const what = `${summary.kept}, ${summary.status}`;
        kept[what] = (kept[what] ?? 0) + 1;
      }
      return kept;
    },
  };
}

describe("samples give way", () => {
  test.each<[string, "fails" | "violates", KeepRule[], string]>([
    ["to failures", "fails", [keep.errors(), keep.sample(1)], "errors, error"],
    [
      "to failures, also where the sample is named first",
      "fails",
      [keep.sample(1), keep.errors()],
      "errors, error",
    ],
    ["to violations", "violates", [keep.violations(), keep.all()], "violations, ok"],
    ["to failures that are kept as one of all", "fails", [keep.all()], "all, error"],
  ])("%s", async (_what, kind, rules, kept) => {
    const { hc, run, stored } = overloaded({ keep: rules });
    run("fine", 100);
    const before = hc.stats().capsules;
    expect(before.waiting).toBeGreaterThan(10);
    run(kind, 10);
    expect(hc.stats().capsules.lost.queue).toBeGreaterThan(before.lost.queue);
    expect((await stored())[kept]).toBe(10);
  });

  test("to slow runs", async () => {
    const { hc, run, stored } = overloaded({ keep: [keep.slowerThan(0), keep.sample(1)] });
    run("fine", 5);
    expect(await stored()).toEqual({ "slowerThan 0, ok": 5 });
    expect(hc.stats().capsules.lostByRule).toEqual({});
  });
});

test("failures do not give way to failures, or to samples: the newcomer is lost", async () => {
  const { hc, run, stored } = overloaded({ keep: [keep.errors(), keep.sample(1)] });
  run("fails", 50);
  const { waiting } = hc.stats().capsules;
  run("fine", 50);
  const { capsules } = hc.stats();
  expect(capsules.lostByRule).toEqual({
    errors: { queue: 50 - waiting, codec: 0, store: 0, exit: 0 },
    "sample 1": { queue: 50, codec: 0, store: 0, exit: 0 },
  });
  expect(capsules.lost.queue).toBe(100 - waiting);
  expect(await stored()).toEqual({ "errors, error": waiting });
});

describe("priority of a rule of one's own", () => {
  const special: KeepRule = { name: "special", keeps: () => true };

  test("without one it is worth as much as a failure", async () => {
    const { run, stored } = overloaded({
      keep: [{ ...special, keeps: (one) => one.status === "ok" }, keep.errors()],
    });
    run("special", 100);
    run("fails", 10);
    expect((await stored())["errors, error"]).toBeUndefined();
  });

  test("below 0 it is asked last, and gives way to samples", async () => {
    const low: KeepRule = { ...special, name: "low", priority: -1 };
    const isEven = (id: string): boolean => Number.parseInt(id.slice(-1), 16) % 2 === 0;
    const even: KeepRule = { name: "even", priority: 0, keeps: ({ id }) => isEven(id) };
    const { run, stored } = overloaded({ keep: [low, even] });
    run("fine", 200);
    expect(Object.keys(await stored())).toEqual(["even, ok"]);
  });

  test("above 1 failures give way to it", async () => {
    const high: KeepRule = { name: "high", priority: 2, keeps: ({ status }) => status === "ok" };
    const { run, stored } = overloaded({ keep: [keep.errors(), high] });
    run("fails", 100);
    run("special", 10);
    expect((await stored())["high, ok"]).toBe(10);
  });

  test.each([Number.NaN, Infinity, "high", null])("%s is refused", (priority) => {
    expect(() =>
      hindcast({ service: "s", keep: { name: "r", keeps: () => true, priority: priority as number } }),
    ).toThrow(
      expect.objectContaining({
        code: "invalid-options",
        message: expect.stringContaining('priority of "r"'),
      }),
    );
  });
});

test("flush waits for what was kept before it, whoever gives way meanwhile", async () => {
  const { hc, run, stored } = overloaded({ keep: [keep.errors(), keep.sample(1)] });
  run("fine", 100);
  let flushed = false;
  const flushing = hc.flush().then(() => (flushed = true));
  run("fails", 10);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushed).toBe(false);
  await stored();
  await flushing;
  expect(hc.stats().capsules.waiting).toBe(0);
});

test("G8: what waits takes about as much memory as it is counted for", async () => {
  const { hc, run } = overloaded({ keep: keep.all(), queueBytes: 2 ** 40 });
  run("fine", 1);
  const small = hc.pipeline({ name: "small" }, (index: number) => index);
  for (let index = 0; index < 1_000; index++) small(index);
  const bounded = overloaded({ keep: keep.all(), queueBytes: 1_000_000 });
  const smallest = bounded.hc.pipeline({ name: "small" }, (index: number) => index);
  for (let index = 0; index < 1_000; index++) smallest(index);
  // A run of one number takes 4 kB until it is encoded: not thousands of such runs to the megabyte.
  expect(bounded.hc.stats().capsules.waiting).toBeLessThan(250);
  expect(bounded.hc.stats().capsules.waiting).toBeGreaterThan(150);
  await hc.close({ timeout: 0 });
});
