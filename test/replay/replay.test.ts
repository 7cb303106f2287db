import { hindcast, isHindcastError, memoryStore } from "hindcast";
import { explain, inputOf, outcomeOf, readCapsule, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import "hindcast/vitest";
import { newestCapsule } from "./newest-capsule.js";

const Application = z.object({ id: z.string(), debt: z.number(), income: z.number() });
const Features = z.object({ debtRatio: z.number(), note: z.string() });
const Score = z.object({ risk: z.number() });

interface Changes {
  readonly featureVersion?: string;
  readonly modelVersion?: string;
  readonly ratio?: (a: { debt: number; income: number }) => number;
  readonly predict?: (f: { debtRatio: number }) => number | Promise<number>;
  readonly features?: z.ZodType<{ debtRatio: number; note: string }>;
  readonly swapReads?: boolean;
  readonly extraRead?: boolean;
  readonly get?: (id: string) => Promise<unknown>;
}

/** A loan service; the changes are what somebody did to it after the recording. */
function loanService(changes: Changes = {}) {
  const hc = hindcast({ service: "loans", store: memoryStore() });
  const get = changes.get ?? ((id: string) => Promise.resolve({ id, debt: 300, income: 1000 }));
  const db = hc.effects("db", { get, rate: async () => 0.05 }, ["get", "rate"]);
  const load = hc.ingest(
    { name: "load", data: { name: "applications", version: "1" }, output: Application },
    async (id: string) => Application.parse(await db.get(id)),
  );
  const featurize = hc.feature(
    {
      name: "features",
      data: { name: "features", version: changes.featureVersion ?? "3" },
      input: Application,
      output: changes.features ?? Features,
    },
    (a) => ({ debtRatio: (changes.ratio ?? ((b) => b.debt / b.income))(a), note: a.id }),
  );
  const score = hc.infer(
    {
      name: "risk",
      model: { name: "risk", version: changes.modelVersion ?? "7" },
      input: Features,
      output: Score,
    },
    async (f) => ({ risk: await (changes.predict ?? ((g) => g.debtRatio * 0.5))(f) }),
  );
  const decide = hc.decide({ name: "approve", input: Score }, async (s) => {
    const at = changes.swapReads === true ? [await db.rate(), hc.now()] : [hc.now(), await db.rate()];
    if (changes.extraRead === true) await db.get("another");
    return { approved: s.risk + hc.random() * 0.01 < 0.3, at: Math.max(...at) };
  });
  const approve = hc.pipeline({ name: "approve-loan" }, async (id: string) =>
    decide(await score(featurize(await load(id)))),
  );
  return { hc, approve };
}

async function recordOne(changes: Changes = {}) {
  const { hc, approve } = loanService(changes);
  await approve("a-1").catch(() => undefined);
  await hc.flush();
  for await (const stored of hc.store.find()) return stored;
  throw new Error("nothing was recorded");
}

const unreachable = () => Promise.reject(new Error("the outside world was touched"));

describe("replay", () => {
  test("G4, G5: the same code is identical, and touches nothing outside", async () => {
    const stored = await recordOne();
    const { approve } = loanService({ get: unreachable });
    const result = await replay(stored, approve);
    expect(result.verdict).toBe("identical");
    expect(result.outcome).toEqual(result.recorded);
    expect(result.sameOutcome).toBe(true);
    expect(result.changes).toEqual([]);
    await expect(stored).toReplay(approve);
    // Bytes, and a capsule that has been read, are as good.
    expect((await replay(stored.bytes, approve)).verdict).toBe("identical");
    expect((await replay(readCapsule(stored), approve)).verdict).toBe("identical");
  });

  test("a capsule tells its input and outcome", async () => {
    const capsule = readCapsule(await recordOne());
    expect(inputOf(capsule)).toEqual(["a-1"]);
    expect(outcomeOf(capsule)).toMatchObject({ status: "ok", value: { approved: true } });
  });

  test("a replay is a capsule that replays", async () => {
    const { approve } = loanService({ get: unreachable });
    const first = await replay(await recordOne(), approve, { stages: { risk: () => ({ risk: 0.9 }) } });
    expect(first.outcome).toMatchObject({ value: { approved: false } });
    const changed = loanService({ get: unreachable, predict: () => 0.9 });
    const second = await replay(first.replayed, changed.approve);
    expect(explain(second)).toContain("identical");
    expect(first.replayed.id).not.toBe(readCapsule(await recordOne()).id);
  });

  test("an error is replayed with its class, code and cause", async () => {
    const failing = () =>
      Promise.reject(
        Object.assign(new RangeError("gone", { cause: new TypeError("inner") }), { code: "E_GONE" }),
      );
    const stored = await recordOne({ get: failing });
    const result = await replay(stored, loanService({ get: unreachable }).approve);
    expect(result.verdict).toBe("identical");
    expect(result.outcome.status === "error" && result.outcome.error).toBeInstanceOf(RangeError);
    expect(result.outcome).toMatchObject({
      error: { message: "gone", code: "E_GONE", cause: { message: "inner" } },
    });
  });
});

describe("G6: a divergence is explained", () => {
  async function diverge(changes: Changes, options: Parameters<typeof replay>[2] = {}) {
    const { approve } = loanService({ get: unreachable, ...changes });
    const result = await replay(await recordOne(), approve, options);
    if (result.verdict !== "diverged") throw new Error(explain(result));
    return result;
  }

  test("a changed feature function: the first stage it changes, the path, expected and actual", async () => {
    const { divergence } = await diverge({ ratio: (a) => a.debt / (a.income + 1) });
    expect(divergence).toMatchObject({
      stage: "features",
      call: "approve-loan > features",
      point: "output",
      path: "$.debtRatio",
      expected: 0.3,
      actual: 300 / 1001,
      // The stage's own text is as it was: what has changed is a function that it calls.
      cause: "uncontrolled",
    });
  });

  test("cause data: another feature version", async () => {
    const result = await diverge({ ratio: (a) => a.debt / (a.income + 1), featureVersion: "4" });
    expect(result.divergence.cause).toBe("data");
    expect(result.changes).toEqual(["stage features: data features@3 -> features@4"]);
  });

  test("cause model: another model version, and a model stood in for", async () => {
    expect((await diverge({ predict: (f) => f.debtRatio, modelVersion: "8" })).divergence).toMatchObject({
      stage: "risk",
      path: "$.risk",
      cause: "model",
    });
    const whatIf = await diverge({}, { stages: { risk: () => ({ risk: 0.9 }) } });
    expect(whatIf.divergence).toMatchObject({ stage: "risk", cause: "model", expected: 0.15, actual: 0.9 });
    expect(whatIf.sameOutcome).toBe(false);
    expect((await diverge({}, { stages: { risk: () => ({ risk: 0.16 }) } })).sameOutcome).toBe(true);
  });

  test("cause contract: another output contract", async () => {
    const features = z.object({ debtRatio: z.number().transform((x) => Math.round(x)), note: z.string() });
    const { divergence } = await diverge({ features });
    expect(divergence).toMatchObject({
      stage: "features",
      path: "$.debtRatio",
      actual: 0,
      cause: "contract",
    });
  });

  test("cause environment: the same declarations on another Node", async () => {
    const capsule = readCapsule(await recordOne());
    const elsewhere = { ...capsule, environment: { ...capsule.environment, node: "18.0.0" } };
    const { approve } = loanService({ get: unreachable, ratio: (a) => a.debt / a.income + 1e-17 * a.debt });
    const result = await replay(elsewhere, approve);
    expect(result.verdict === "diverged" && result.divergence.cause).toBe("environment");
    expect(result.changes).toContain(`node 18.0.0 -> ${process.versions.node}`);
  });

  test("a changed order of effects, told at once", async () => {
    const start = performance.now();
    const { divergence } = await diverge({ swapReads: true });
    expect(divergence).toMatchObject({ stage: "approve", point: "order" });
    expect(divergence.expected).toBe("approve-loan > approve begins effect clock.now");
    expect(divergence.actual).toBe("approve-loan > approve begins effect db.rate");
    expect(performance.now() - start).toBeLessThan(900);
  });

  test("G5: an effect that the capsule does not hold is a divergence, never a live call", async () => {
    const { divergence, outcome } = await diverge({ extraRead: true });
    expect(divergence).toMatchObject({ stage: "approve", effect: "db.get", point: "order" });
    expect(outcome.status === "error" && isHindcastError(outcome.error) && outcome.error.code).toBe(
      "effect-not-recorded",
    );
  });
});

describe("unresolved", () => {
  test("a capsule that does not hold all that the program needs", async () => {
    const hc = hindcast({ service: "s", limits: { valueBytes: 100 } });
    const entry = hc.pipeline({ name: "length" }, (text: string) => text.length);
    entry("x".repeat(1000));
    await hc.flush();
    for await (const stored of hc.store.find()) {
      expect(stored.summary.exact).toBe(false);
      const result = await replay(stored, entry);
      expect(result).toMatchObject({ verdict: "unresolved", reason: "incomplete" });
      expect(explain(result)).toContain('The input of "length" is not whole');
    }
  });

  test("a replay that does not come to its end", async () => {
    const hc = hindcast({ service: "s" });
    let hang = false;
    const entry = hc.pipeline({ name: "hangs" }, async () => {
      if (hang) await new Promise(() => undefined);
      return 1;
    });
    await entry();
    await hc.flush();
    hang = true;
    for await (const stored of hc.store.find()) {
      const result = await replay(stored, entry, { timeout: 50 });
      // What is recorded next is the end of the run, and it did not come.
      expect(result).toMatchObject({ verdict: "diverged", outcome: { status: "pending" } });
    }
  });
});

describe("bad input", () => {
  test("another entry, a bare function, an unknown stage or effect: typed errors that say what to do", async () => {
    const stored = await recordOne();
    const { hc, approve } = loanService();
    const other = hc.pipeline({ name: "other" }, () => 1);
    await expect(replay(stored, other)).rejects.toMatchObject({
      code: "replay-entry",
      message: /"approve-loan".*"other"/,
    });
    await expect(replay(stored, () => 1)).rejects.toMatchObject({ code: "replay-entry" });
    await expect(replay(stored, approve, { stages: { rsk: "live" } })).rejects.toMatchObject({
      code: "replay-capsule",
      message: /no stage "rsk"; it has: approve-loan, load, features, risk, approve/,
    });
    await expect(replay(stored, approve, { effects: { "db.got": "live" } })).rejects.toMatchObject({
      code: "replay-capsule",
      message: /it has: db.get, clock.now, db.rate/,
    });
    await expect(replay({} as never, approve)).rejects.toMatchObject({ code: "replay-capsule" });
    await expect(replay(stored.bytes.subarray(1), approve)).rejects.toMatchObject({
      code: "capsule-damaged",
    });
    await expect(replay(stored, approve, { patience: "soon" as never })).rejects.toMatchObject({
      code: "invalid-options",
    });
  });
});

describe("what if", () => {
  test("a recorded stage is not run, and the effects in it are passed over", async () => {
    const { approve } = loanService({ get: unreachable, ratio: () => Number.NaN });
    const result = await replay(await recordOne(), approve, {
      stages: { features: "recorded", load: "recorded" },
    });
    expect(explain(result)).toContain("identical");
  });

  test("a live effect is performed, and takes its recorded place", async () => {
    let asked = 0;
    const get = (id: string) => {
      asked += 1;
      return Promise.resolve({ id, debt: 900, income: 1000 });
    };
    const { approve } = loanService({ get });
    const result = await replay(await recordOne(), approve, { effects: { "db.get": "live" } });
    expect(asked).toBe(1);
    expect(result).toMatchObject({
      verdict: "diverged",
      divergence: { effect: "db.get", point: "effect-result", path: "$.debt", cause: "data" },
    });
  });

  test("a function stands in for an effect", async () => {
    const { approve } = loanService({ get: unreachable });
    const result = await replay(await recordOne(), approve, {
      effects: { "db.get": (id: string) => ({ id, debt: 300, income: 1000 }) },
    });
    expect(result.sameOutcome).toBe(true);
  });

  test("a slow live stage is waited for beyond the patience for order", async () => {
    const hc = hindcast({ service: "s" });
    const tick = hc.effect({ name: "tick" }, async (n: number) => n);
    const never = hc.effect({ name: "never" }, () => new Promise<number>(() => undefined));
    const slow = hc.infer({ name: "slow", model: { name: "m", version: "1" } }, async (n: number) => tick(n));
    const entry = hc.pipeline({ name: "races" }, async () => {
      const first = await Promise.race([never(), tick(1)]);
      const [a, b] = await Promise.all([slow(first), tick(5)]);
      return a + b;
    });
    await entry();
    await hc.flush();
    const stand = async (n: number) => {
      await new Promise((resolve) => setTimeout(resolve, 120));
      return n + 100;
    };
    for await (const stored of hc.store.find()) {
      const result = await replay(stored, entry, { stages: { slow: stand }, patience: 20 });
      expect(result.outcome).toEqual({ status: "ok", value: 106 });
      expect(result).toMatchObject({ verdict: "diverged", divergence: { stage: "slow", path: "$" } });
    }
  });
});

test("replays one after the other leave nothing behind for the event loop, though none takes a turn of it", async () => {
  const hc = hindcast({ service: "sums", store: memoryStore() });
  const one = hc.effect({ name: "one" }, () => 1);
  const sum = hc.pipeline({ name: "sum" }, async () => one() + one());
  await sum();
  const capsule = await newestCapsule(hc);
  const waiting = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === "Immediate" || name === "Timeout").length;
  const before = waiting();
  for (let count = 0; count < 100; count++) await replay(capsule, sum);
  expect(waiting()).toBe(before);
});

