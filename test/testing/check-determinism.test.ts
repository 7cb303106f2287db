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
  expect(await checkDeterminism(entry, 1)).toEqual({ deterministic: true, noticed: [] });
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
  const report = await checkDeterminism(entry, 1);
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
    expect(await checkDeterminism(outer, 1)).toMatchObject({ deterministic: false, stage: "inner" });
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
