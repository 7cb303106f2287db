/** What is one run: who is its root, who belongs to it, and that runs do not mix. */
import { setTimeout as sleep } from "node:timers/promises";
import { type CurrentRun, hindcast } from "hindcast";
import { expect, test } from "vitest";
import { callsOf, callTree, capsulesOf, effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const data = { name: "d", version: "1" };
const model = { name: "m", version: "7", digest: "sha256:abc" };

test("a stage outside any pipeline is its own root, whatever its kind", async () => {
  const hc = hindcast({ service: "run" });
  const ingest = hc.ingest({ name: "load", data }, (id: string) => ({ id }));
  expect(ingest("a")).toEqual({ id: "a" });
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule)).toEqual(["load"]);
  expect(capsule.pipeline).toBe("load");
  expect(capsule.stages[0]).toMatchObject({ kind: "ingest", data, model: undefined });
});

test("stages called in a pipeline are part of its run, also through promises, timers and other functions", async () => {
  const hc = hindcast({ service: "run" });
  const step = hc.tool({ name: "step" }, async (x: number) => x + 1);
  const flow = hc.pipeline({ name: "flow" }, async (x: number) => {
    const first = await step(x);
    await sleep(1);
    const second = await new Promise<number>((resolve) => setTimeout(() => resolve(step(first)), 1));
    queueMicrotask(() => void step(100));
    return Promise.resolve(second).then((value) => step(value));
  });
  expect(await flow(0)).toBe(3);
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule)).toEqual([
    "flow",
    "flow > step",
    "flow > step#1",
    "flow > step#2",
    "flow > step#3",
  ]);
  expect(
    callsOf(capsule, "step")
      .map((call) => Number(call.input[0]))
      .sort((a, b) => a - b),
  ).toEqual([0, 1, 2, 100]);
});

test("a pipeline called in a pipeline is a stage of the outer run", async () => {
  const hc = hindcast({ service: "run" });
  const leaf = hc.tool({ name: "leaf" }, (x: number) => x * 2);
  const inner = hc.pipeline({ name: "inner", seed: 5 }, async (x: number) => leaf(x));
  const outer = hc.pipeline({ name: "outer", seed: 9 }, async (x: number) => inner(await inner(x)));
  expect(await outer(1)).toBe(4);
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule)).toEqual([
    "outer",
    "outer > inner",
    "outer > inner > leaf",
    "outer > inner#1",
    "outer > inner#1 > leaf",
  ]);
  expect(capsule.seed).toBe(9);
  expect(capsule.stages.map((stage) => stage.kind)).toEqual(["pipeline", "pipeline", "tool"]);
});

test("a stage may call itself", async () => {
  const hc = hindcast({ service: "run" });
  const factorial: (n: number) => number = hc.tool({ name: "factorial" }, (n: number) =>
    n <= 1 ? 1 : n * factorial(n - 1),
  );
  expect(factorial(4)).toBe(24);
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule).at(-1)).toBe("factorial > factorial > factorial > factorial");
  expect(callsOf(capsule, "factorial").map((call) => call.outcome)).toEqual(
    [24, 6, 2, 1].map((value) => ({ status: "ok", value })),
  );
});

test("G2: a stage may stand 250 calls deep", () => {
  const hc = hindcast({ service: "run" });
  const depth: (n: number) => number = hc.tool({ name: "depth" }, (n: number) =>
    n === 0 ? 0 : 1 + depth(n - 1),
  );
  expect(depth(250)).toBe(250);
});

test("an error caught within the run leaves the run ok", async () => {
  const hc = hindcast({ service: "run" });
  const fail = hc.tool({ name: "fail" }, () => {
    throw new Error("inner");
  });
  const flow = hc.pipeline({ name: "flow" }, () => {
    try {
      return fail();
    } catch {
      return "rescued"; // the stage's failure is the pipeline's to judge
    }
  });
  expect(flow()).toBe("rescued");
  const [stored] = await storedBy(hc);
  expect(stored?.summary.status).toBe("ok");
});

