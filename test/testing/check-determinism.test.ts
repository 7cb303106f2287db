import { readFile } from "node:fs/promises";
import { hindcast } from "hindcast";
import { checkDeterminism } from "hindcast/testing";
import { describe, expect, test } from "vitest";

const hc = hindcast({ service: "checked", logger: { warn: () => undefined } });
const model = { name: "m", version: "1" };

test("a pipeline whose reads are captured or declared is deterministic, whichever way it ends", async () => {
  const config = hc.effect({ name: "config" }, async () => process.uptime());
  const entry = hc.pipeline({ name: "fine" }, async (x: number) => [
    x,
    Math.random(),
    Date.now(),
    await config(),
  ]);
  expect(await checkDeterminism(entry, [[1]])).toEqual({ deterministic: true, noticed: [] });
  const fails = hc.pipeline({ name: "fails" }, () => {
    throw new RangeError(String(Math.random()));
  });
  expect(await checkDeterminism(fails)).toEqual({ deterministic: true, noticed: [] });
  expect(hc.stats().runs.started).toBe(0);
});

test("the first stage that is not is named", async () => {
  const steady = hc.infer({ name: "steady", model }, (x: number) => x);
  const drifting = hc.infer({ name: "drifting", model }, (x: number) => ({ x, uptime: process.uptime() }));
  const entry = hc.pipeline({ name: "odd" }, (x: number) => drifting(steady(x)));
  const report = await checkDeterminism(entry, [[1]]);
  expect(report).toMatchObject({ deterministic: false, stage: "drifting" });
  expect(report.deterministic ? "" : report.explanation).toContain("$.uptime");
});

test("what was noticed while recording is told, though it did no harm", async () => {
  const raw = hc.tool({ name: "raw" }, async () => (await readFile(new URL(import.meta.url))).length > 0);
  const report = await checkDeterminism(hc.pipeline({ name: "reads" }, () => raw()));
  expect(report).toMatchObject({ deterministic: true });
  expect(report.deterministic ? report.noticed.join() : "").toMatch(
    /Stage "raw" used a file at .*check-determinism/,
  );
});

test("a bare function is refused", async () => {
  await expect(checkDeterminism(() => 1)).rejects.toMatchObject({ code: "replay-entry" });
});

describe("the stage that is named is the one whose own code is not deterministic", () => {
  /** What nobody declares: state that runs share. Another value at each call. */
  let reads = 0;
  const undeclared = (): number => {
    reads += 1;
    return reads;
  };
  const tick = hc.effect({ name: "tick" }, (ms: number) => new Promise((done) => setTimeout(done, ms, ms)));

  test("nested in others, whose outputs differ as well", async () => {
    const inner = hc.feature({ name: "inner", data: model }, async (x: number) => x + undeclared());
    const middle = hc.tool({ name: "middle" }, async (x: number) => [await tick(1), await inner(x)]);
    const outer = hc.pipeline({ name: "outer" }, async (x: number) => ({ all: await middle(x) }));
    expect(await checkDeterminism(outer, [[1]])).toMatchObject({ deterministic: false, stage: "inner" });
  });

  test("the caller, where it hands what it read to a stage", async () => {
    const score = hc.infer({ name: "score", model }, (x: number) => x);
    const middle = hc.tool({ name: "middle" }, async () => score(undeclared()));
    const entry = hc.pipeline({ name: "entry" }, async () => middle());
    const report = await checkDeterminism(entry);
    expect(report).toMatchObject({ deterministic: false, stage: "middle" });
    expect(report.deterministic ? "" : report.explanation).toContain('What is declared of "middle"');
  });

  test("one of several at once, whichever ends first", async () => {
    const steady = (name: string, ms: number) => hc.tool({ name }, async (x: number) => [await tick(ms), x]);
    const [a, b, c] = [steady("a", 4), steady("b", 1), steady("c", 3)];
    const odd = hc.tool({ name: "odd" }, async () => [await tick(2), undeclared()]);
    const entry = hc.pipeline({ name: "entry" }, () => Promise.all([a(1), odd(), b(1), c(1), a(2)]));
    expect(await checkDeterminism(entry)).toMatchObject({ deterministic: false, stage: "odd" });
  });

  test("the first of two, in the order in which they show", async () => {
    const odd = (name: string, ms: number) => hc.tool({ name }, async () => [await tick(ms), undeclared()]);
    const [late, early] = [odd("late", 8), odd("early", 1)];
    const entry = hc.pipeline({ name: "entry" }, () => Promise.all([late(), early()]));
    expect(await checkDeterminism(entry)).toMatchObject({ stage: "early" });
  });

  test("one that takes another way: which stages it calls depends on what it read", async () => {
    const [left, right] = [hc.tool({ name: "left" }, () => 1), hc.tool({ name: "right" }, () => 2)];
    let turn = 0;
    const chooses = hc.agent({ name: "chooses" }, async () => {
      await tick(1);
      turn += 1;
      return turn % 2 === 1 ? left() : right();
    });
    const entry = hc.pipeline({ name: "entry" }, async () => chooses());
    expect(await checkDeterminism(entry)).toMatchObject({ deterministic: false, stage: "chooses" });
  });

  test("one that asks for something else, or for more", async () => {
    const asks = hc.tool({ name: "asks" }, async () => tick((reads += 1)));
    expect(await checkDeterminism(hc.pipeline({ name: "p" }, async () => [await asks()]))).toMatchObject({
      stage: "asks",
    });
    let more = 0;
    const asksMore = hc.tool({ name: "asks-more" }, async () => {
      more += 1;
      for (let count = 0; count < more; count++) await tick(1);
    });
    expect(await checkDeterminism(hc.pipeline({ name: "p" }, async () => [await asksMore()]))).toMatchObject({
      stage: "asks-more",
    });
  });

  test("one that is called several times, of which one call differs", async () => {
    const score = hc.infer({ name: "score", model }, async (x: number) => (x === 2 ? undeclared() : x));
    const entry = hc.pipeline({ name: "entry" }, () => Promise.all([1, 2, 3].map((x) => score(x))));
    const report = await checkDeterminism(entry);
    expect(report).toMatchObject({ stage: "score" });
    expect(report.deterministic ? "" : report.explanation).toContain("entry > score#1: output");
  });

  test("one that was woken by something undeclared, and gave something else", async () => {
    const raw = hc.tool({ name: "raw" }, async () => {
      await readFile(new URL(import.meta.url));
      return undeclared();
    });
    const entry = hc.pipeline({ name: "entry" }, async () => [await tick(1), await raw()]);
    const report = await checkDeterminism(entry);
    expect(report).toMatchObject({ deterministic: false, stage: "raw", result: { verdict: "unresolved" } });
  });
});

