/** Which runs are kept, and why. */
import { type CapsuleSummary, type Failure, hindcast, keep, type KeepRule, type RunSummary } from "hindcast";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { storedBy } from "./recorded.js";

const model = { name: "risk", version: "7" };

async function summariesOf(rules: KeepRule | readonly KeepRule[] | undefined): Promise<CapsuleSummary[]> {
  const hc = hindcast({
    service: "keep",
    contracts: "observe",
    ...(rules === undefined ? {} : { keep: rules }),
  });
  const fine = hc.pipeline({ name: "fine" }, () => 1);
  const fail = hc.pipeline({ name: "fail" }, () => {
    throw new Error("failed");
  });
  const violate = hc.pipeline({ name: "violate", output: z.string() }, () => 1 as unknown as string);
  const slow = hc.pipeline({ name: "slow" }, () => new Promise((resolve) => setTimeout(resolve, 60)));
  fine();
  expect(fail).toThrow("failed");
  violate();
  await slow();
  const summaries = (await storedBy(hc)).map((stored) => stored.summary);
  expect(hc.stats().runs).toEqual({ started: 4, ended: 4, discarded: 4 - summaries.length, inexact: 0 });
  return summaries;
}

const kept = async (rules?: KeepRule | readonly KeepRule[]): Promise<string[]> =>
  (await summariesOf(rules)).map((summary) => `${summary.pipeline}: ${summary.kept}`);

test("everything, by default and by keep.all()", async () => {
  const all = ["fine: all", "fail: all", "violate: all", "slow: all"];
  expect(await kept()).toEqual(all);
  expect(await kept(keep.all())).toEqual(all);
});

test("errors, violations, slow runs; a rule may stand alone", async () => {
  expect(await kept(keep.errors())).toEqual(["fail: errors"]);
  expect(await kept([keep.violations()])).toEqual(["violate: violations"]);
  expect(await kept([keep.slowerThan("50ms")])).toEqual(["slow: slowerThan 50ms"]);
  expect(await kept([keep.slowerThan(50)])).toEqual(["slow: slowerThan 50"]);
  expect(await kept([keep.slowerThan("1h")])).toEqual([]);
});

test("several rules: each run is kept by the first that keeps it", async () => {
  expect(await kept([keep.errors(), keep.slowerThan("50ms"), keep.violations(), keep.sample(0)])).toEqual([
    "fail: errors",
    "violate: violations",
    "slow: slowerThan 50ms",
  ]);
  expect(await kept([keep.errors(), keep.all()])).toEqual([
    "fine: all",
    "fail: errors",
    "violate: all",
    "slow: all",
  ]);
});

test("a rule of one's own sees what is known of the run, and names the reason", async () => {
  const seen: RunSummary[] = [];
  const rule: KeepRule = {
    name: "risky",
    keeps: (run) => {
      seen.push(run);
      return run.versions.includes("risk@7");
    },
  };
  const hc = hindcast({ service: "keep", keep: [rule] });
  const score = hc.infer({ name: "score", model }, (x: number) => x);
  score(1);
  hc.pipeline({ name: "other" }, () => 1)();
  const stored = await storedBy(hc);
  expect(stored.map(({ summary }) => summary.kept)).toEqual(["risky"]);
  expect(seen).toHaveLength(2);
  expect(seen[0]).toEqual({
    id: stored[0]?.summary.id,
    service: "keep",
    pipeline: "score",
    startedAt: expect.any(Number),
    duration: expect.any(Number),
    status: "ok",
    violations: 0,
    versions: ["risk@7"],
    exact: true,
    traceId: undefined,
  });
});

test("durations are milliseconds", async () => {
  const [fine, , , slow] = await summariesOf(keep.all());
  expect(fine?.duration).toBeLessThan(50);
  expect(slow?.duration).toBeGreaterThan(50);
  expect(slow?.duration).toBeLessThan(5_000);
});

