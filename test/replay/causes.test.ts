/** G6: each cause class, produced through the public API, and read as a person would read it. */
import { readFile } from "node:fs/promises";
import { hindcast, memoryStore } from "hindcast";
import {
  type Capsule,
  type Cause,
  compareCapsules,
  explain,
  readCapsule,
  replay,
  type ReplayOptions,
  storedCapsule,
} from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { newestCapsule } from "./newest-capsule.js";

interface Service {
  readonly weight?: number;
  /** A variable that the feature function reads: no part of its text. */
  readonly offset?: number;
  readonly featureVersion?: string;
  readonly modelVersion?: string;
  readonly output?: z.ZodType<{ ratio: number }>;
  /** Whether the pipeline itself adds something to what the model is given. */
  readonly nudge?: number;
  readonly predict?: (ratio: number) => number;
}

function service({
  weight = 1,
  offset = 0,
  featureVersion = "3",
  modelVersion = "7",
  output,
  nudge = 0,
  predict,
}: Service = {}) {
  const hc = hindcast({ service: "loans", logger: { warn: () => undefined } });
  const read = hc.effect({ name: "db.get" }, async (id: string) => ({ id, debt: 300, income: 1000 }));
  const featurize = hc.feature(
    {
      name: "features",
      data: { name: "features", version: featureVersion },
      output: output ?? z.object({ ratio: z.number() }),
    },
    weight === 1
      ? (row: { debt: number; income: number }) => ({ ratio: row.debt / row.income + offset })
      : (row: { debt: number; income: number }) => ({ ratio: (weight * row.debt) / row.income }),
  );
  const score = hc.infer(
    { name: "risk", model: { name: "risk", version: modelVersion } },
    async ({ ratio }: { ratio: number }) => ({ risk: predict?.(ratio) ?? ratio / 2 }),
  );
  const approve = hc.pipeline(
    { name: "approve" },
    nudge === 0
      ? async (id: string) => (await score(featurize(await read(id)))).risk < 0.2
      : async (id: string) => {
          const { ratio } = featurize(await read(id));
          return (await score({ ratio: ratio + nudge })).risk < 0.2;
        },
  );
  return { hc, approve };
}

/** Records the service as it was, and replays it as it is. */
async function diverge(now: Service, options: ReplayOptions = {}, alter = (capsule: Capsule) => capsule) {
  const was = service();
  await was.approve("a-1");
  const capsule = alter(readCapsule(await newestCapsule(was.hc)));
  const result = await replay(capsule, service(now).approve, options);
  if (result.verdict === "identical" || result.divergence === undefined) throw new Error(explain(result));
  return { result, divergence: result.divergence, report: explain(result) };
}

function expectCause(report: string, cause: Cause): void {
  expect(report).toContain(`cause     ${cause}\n`);
}

describe("code", () => {
  test("a line of a feature function was edited", async () => {
    const { divergence, report } = await diverge({ weight: 2 });
    expect(divergence).toMatchObject({ stage: "features", origin: "features", path: "$.ratio" });
    expectCause(report, "code");
    expect(report).toContain("at        approve > features: output $.ratio");
    expect(report).toContain("expected  0.3\nactual    0.6");
    expect(report).toContain('What is declared of "features" and the environment are as they were, but ');
    expect(report).toContain("the code has changed: stage features: its source text.");
    expect(report).toContain("changed   stage features: its source text");
  });

  test("of the caller, where a stage is called with another input, whatever is declared of that stage", async () => {
    const { divergence, report } = await diverge({ nudge: 0.1, modelVersion: "8" });
    expect(divergence).toMatchObject({ stage: "risk", origin: "approve", point: "input", cause: "code" });
    expect(report).toContain('What is declared of "approve" and the environment are as they were');
    expect(report).toContain("changed   stage risk: model risk@7 -> risk@8");
  });

  test("the revision, or the service's version, is another one", async () => {
    const elsewhere = (capsule: Capsule): Capsule =>
      readCapsule(
        storedCapsule({
          ...capsule,
          revision: "0123456789".repeat(4),
          service: { name: "loans", version: "1.0" },
        }),
      );
    const { divergence, result, report } = await diverge({ offset: 1 }, {}, elsewhere);
    expect(divergence.cause).toBe("code");
    expect(report).toMatch(/the code has changed: revision 012345678901 -> [\da-f]{12}\./);
    expect(report).toContain('The text of "features" itself is as it was: what it calls may have changed.');
    expect(result.changes).toEqual([expect.stringMatching(/^revision 012345678901 -> /)]);
  });

  test("cannot be told of a capsule whose format does not say which code was recorded", async () => {
    const old = ({ revision: _revision, captures: _captures, ...capsule }: Capsule): Capsule => ({
      ...capsule,
      format: 2,
      stages: capsule.stages.map(({ source: _source, ...stage }) => stage),
    });
    const { report } = await diverge({ weight: 2 }, {}, old);
    expectCause(report, "code");
    expect(report).toContain("Which of the two cannot be told");
  });
});

