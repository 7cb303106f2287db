/** Versions, and the chance of a call. */
import fc from "fast-check";
import { type Failure, hindcast, type Version } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { capsulesOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

test("versions known beforehand are in the capsule and in its summary", async () => {
  const hc = hindcast({ service: "versions" });
  const digest = "sha256:0123";
  const load = hc.ingest({ name: "load", data: { name: "set", version: "3", digest } }, () => 1);
  const both = hc.infer(
    { name: "both", model: { name: "m", version: "7" }, data: { name: "prompt", version: "2" } },
    (x: number) => x,
  );
  hc.pipeline({ name: "flow" }, () => both(load()))();
  const [stored] = await storedBy(hc);
  expect(stored?.summary.versions).toEqual(["set@3", "prompt@2", "m@7"]);
  expect((await onlyCapsuleOf(hc)).stages.slice(1)).toMatchObject([
    { name: "load", data: { name: "set", version: "3", digest }, model: undefined },
    { name: "both", data: { name: "prompt", version: "2" }, model: { name: "m", version: "7" } },
  ]);
});

test("versions may be functions of the stage's input: all arguments of it, at each call", async () => {
  const hc = hindcast({ service: "versions" });
  const load = hc.ingest(
    { name: "load", data: (region: string, year: number) => ({ name: region, version: String(year) }) },
    (region: string, year: number) => `${region}${year}`,
  );
  const score = hc.infer(
    { name: "score", model: (variant: string) => ({ name: "m", version: variant }) },
    (_variant: string) => hc.current()?.model,
  );
  const flow = hc.pipeline({ name: "flow" }, () => [
    load("eu", 2025),
    load("us", 2026),
    load("eu", 2025),
    score("b"),
  ]);
  expect(flow().at(-1)).toEqual({ name: "m", version: "b" });
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule.stages.filter((stage) => stage.name === "load").map((stage) => stage.data)).toEqual([
    { name: "eu", version: "2025", digest: undefined },
    { name: "us", version: "2026", digest: undefined },
  ]);
  const [first, second, third] = capsule.calls.slice(1).map((call) => call.stage);
  expect(third).toBe(first);
  expect(second).not.toBe(first);
});

test("G2: a version function that throws: the call is fine, the version unknown, and someone is told", async () => {
  const failures: Failure[] = [];
  const hc = hindcast({ service: "versions", onError: (failure) => void failures.push(failure) });
  const error = new Error("no registry");
  const score = hc.infer(
    {
      name: "score",
      model: () => {
        throw error;
      },
    },
    (x: number) => x + 1,
  );
  expect([score(1), score(2)]).toEqual([2, 3]);
  const [capsule] = await capsulesOf(hc);
  expect(capsule?.stages[0]?.model).toEqual({ name: "unknown", version: "unknown", digest: undefined });
  expect(failures).toEqual([{ source: "version", error, message: expect.stringContaining("version") }]);
  expect(hc.stats().failures.version).toBe(2);
});

const notVersions: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["undefined", undefined],
  ["a text", "7"],
  ["a number for a version", { name: "m", version: 7 }],
  ["no version", { name: "m" }],
  ["a digest that is no text", { name: "m", version: "1", digest: 5n }],
  ["a promise of one", Promise.resolve({ name: "m", version: "1" })],
  [
    "one whose getters throw",
    {
      get name(): string {
        throw new Error("getter");
      },
      version: "1",
    },
  ],
];

test.each(notVersions)(
  "G2: a version function that gives %s costs no capsule: its version is unknown",
  async (_what, version) => {
    const hc = hindcast({ service: "versions", onError: () => undefined });
    const score = hc.infer({ name: "score", model: () => version as Version }, (x: number) => x + 1);
    expect(score(1)).toBe(2);
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.stages[0]?.model).toEqual({ name: "unknown", version: "unknown", digest: undefined });
    expect(hc.stats().failures.version).toBe(1);
  },
);