test("two native stages racing replay with the recorded winner", async () => {
  let [first, second] = [5, 25];
  const hc = hindcast({ service: "s", capture: { timers: false } });
  const native = (name: string, delay: () => number) =>
    hc.infer(
      { name, model: { name, version: "1" } },
      () => new Promise<string>((done) => setTimeout(done, delay(), name)),
    );
  const [a, b] = [native("a", () => first), native("b", () => second)];
  const entry = hc.pipeline({ name: "race" }, async () => {
    const order: string[] = [];
    await Promise.all([a().then((name) => order.push(name)), b().then((name) => order.push(name))]);
    return order;
  });
  expect(await entry()).toEqual(["a", "b"]);
  await hc.flush();
  [first, second] = [25, 5];
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry);
    expect(result).toMatchObject({ verdict: "identical", outcome: { value: ["a", "b"] } });
  }
});

test("undeclared waiting after a race with a loser is waited for as long as it took in the recording", async () => {
  const hc = hindcast({ service: "s", capture: { timers: false } });
  const wait = hc.effect(
    { name: "wait" },
    (delay: number) => new Promise((done) => setTimeout(done, delay).unref()),
  );
  const slow = hc.tool({ name: "slow" }, () => new Promise<number>((done) => setTimeout(done, 80, 1)));
  const staged = hc.pipeline({ name: "staged" }, async () => {
    await Promise.race([wait(1), wait(60_000)]);
    return slow();
  });
  const raw = hc.pipeline({ name: "raw" }, async () => {
    await Promise.race([wait(1), wait(60_000)]);
    await new Promise((done) => setTimeout(done, 80));
    return 1;
  });
  await staged();
  await raw();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const entry = stored.summary.pipeline === "raw" ? raw : staged;
    expect(explain(await replay(stored, entry, { patience: 20 }))).toContain("identical");
  }
});

test("text without UTF-8 in names and paths leaves a capsule readable", async () => {
  const hc = hindcast({ service: "s", contracts: "observe" });
  const entry = hc.decide(
    { name: "odd \ud800", input: z.record(z.string(), z.number()) },
    (fields) => fields,
  );
  entry({ "\ud800": "x" } as never);
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.pipeline).toBe("odd \ud800");
    expect(capsule.violations[0]?.issues[0]?.path).toEqual(["\ud800"]);
    expect((await replay(stored, entry)).verdict).toBe("identical");
  }
});

test("a live effect is waited for whatever it is called, also where something else never ends", async () => {
  const hc = hindcast({ service: "s" });
  const live = hc.effect({ name: "model.stream" }, () => new Promise((done) => setTimeout(done, 200, 1)));
  const never = hc.effect({ name: "never" }, () => new Promise<number>(() => undefined));
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const result = live();
    void never();
    return result;
  });
  expect(await entry()).toBe(1);
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry, { effects: { "model.stream": "live" }, patience: 20 });
    expect(result).toMatchObject({ verdict: "identical", outcome: { status: "ok", value: 1 } });
  }
  await hc.close();
});