test("contract: another output contract", async () => {
  const output = z.object({ ratio: z.number().transform((ratio) => Math.round(ratio)) });
  const { divergence, report } = await diverge({ output });
  expect(divergence).toMatchObject({ stage: "features", path: "$.ratio", expected: 0.3, actual: 0 });
  expectCause(report, "contract");
  expect(report).toContain('The contract of "features" has changed since the recording.');
  expect(report).toMatch(/changed {3}stage features: output contract sha256:\w+ -> /);
});

describe("model", () => {
  test("another version of the model answers otherwise", async () => {
    const { divergence, report } = await diverge({ modelVersion: "8", predict: (ratio) => ratio });
    expect(divergence).toMatchObject({ stage: "risk", point: "output", path: "$.risk", actual: 0.3 });
    expectCause(report, "model");
    expect(report).toContain('The model of "risk" is another one than in the recording.');
    expect(report).toContain("changed   stage risk: model risk@7 -> risk@8");
  });

  test("a function stands in for the model", async () => {
    const { divergence, report } = await diverge({}, { stages: { risk: () => ({ risk: 0.9 }) } });
    expect(divergence).toMatchObject({ stage: "risk", point: "output", path: "$.risk", actual: 0.9 });
    expectCause(report, "model");
    expect(report).toContain("given     stage risk: a function");
    expect(report).toContain("It was substituted, as the replay's options say.");
  });

  test("a stand-in that gets another input is not to blame for it", async () => {
    const { divergence } = await diverge({ nudge: 1 }, { stages: { risk: () => ({ risk: 0.9 }) } });
    expect(divergence).toMatchObject({ stage: "risk", origin: "approve", point: "input", cause: "code" });
  });

  test("each call is judged by the version that it was made with", async () => {
    const ranking = (versions: readonly string[], factor: number) => {
      const hc = hindcast({ service: "s" });
      const model = (_x: number, call: number) => ({ name: "m", version: versions[call] ?? "" });
      const score = hc.infer(
        { name: "score", model },
        (x: number, call: number) => (call === 1 ? factor : 1) * x,
      );
      return { hc, entry: hc.pipeline({ name: "rank" }, () => [score(1, 0), score(1, 1)]) };
    };
    const was = ranking(["1", "1"], 1);
    was.entry();
    const result = await replay(await newestCapsule(was.hc), ranking(["1", "2"], 2).entry);
    expect(result).toMatchObject({
      verdict: "diverged",
      divergence: { call: "rank > score#1", cause: "model" },
    });
  });
});

describe("data", () => {
  test("the feature's data is of another version", async () => {
    const { report } = await diverge({ weight: 2, featureVersion: "4" });
    expectCause(report, "data");
    expect(report).toContain('The data of "features" is of another version than in the recording.');
    expect(report).toContain("changed   stage features: data features@3 -> features@4");
  });

  test("an effect was stood in for", async () => {
    const { divergence, report } = await diverge(
      {},
      { effects: { "db.get": async (id: string) => ({ id, debt: 900, income: 1000 }) } },
    );
    expect(divergence).toMatchObject({ effect: "db.get", point: "effect-result", path: "$.debt" });
    expectCause(report, "data");
    expect(report).toContain("at        approve, effect db.get: effect-result $.debt");
    expect(report).toContain("given     effect db.get: a function");
  });

  test("the replay was given another input", async () => {
    const { report } = await diverge({}, { input: ["b-2"] });
    expectCause(report, "data");
    expect(report).toContain("given     another input");
  });
});

describe("environment", () => {
  const elsewhere = (capsule: Capsule): Capsule => ({
    ...capsule,
    environment: { ...capsule.environment, node: "18.0.0", icu: "70.1", timezone: "Asia/Kathmandu" },
  });
  /** As a store gives it, so that the altered fields have been through the format. */
  const stored = (capsule: Capsule): Capsule => readCapsule(storedCapsule(elsewhere(capsule)));

  test("wins over code, and is told first", async () => {
    const { result, report } = await diverge({ offset: 2 ** -53 }, {}, stored);
    expectCause(report, "environment");
    const { node, icu } = process.versions;
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    expect(result.environment).toEqual([
      `node 18.0.0 -> ${node}`,
      `icu 70.1 -> ${icu}`,
      `timezone Asia/Kathmandu -> ${timeZone}`,
    ]);
    expect(result.changes).toEqual(result.environment);
    expect(report.split("\n")[1]).toBe(`runs on   another environment: ${result.environment.join(", ")}`);
    expect(report).toContain("If it is identical in the recorded environment, the code has not changed.");
  });

  test("gives way to what is declared of the stage", async () => {
    const { divergence } = await diverge({ weight: 2, featureVersion: "4" }, {}, stored);
    expect(divergence.cause).toBe("data");
  });

  test("that is another is told of an identical replay too", async () => {
    const was = service();
    await was.approve("a-1");
    const result = await replay(stored(readCapsule(await newestCapsule(was.hc))), was.approve);
    expect(result.verdict).toBe("identical");
    expect(explain(result)).toContain("runs on   another environment: node 18.0.0 -> ");
  });
});

