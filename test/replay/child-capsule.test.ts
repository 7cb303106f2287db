import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { fileStore, hindcast, isHindcastError, memoryStore, type StoredCapsule } from "hindcast";
import {
  compareCapsules,
  explain,
  readCapsule,
  replay,
  type ReplayOptions,
  storedCapsule,
  type Substitute,
} from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { encodeCapsule } from "../../src/capsule/encode-capsule.js";
import { onlyCapsuleOf } from "../record/recorded.js";
import { prepare, programs, type Step } from "../programs/program.js";
import { startRandomServer } from "../programs/random-server.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 2_000 : 200;
const AT_ONCE = 20;
const LIMITS = { patience: 60, timeout: 3_000 };

interface WhatIf {
  readonly effects: Readonly<Record<string, "function">>;
  readonly stages: Readonly<Record<string, "function" | "recorded">>;
  readonly seed: boolean;
  readonly clock: boolean;
  readonly input: boolean;
}

const stageNames = ["stage-a", "stage-b", "stage-c", "pipeline-a", "sync-a", "sync-b"];
const whatIfs: fc.Arbitrary<WhatIf> = fc.record({
  effects: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constant("function" as const), { maxKeys: 2 }),
  stages: fc.dictionary(
    fc.constantFrom(...stageNames),
    fc.constantFrom("function" as const, "recorded" as const),
    {
      maxKeys: 2,
    },
  ),
  seed: fc.boolean(),
  clock: fc.boolean(),
  input: fc.boolean(),
});

/** Deterministic in what it gives, and not in when. */
async function standIn(...input: unknown[]): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
  if (JSON.stringify(input).length % 5 === 0) throw new RangeError("the stand-in refuses");
  return `instead of ${String(input[0])}`;
}

/** What is wrong, or undefined. */
async function check(
  program: Step,
  whatIf: WhatIf,
  server: string,
  tally: { pending: number; different: number },
): Promise<string | undefined> {
  const hc = hindcast({ service: "programs", store: memoryStore() });
  const runnable = prepare(
    hc,
    program,
    async (name, delay, fails) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
      if (fails) throw new RangeError(name);
      return name;
    },
    server,
  );
  const signal = AbortSignal.timeout(10);
  await runnable.entry(7, signal).catch(() => undefined);
  await hc.flush();
  runnable.live = false;
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    const capsule = readCapsule(stored);
    const known = (names: readonly string[], chosen: WhatIf["stages"]): Record<string, Substitute> =>
      Object.fromEntries(
        Object.entries(chosen)
          .filter(([name]) => names.includes(name))
          .map(([name, how]) => [name, how === "function" ? standIn : how]),
      );
    const replaced = {
      stages: known(
        capsule.stages.map(({ name }) => name),
        whatIf.stages,
      ),
      effects: known(
        capsule.effects.map(({ name }) => name),
        whatIf.effects,
      ),
      ...LIMITS,
    } satisfies ReplayOptions;
    const result = await replay(capsule, runnable.entry, {
      ...replaced,
      ...(whatIf.seed && { seed: 99 }),
      ...(whatIf.clock && { clock: new Date("2001-02-03") }),
      ...(whatIf.input && { input: [8, AbortSignal.abort()] }),
    });
    const seen = JSON.stringify(runnable.observations());
    const hasEnded = result.outcome.status !== "pending";
    if (!hasEnded) tally.pending += 1;
    if (result.verdict !== "identical") tally.different += 1;
    const child = result.replayed;
    await hc.store.append([storedCapsule(child)]);
    const kept = await hc.store.get(child.id);
    if (kept === undefined) return "the child is not in the store";
    // Of stages and effects that the child no longer has, nothing needs to be said.
    const own = (names: readonly string[], given: Record<string, Substitute>) =>
      Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
    const again = await replay(kept, runnable.entry, {
      stages: own(
        child.stages.map(({ name }) => name),
        replaced.stages,
      ),
      effects: own(
        child.effects.map(({ name }) => name),
        replaced.effects,
      ),
      ...LIMITS,
    });
    const opaque = Object.keys(replaced.stages);
    const difference = compareCapsules(kept, again.replayed, { opaque });
    const sawTheSame = !hasEnded || JSON.stringify(runnable.observations()) === seen;
    const isIdentical = again.verdict === "identical" && again.sameOutcome && sawTheSame;
    if (isIdentical && difference === undefined) return undefined;
    return `${JSON.stringify({ program, whatIf })}\n${explain(again)}\n${difference?.message ?? ""}`;
  }
  return "nothing was recorded";
}