test("50 runs at once do not mix: values, effects, seeds, ids", async () => {
  const hc = hindcast({ service: "run" });
  const wait = hc.effect({ name: "wait" }, async (label: string) => {
    await sleep(Math.random() * 10);
    return `waited ${label}`;
  });
  const seen = new Map<string, Set<string>>();
  const note = (label: string): void => {
    const ids = seen.get(label) ?? new Set<string>();
    ids.add(hc.current()?.id ?? "none");
    seen.set(label, ids);
  };
  const step = hc.tool({ name: "step" }, async (label: string) => {
    note(label);
    const result = await wait(label);
    note(label);
    return result;
  });
  const flow = hc.pipeline(
    { name: "flow", seed: (label: string) => Number(label) },
    async (label: string) => {
      note(label);
      const all = await Promise.all([step(label), step(label), wait(label)]);
      note(label);
      await Promise.resolve();
      note(label);
      return { label, all, seed: hc.current()?.seed };
    },
  );
  const labels = Array.from({ length: 50 }, (_, index) => String(index));
  const results = await Promise.all(labels.map((label) => flow(label)));
  for (const [index, result] of results.entries()) {
    expect(result).toEqual({
      label: labels[index],
      all: Array.from({ length: 3 }, () => `waited ${index}`),
      seed: index,
    });
  }
  expect([...seen.values()].map((ids) => ids.size)).toEqual(labels.map(() => 1));
  expect(new Set([...seen.values()].flatMap((ids) => [...ids])).size).toBe(50);

  const capsules = await capsulesOf(hc);
  expect(capsules).toHaveLength(50);
  for (const capsule of capsules) {
    const label = String(capsule.seed);
    expect([...(seen.get(label) ?? [])]).toEqual([capsule.id]);
    expect(capsule.calls).toHaveLength(3);
    for (const effect of effectsOf(capsule)) {
      expect(effect).toEqual({
        name: "wait",
        input: [label],
        outcome: { status: "ok", value: `waited ${label}` },
      });
    }
  }
});

test("hc.current() tells the run and the innermost stage, and nothing outside of runs", async () => {
  const hc = hindcast({ service: "run" });
  const currents: (CurrentRun | undefined)[] = [];
  const look = (): void => void currents.push(hc.current());
  const infer = hc.infer({ name: "score", model }, async () => look());
  const load = hc.ingest({ name: "load", data }, look);
  const flow = hc.pipeline({ name: "flow" }, async () => {
    look();
    load();
    await infer();
    look();
  });
  look();
  await flow();
  look();
  const { id, seed } = await onlyCapsuleOf(hc);
  const run = { id, seed, traceId: undefined, pipeline: "flow", data: undefined, model: undefined };
  expect(currents).toEqual([
    undefined,
    { ...run, stage: "flow" },
    { ...run, stage: "load", data },
    { ...run, stage: "score", model },
    { ...run, stage: "flow" },
    undefined,
  ]);
});

test("ids of runs sort by the time at which they began", async () => {
  const hc = hindcast({ service: "run" });
  const flow = hc.pipeline({ name: "flow" }, () => hc.current()?.id ?? "");
  const ids: string[] = [];
  for (let index = 0; index < 5; index++) {
    ids.push(flow());
    await sleep(2);
  }
  expect(new Set(ids).size).toBe(5);
  expect([...ids].sort()).toEqual(ids);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

test("two instances nested in each other each record their own run, and disturb neither", async () => {
  const one = hindcast({ service: "one", seed: 1 });
  const two = hindcast({ service: "two", seed: 2 });
  const seeds: (number | undefined)[][] = [];
  const look = (): void => void seeds.push([one.current()?.seed, two.current()?.seed]);
  const oneInner = one.tool({ name: "one-inner" }, async (x: number) => {
    look();
    return x + one.random();
  });
  const twoOuter = two.pipeline({ name: "two-outer" }, async (x: number) => {
    look();
    return (await oneInner(x)) + two.random();
  });
  const oneOuter = one.pipeline({ name: "one-outer" }, async (x: number) => {
    look();
    const result = await twoOuter(x);
    look();
    return result;
  });
  const first = await oneOuter(0);
  expect(await oneOuter(0)).toBe(first);
  expect(seeds.slice(0, 4)).toEqual([
    [1, undefined],
    [1, 2],
    [1, 2],
    [1, undefined],
  ]);
  expect((await capsulesOf(one)).map(callTree)).toEqual(
    Array.from({ length: 2 }, () => ["one-outer", "one-outer > one-inner"]),
  );
  expect((await capsulesOf(two)).map(callTree)).toEqual([["two-outer"], ["two-outer"]]);
});

test("an effect of one instance in a run of another is just a function", async () => {
  const one = hindcast({ service: "one" });
  const two = hindcast({ service: "two" });
  const now = two.effect({ name: "fetch" }, async (x: number) => x);
  const flow = one.pipeline({ name: "flow" }, (x: number) => now(x));
  expect(await flow(3)).toBe(3);
  expect((await onlyCapsuleOf(one)).effects).toEqual([]);
  expect(await capsulesOf(two)).toEqual([]);
});