test("G3: a version is recorded as it was at the call, whatever becomes of its object", async () => {
  const hc = hindcast({ service: "versions" });
  const current = { name: "m", version: "1" };
  const score = hc.infer({ name: "score", model: () => current }, () => 1);
  const flow = hc.pipeline({ name: "flow" }, () => {
    score();
    current.version = "2";
    score();
    current.version = "3";
  });
  flow();
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule.stages.slice(1).map((stage) => stage.model?.version)).toEqual(["1", "2"]);
});

test("hc.random(): the same for the same seed and stage, and in [0, 1)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 1, max: 20 }), (seed, count) => {
      const draw = (): number[] => {
        const hc = hindcast({ service: "random", seed });
        const draws = hc.tool({ name: "draws" }, () => Array.from({ length: count }, () => hc.random()));
        return hc.pipeline({ name: "flow" }, () => [hc.random(), ...draws(), hc.random()])();
      };
      const first = draw();
      expect(draw()).toEqual(first);
      expect(first.every((one) => one >= 0 && one < 1)).toBe(true);
      expect(new Set(first).size).toBe(first.length);
    }),
    { numRuns: 50 },
  );
});

test("hc.random(): other seeds, stages and calls of a stage draw other numbers", () => {
  const drawn = new Set<number>();
  let count = 0;
  for (const seed of [0, 1, 2, 2 ** 32 - 1]) {
    const hc = hindcast({ service: "random", seed });
    const a = hc.tool({ name: "a" }, () => hc.random());
    const b = hc.tool({ name: "b" }, () => hc.random());
    for (const draw of hc.pipeline({ name: "flow" }, () => [hc.random(), a(), a(), b()])()) {
      drawn.add(draw);
      count += 1;
    }
  }
  expect(drawn.size).toBe(count);
});

test("hc.random(): one stage's draws never shift another's", async () => {
  const drawWith = (extra: number): number => {
    const hc = hindcast({ service: "random", seed: 11 });
    const greedy = hc.tool({ name: "greedy" }, () => Array.from({ length: extra }, () => hc.random()));
    const modest = hc.tool({ name: "modest" }, () => hc.random());
    return hc.pipeline({ name: "flow" }, () => {
      for (let index = 0; index < extra; index++) hc.random();
      greedy();
      return modest();
    })();
  };
  expect(drawWith(1)).toBe(drawWith(0));
  expect(drawWith(50)).toBe(drawWith(0));
});

test("hc.random(): concurrent stages draw from streams of their own, in whatever order they run", async () => {
  const run = async (delays: readonly number[]): Promise<number[]> => {
    const hc = hindcast({ service: "random", seed: 3 });
    const draw = hc.tool({ name: "draw" }, async (delay: number) => {
      await new Promise((resolve) => setTimeout(resolve, delay));
      return hc.random();
    });
    return hc.pipeline({ name: "flow" }, () => Promise.all(delays.map((delay) => draw(delay))))();
  };
  expect(await run([6, 3, 0])).toEqual(await run([0, 3, 6]));
});

test("hc.random(): a run is uniform enough not to be noticed", () => {
  const hc = hindcast({ service: "random", seed: 1 });
  const draws = hc.pipeline({ name: "flow" }, () => Array.from({ length: 20_000 }, () => hc.random()))();
  const mean = draws.reduce((sum, one) => sum + one, 0) / draws.length;
  // The seed is fixed, so this is no matter of luck.
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
});

test("hc.random(): outside of runs it is Math.random, and inside of effects too", async () => {
  const hc = hindcast({ service: "random", seed: 1 });
  const inEffect = hc.effect({ name: "draw" }, () => hc.random());
  const flow = hc.pipeline({ name: "flow" }, () => inEffect());
  expect(new Set([hc.random(), hc.random(), flow(), flow()]).size).toBe(4);
});

test("G4: hc.random() draws the same in a replay, without an entry in the log", async () => {
  const hc = hindcast({ service: "random" });
  const flow = hc.pipeline({ name: "flow" }, async () => [hc.random(), hc.random()]);
  const drawn = await flow();
  const [stored] = await storedBy(hc);
  expect((await onlyCapsuleOf(hc)).effects).toEqual([]);
  const result = await replay(stored!, flow);
  expect(result).toMatchObject({ verdict: "identical", outcome: { status: "ok", value: drawn } });
});