describe("keep.sample", () => {
  test.each([0.05, 0.3, 0.9])("keeps its share of the runs: %d", async (share) => {
    const runs = 4_000;
    const hc = hindcast({ service: "keep", keep: keep.sample(share) });
    const flow = hc.pipeline({ name: "flow" }, () => 1);
    for (let index = 0; index < runs; index++) flow();
    const discarded = hc.stats().runs.discarded;
    // Six standard deviations: once in 500 million runs of this test.
    const tolerance = 6 * Math.sqrt(runs * share * (1 - share));
    expect(Math.abs(runs - discarded - runs * share)).toBeLessThan(tolerance);
    await hc.close();
  });

  test("0 keeps none, 1 keeps all", () => {
    for (const [share, discarded] of [
      [0, 500],
      [1, 0],
    ] as const) {
      const hc = hindcast({ service: "keep", keep: keep.sample(share) });
      const flow = hc.pipeline({ name: "flow" }, () => 1);
      for (let index = 0; index < 500; index++) flow();
      expect(hc.stats().runs.discarded).toBe(discarded);
    }
  });

  test("chooses by the run's id: a larger share keeps all that a smaller one keeps", () => {
    const kept = new Map([0.1, 0.5].map((share) => [share, new Set<string>()]));
    const hc = hindcast({
      service: "keep",
      keep: [
        {
          name: "both",
          keeps: (run) => {
            for (const [share, ids] of kept) if (keep.sample(share).keeps(run)) ids.add(run.id);
            return false;
          },
        },
      ],
    });
    const flow = hc.pipeline({ name: "flow" }, () => 1);
    for (let index = 0; index < 1_000; index++) flow();
    const small = [...(kept.get(0.1) ?? [])];
    expect(small.length).toBeGreaterThan(0);
    expect(small.every((id) => kept.get(0.5)?.has(id))).toBe(true);
  });

  test.each([-0.1, 1.1, Number.NaN, "0.5", undefined])("refuses a share of %s", (share) => {
    expect(() => keep.sample(share as number)).toThrow(
      expect.objectContaining({ code: "invalid-options", message: expect.stringMatching(/from 0 to 1/) }),
    );
  });
});

test.each(["2 s", "fast", -1, Number.NaN, "", null])("keep.slowerThan refuses %s", (duration) => {
  expect(() => keep.slowerThan(duration as number)).toThrow(
    expect.objectContaining({
      code: "invalid-options",
      message: expect.stringContaining("keep.slowerThan()"),
    }),
  );
});

test.each([
  ["250ms", 250],
  ["0.5s", 500],
  ["1.5m", 90_000],
  ["2h", 7_200_000],
] as const)("keep.slowerThan(%s) is %d ms", (text, milliseconds) => {
  const { keeps } = keep.slowerThan(text);
  const run = { duration: milliseconds } as RunSummary;
  expect([keeps(run), keeps({ ...run, duration: milliseconds + 0.1 })]).toEqual([false, true]);
});

test("G2: a rule that throws keeps nothing, and the rules after it are asked", async () => {
  const failures: Failure[] = [];
  const error = new Error("rule");
  const broken: KeepRule = {
    name: "broken",
    keeps: () => {
      throw error;
    },
  };
  const hc = hindcast({
    service: "keep",
    keep: [broken, keep.errors()],
    onError: (failure) => void failures.push(failure),
  });
  expect(hc.pipeline({ name: "fine" }, () => 1)()).toBe(1);
  expect(
    hc.pipeline({ name: "fail" }, () => {
      throw new Error("failed");
    }),
  ).toThrow("failed");
  expect((await storedBy(hc)).map(({ summary }) => summary.kept)).toEqual(["errors"]);
  expect(failures).toEqual([{ source: "keep", error, message: expect.stringContaining("keep rule") }]);
  expect(hc.stats()).toMatchObject({ runs: { ended: 2, discarded: 1 }, failures: { keep: 2 } });
});

test("G11: an empty list records nothing: no capsule, no run, no look at any value", async () => {
  const hc = hindcast({ service: "keep", keep: [] });
  const untouchable = new Proxy(
    {},
    {
      get: touched,
      has: touched,
      ownKeys: touched,
      getPrototypeOf: touched,
      getOwnPropertyDescriptor: touched,
    },
  );
  const stage = hc.tool({ name: "stage" }, (value: object, other: object) => [value, other]);
  const flow = hc.pipeline({ name: "flow" }, (value: object) => stage(value, untouchable));
  expect(flow(untouchable)[0]).toBe(untouchable);
  expect(await storedBy(hc)).toEqual([]);
  expect(hc.stats()).toMatchObject({
    runs: { started: 0, ended: 0, discarded: 0 },
    capsules: { waiting: 0, stored: 0, storedBytes: 0 },
  });
});

function touched(): never {
  throw new Error("someone looked at the value");
}