describe("uncontrolled", () => {
  test("the code is the one that was recorded: it is never accused, and the verdict is a finding", async () => {
    const { result, divergence, report } = await diverge({ offset: 0.1 });
    expect(result.verdict).toBe("diverged");
    expect(divergence).toMatchObject({ stage: "features", point: "output", cause: "uncontrolled" });
    expect(report).toContain(
      "the code is the one that was recorded, so it read something undeclared: a cache, a counter, a pool",
    );
    expect(report).toContain('Declare what "features" reads');
  });

  test("a function whose text hides what it does is not accused either", async () => {
    const state = { calls: 0 };
    const bodies: (() => number)[] = [
      function (this: typeof state) {
        return ++this.calls;
      }.bind(state),
      new Proxy(() => ++state.calls, {}),
    ];
    for (const body of bodies) {
      const hc = hindcast({ service: "s" });
      const entry = hc.pipeline({ name: "counts" }, body);
      entry();
      const stored = await newestCapsule(hc);
      expect(readCapsule(stored).stages[0]?.source).toBeUndefined();
      expect(await replay(stored, entry)).toMatchObject({
        verdict: "diverged",
        divergence: { cause: "uncontrolled", stage: "counts" },
      });
    }
  });

  test("something undeclared woke the program, and was noticed: nothing can be concluded", async () => {
    const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
    let reads = 0;
    const limit = hc.tool({ name: "limit" }, async () => {
      await readFile(new URL(import.meta.url));
      reads += 1;
      return reads;
    });
    const entry = hc.pipeline({ name: "checks" }, async () => (await limit()) * 2);
    await entry();
    const result = await replay(await newestCapsule(hc), entry);
    const report = explain(result);
    expect(result).toMatchObject({ verdict: "unresolved", reason: "incomplete" });
    expectCause(report, "uncontrolled");
    expect(report).toContain("at        checks > limit: output $");
    expect(report).toContain("declare it with hc.effect()");
  });

  test("a capsule that holds a marker where the program needs a value", async () => {
    const hc = hindcast({ service: "s", limits: { valueBytes: 64 }, logger: { warn: () => undefined } });
    const read = hc.effect({ name: "read" }, async () => "x".repeat(1_000));
    const entry = hc.pipeline({ name: "measures" }, async () => (await read()).length);
    await entry();
    const report = explain(await replay(await newestCapsule(hc), entry));
    expectCause(report, "uncontrolled");
    expect(report).toContain("raise limits.valueBytes");
  });

  test("in a what-if as well: what the options say is told apart from it", async () => {
    const hc = hindcast({ service: "s", limits: { valueBytes: 64 }, logger: { warn: () => undefined } });
    const entry = hc.pipeline({ name: "measures" }, (text: string) => text.length);
    entry("x".repeat(1_000));
    const capsule = await newestCapsule(hc);
    // The input that is not whole is not needed any more.
    const result = await replay(capsule, entry, { input: ["four"] });
    expect(result).toMatchObject({
      verdict: "diverged",
      outcome: { value: 4 },
      divergence: { point: "input", cause: "data" },
    });
  });
});

describe("two runs that are no replays of each other", () => {
  test("differ by what they were given", async () => {
    const hc = hindcast({ service: "s", store: memoryStore() });
    const entry = hc.pipeline({ name: "p" }, (x: number) => x + Math.random());
    const capsules: Capsule[] = [];
    for (const x of [1, 2, 2]) {
      entry(x);
      capsules.push(readCapsule(await newestCapsule(hc)));
    }
    const [one, two, twin] = capsules as [Capsule, Capsule, Capsule];
    expect(compareCapsules(one, two)).toMatchObject({
      point: "input",
      cause: "data",
      message: expect.stringContaining("The two runs were given different inputs."),
    });
    expect(compareCapsules(two, twin)).toMatchObject({
      point: "output",
      cause: "data",
      message: expect.stringContaining(`The two runs had different seeds: ${two.seed} and ${twin.seed}.`),
    });
    expect(compareCapsules(two, twin, { tolerance: 1 })).toBeUndefined();
    expect(compareCapsules(storedCapsule(one), storedCapsule(one).bytes)).toBeUndefined();
    expect(() => compareCapsules(one, {} as never)).toThrow(/Not a capsule/);
    expect(() => compareCapsules(null as never, one)).toThrow(/Not a capsule/);
    expect(() => compareCapsules(one, two, { tolerance: -1 })).toThrow(/compareCapsules\(\{ tolerance \}\)/);
  });
});