describe("state that runs share", () => {
  const module = new URL("./shared-service.ts", import.meta.url);
  const named = (name: string) => ({ module, export: name });
  const cold = { execArgv: ["--conditions=hindcast-source", "--import", "tsx"] };
  const inputs = [[1], [2]] as [number][];

  test("undeclared, it is found in the first call or the later ones", async () => {
    const report = await checkDeterminism(named("undeclared"), inputs);
    expect(report).toMatchObject({ deterministic: false, stage: "cached" });
    if (report.deterministic) return;
    expect(new Set(report.findings.map(({ replayed }) => replayed))).toEqual(new Set(["here"]));
    expect(report.findings.map(({ cause }) => cause)).not.toContain("code");
    expect(report.explanation).toContain("a cache, a counter, a pool");
  });

  test("a counter", async () => {
    const report = await checkDeterminism(named("numbered"), inputs);
    expect(report).toMatchObject({ deterministic: false, stage: "numbered" });
  });

  test("a queue, many at once", async () => {
    const alone = await checkDeterminism(named("queued"), inputs);
    expect(alone).toEqual({ deterministic: true, noticed: [] });
    const report = await checkDeterminism(named("queued"), inputs, { concurrency: 6 });
    expect(report).toMatchObject({ deterministic: false });
    if (report.deterministic) return;
    expect(report.findings.every(({ run }) => run === "at once")).toBe(true);
    expect(report.noticed.join()).toContain('"queued" ended');
  });

  test("what was made before the first run is found in a fresh process alone", async () => {
    const { warmUp, warm } = await import("./shared-service.js");
    warmUp();
    expect(await checkDeterminism(warm, inputs, { concurrency: 3 })).toEqual({
      deterministic: true,
      noticed: [],
    });
    const report = await checkDeterminism(named("warm"), inputs, { cold });
    expect(report).toMatchObject({ deterministic: false, stage: "load" });
    if (report.deterministic) return;
    expect(report.findings).toHaveLength(4);
    expect(report.findings[0]).toMatchObject({
      run: "first",
      replayed: "in a fresh process",
      cause: "uncontrolled",
    });
    expect(report.explanation).toMatch(/^input 0, first, replayed in a fresh process, and 3 more like it/);
  }, 60_000);

  test("declared, it is deterministic: alone, again, at once, and in a fresh process", async () => {
    const report = await checkDeterminism(named("fine"), inputs, { concurrency: 4, cold });
    expect(report).toEqual({ deterministic: true, noticed: [] });
  }, 60_000);

  test("mistakes are told", async () => {
    const { fine } = await import("./shared-service.js");
    await expect(checkDeterminism(fine, inputs, { cold: true })).rejects.toThrow(
      /name it: \{ module: new URL/,
    );
    await expect(checkDeterminism(fine, [1] as never)).rejects.toThrow(/a list of lists of arguments/);
    await expect(checkDeterminism(fine, inputs, { concurrency: 0 })).rejects.toThrow(/an integer from 1/);
    await expect(checkDeterminism(named("none"), inputs)).rejects.toThrow(/exports no function "none"/);
    const broken = { module, export: "fine" };
    const execArgv = ["--conditions=hindcast-source"];
    await expect(checkDeterminism(broken, inputs, { cold: { execArgv } })).rejects.toThrow(
      /The fresh process ended with 1 and without an answer/,
    );
  });
});