test(`G4: ${COUNT} what-ifs of random programs are capsules that can be stored, replayed and compared`, async () => {
  const tally = { pending: 0, different: 0 };
  await using server = await startRandomServer();
  const sample = fc.sample(fc.tuple(programs, whatIfs), COUNT);
  const failures: string[] = [];
  for (let start = 0; start < sample.length; start += AT_ONCE) {
    const batch = sample
      .slice(start, start + AT_ONCE)
      .map(([program, whatIf], index) => check(program, whatIf, `${server.url}/${start + index}`, tally));
    for (const failure of await Promise.all(batch)) if (failure !== undefined) failures.push(failure);
  }
  console.log(
    `what-ifs: ${COUNT} made, ${tally.different} diverged or asked what is not recorded, ${tally.pending} did not end; ` +
      `${COUNT - failures.length} replayed from their own capsules`,
  );
  expect(failures.slice(0, 2)).toEqual([]);
  expect(failures.length).toBe(0);
  expect(tally.different).toBeGreaterThan(COUNT / 2);
}, 600_000);

describe("the capsule of a replay", () => {
  test("names its parent, and what was otherwise, through the format and a store of files", async () => {
    const dir = mkdtempSync(join(tmpdir(), "hindcast-child-"));
    const hc = hindcast({ service: { name: "s", version: "2" } });
    const model = { name: "risk", version: "7" };
    const risk = hc.infer({ name: "risk", model }, (x: number) => ({ risk: x / 10 }));
    const entry = hc.pipeline({ name: "entry" }, (x: number) => risk(x).risk < 0.5);
    entry(3);
    const parent = await onlyCapsuleOf(hc);
    expect(parent.parent).toBeUndefined();
    const what = await replay(parent, entry, {
      input: [8],
      stages: { risk: (x: number) => ({ risk: x / 100 }) },
    });

    const store = fileStore({ dir });
    await store.append([storedCapsule(what.replayed)]);
    await store.close();
    const found: StoredCapsule[] = [];
    for await (const one of fileStore({ dir }).find({ version: "risk@7" })) found.push(one);
    const [kept, ...others] = found;
    rmSync(dir, { recursive: true });
    expect(others).toEqual([]);
    expect(kept?.summary).toMatchObject({
      id: what.replayed.id,
      pipeline: "entry",
      service: "s",
      startedAt: parent.startedAt,
      status: "ok",
      violations: 0,
      versions: ["risk@7"],
      exact: true,
      kept: "replay",
    });
    const child = readCapsule(kept as never);
    expect(encodeCapsule(child)).toEqual(encodeCapsule(what.replayed));
    expect(child.id).not.toBe(parent.id);
    expect(child.parent).toEqual({
      id: parent.id,
      run: parent.id,
      changes: ["another input", "stage risk: a function"],
    });
  });

  test("its program is told the id of the run that was recorded live, in every generation", async () => {
    const hc = hindcast({ service: "s" });
    const entry = hc.pipeline({ name: "entry" }, () => ({ run: hc.current()?.id, seed: hc.current()?.seed }));
    const { run } = entry();
    const first = await replay(await onlyCapsuleOf(hc), entry);
    const second = await replay(first.replayed, entry, { seed: 3 });
    const third = await replay(second.replayed, entry);
    expect([first.verdict, second.verdict, third.verdict]).toEqual(["identical", "diverged", "identical"]);
    expect(third.outcome).toEqual({ status: "ok", value: { run, seed: 3 } });
    expect(third.replayed.parent).toMatchObject({ id: second.replayed.id, run });
  });

  test("whose root did not end is stored as an error, replays as identical, and compares", async () => {
    const hc = hindcast({ service: "s" });
    const ask = hc.effect({ name: "ask" }, async () => 1);
    const entry = hc.pipeline({ name: "entry" }, async () => (await ask()) + (await ask()));
    await entry();
    const parent = await onlyCapsuleOf(hc);
    let asked = 0;
    const effects = { ask: () => (++asked % 2 === 1 ? Promise.resolve(1) : new Promise(() => undefined)) };
    const hung = await replay(parent, entry, { effects, timeout: 60 });
    expect(hung).toMatchObject({ verdict: "diverged", outcome: { status: "pending" }, sameOutcome: false });
    if (hung.verdict === "diverged") expect(hung.divergence).toMatchObject({ effect: "ask", cause: "data" });

    const stored = storedCapsule(hung.replayed);
    expect(stored.summary).toMatchObject({ status: "error", duration: 0 });
    const store = memoryStore();
    await store.append([stored]);
    const kept = await store.get(hung.replayed.id);
    if (kept === undefined) throw new Error("not stored");

    const start = performance.now();
    const recorded = await replay(kept, entry, { patience: 50 });
    expect(explain(recorded)).toBe("verdict   identical\noutcome   did not end");
    expect(recorded).toMatchObject({ recorded: { status: "pending" }, sameOutcome: true });
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(compareCapsules(kept, recorded.replayed)).toBeUndefined();
    // The same again, live.
    expect((await replay(kept, entry, { effects, timeout: 60 })).verdict).toBe("identical");
    // One that does come to its end has diverged from it.
    const ended = await replay(kept, entry, { effects: { ask: () => 1 } });
    expect(ended).toMatchObject({ verdict: "diverged", outcome: { value: 2 }, sameOutcome: false });
    expect(compareCapsules(kept, parent)).toMatchObject({
      point: "order",
      actual: "entry is given the result of effect ask#1",
    });
  });

  test("is not changed by what its program does after it was given up", async () => {
    const hc = hindcast({ service: "s", capture: { timers: false } });
    let isSlow = false;
    const ask = hc.effect({ name: "ask" }, (x: number) => x);
    const score = hc.tool({ name: "score" }, (x: number) => x);
    const entry = hc.pipeline({ name: "entry" }, async () => {
      if (isSlow) await new Promise((done) => setTimeout(done, 80));
      return [ask(1), score(2)];
    });
    await entry();
    isSlow = true;
    const given = await replay(await onlyCapsuleOf(hc), entry, { timeout: 20 });
    expect(given.outcome.status).toBe("pending");
    const before = structuredClone(given.replayed.events);
    await new Promise((done) => setTimeout(done, 150));
    expect(given.replayed.events).toEqual(before);
    expect(readCapsule(storedCapsule(given.replayed)).events).toEqual(before);
  });

  test("says what its parent said of what is undeclared, unless that stage was stood in for", async () => {
    const hc = hindcast({ service: "s", capture: { timers: false }, logger: { warn: () => undefined } });
    const ask = hc.effect({ name: "ask" }, async () => 1);
    const raw = hc.tool({ name: "raw" }, () => new Promise<number>((done) => setTimeout(done, 5, 1)));
    const entry = hc.pipeline({ name: "entry" }, async () => [await raw(), await ask()]);
    await entry();
    const parent = await onlyCapsuleOf(hc);
    expect(parent.replayable.reasons.map(({ name }) => name)).toContain("raw");
    const { replayed } = await replay(parent, entry);
    expect(replayed.replayable).toEqual(parent.replayable);
    const { replayed: frozen } = await replay(parent, entry, { stages: { raw: async () => 1 } });
    expect(frozen.replayable).toEqual({ exact: true, reasons: [] });
    // What began unprompted then is waited for now as well.
    expect(explain(await replay(replayed, entry, { patience: 10 }))).toContain("identical");
  });

  test("a refused effect gives the program the same error in the next replay", async () => {
    const hc = hindcast({ service: "s" });
    let isNosy = false;
    const ask = hc.effect({ name: "ask" }, async (x: number) => x);
    const entry = hc.pipeline({ name: "entry" }, async () => {
      await ask(1);
      if (!isNosy) return "fine";
      return ask(2).catch((error: unknown) => (isHindcastError(error) ? error.code : "another error"));
    });
    await entry();
    isNosy = true;
    const first = await replay(await onlyCapsuleOf(hc), entry);
    expect(first.outcome).toEqual({ status: "ok", value: "effect-not-recorded" });
    expect(first.replayed.replayable.exact).toBe(true);
    expect(explain(await replay(storedCapsule(first.replayed), entry))).toContain("identical");
  });

  test("what was made up is recorded, and shifts no draw of the program", async () => {
    const hc = hindcast({ service: "s" });
    let isNosy = false;
    const entry = hc.pipeline({ name: "entry" }, () => {
      const ids = isNosy ? [randomUUID(), randomUUID()] : [];
      return [...ids, Math.random()];
    });
    const [draw] = entry();
    isNosy = true;
    const first = await replay(await onlyCapsuleOf(hc), entry);
    expect(first.outcome).toMatchObject({ value: [expect.any(String), expect.any(String), draw] });
    const again = await replay(first.replayed, entry);
    expect(again.verdict).toBe("identical");
    expect(again.outcome).toEqual(first.outcome);
  });
});
