import { setTimeout as wait } from "node:timers/promises";
import { hindcast } from "hindcast";
import { describeCapsule, explain, inputOf, replay, type ReplayResult, readCapsule } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { newestCapsule } from "./newest-capsule.js";

const rows = new Map([
  ["a-1", { debt: 300, income: 1000 }],
  ["b-2", { debt: 900, income: 1000 }],
]);

function loanService() {
  const hc = hindcast({ service: "loans" });
  const db = hc.effects("db", { get: async (id: string) => rows.get(id) }, ["get"]);
  const load = hc.ingest({ name: "load", data: { name: "rows", version: "1" } }, (id: string) => db.get(id));
  const approve = hc.pipeline({ name: "approve" }, async (id: string) => {
    const row = await load(id);
    return { approved: (row?.debt ?? 0) < 500, reviewed: hc.random() < 0.5, draw: Math.random() };
  });
  return { hc, approve };
}

function diverged(result: ReplayResult) {
  if (result.verdict !== "diverged") throw new Error(explain(result));
  return result.divergence;
}

describe("another input", () => {
  test("is the first divergence, by construction, and the report says so", async () => {
    const { hc, approve } = loanService();
    await approve("a-1");
    const capsule = await newestCapsule(hc);
    const result = await replay(capsule, approve, { input: ["b-2"] });
    if (result.verdict !== "unresolved") throw new Error(explain(result));
    expect(result).toMatchObject({ reason: "stale", sameOutcome: undefined });
    const { divergence } = result;
    expect(divergence).toMatchObject({
      stage: "approve",
      origin: "approve",
      point: "input",
      path: "$",
      expected: "a-1",
      actual: "b-2",
      cause: "data",
      message: expect.stringContaining("The replay was given another input, as its options say."),
    });
    expect(result.given).toEqual(["another input"]);
    expect(inputOf(result.replayed)).toEqual(["b-2"]);
    // The record has one answer, to another question: it is not given.
    expect(result.outcome).toMatchObject({ status: "error", error: { code: "effect-stale" } });
    expect(result.stale).toEqual([
      {
        effect: "db.get",
        call: "approve > load",
        path: "$[0]",
        expected: "a-1",
        actual: "b-2",
        given: "refused",
      },
    ]);
    expect(explain(result)).toContain("given     another input");
    expect(explain(result)).toContain(
      "stale     effect db.get in approve > load was asked 'b-2' at $[0], recorded is 'a-1': refused",
    );
  });

  test("with its effects live, gives what would have been decided", async () => {
    const { hc, approve } = loanService();
    await approve("a-1");
    const options = { input: ["b-2"], effects: { "db.get": "live" } } as const;
    const result = await replay(await newestCapsule(hc), approve, options);
    expect(result.outcome).toMatchObject({ value: { approved: false } });
    expect(result.notes).toEqual([]);
    expect(result.given).toEqual(["another input", "effect db.get: live"]);
    expect(result.replayed.parent?.changes).toEqual(result.given);
  });

  test("that is the recorded one is identical", async () => {
    const { hc, approve } = loanService();
    await approve("a-1");
    expect(explain(await replay(await newestCapsule(hc), approve, { input: ["a-1"] }))).toContain(
      "identical",
    );
  });
});

describe("another seed", () => {
  test("draws otherwise, and the report says why", async () => {
    const { hc, approve } = loanService();
    await approve("a-1");
    const capsule = readCapsule(await newestCapsule(hc));
    const result = await replay(capsule, approve, { seed: 12 });
    expect(diverged(result)).toMatchObject({
      stage: "approve",
      point: "output",
      cause: "data",
      message: expect.stringContaining("The replay was given another seed, as its options say."),
    });
    expect(result.given).toEqual([`seed ${capsule.seed} -> 12`]);
    expect(result.replayed.seed).toBe(12);
    // The same seed twice is the same run.
    const again = await replay(capsule, approve, { seed: 12 });
    expect(again.outcome).toEqual(result.outcome);
    expect(explain(await replay(capsule, approve, { seed: capsule.seed }))).toContain("identical");
  });

  test("that nothing draws from changes nothing", async () => {
    const hc = hindcast({ service: "s" });
    const entry = hc.pipeline({ name: "steady" }, (x: number) => x + 1);
    entry(1);
    expect((await replay(await newestCapsule(hc), entry, { seed: 5 })).verdict).toBe("identical");
  });
});

describe("another clock", () => {
  const day = 24 * 3600 * 1000;

  test("shifts the readings of the time of day, and leaves the others", async () => {
    const hc = hindcast({ service: "s" });
    const entry = hc.pipeline({ name: "times" }, async () => {
      const times = [Date.now(), new Date().getTime(), hc.now()];
      const monotonic = performance.now();
      await wait(3);
      return { times: [...times, Date.now()], monotonic };
    });
    const recorded = await entry();
    const capsule = readCapsule(await newestCapsule(hc));
    for (const clock of [capsule.startedAt - day, new Date(capsule.startedAt + 3 * day)]) {
      const result = await replay(capsule, entry, { clock });
      const by = Number(clock) - capsule.startedAt;
      expect(result.outcome).toEqual({
        status: "ok",
        value: { times: recorded.times.map((time) => time + by), monotonic: recorded.monotonic },
      });
      expect(diverged(result)).toMatchObject({
        effect: "Date.now",
        point: "effect-result",
        cause: "data",
        message: expect.stringContaining("The replay was given another clock, as its options say."),
      });
      expect(result.replayed.startedAt).toBe(Number(clock));
      expect(result.given[0]).toMatch(/^clock \d{4}-.*Z -> \d{4}-.*Z$/);
    }
    expect(explain(await replay(capsule, entry, { clock: capsule.startedAt }))).toContain("identical");
  });

  test("is the one that is made up where the record has no reading", async () => {
    const hc = hindcast({ service: "s" });
    let isCurious = false;
    const entry = hc.pipeline({ name: "maybe" }, () => (isCurious ? Date.now() : 0));
    entry();
    isCurious = true;
    const result = await replay(await newestCapsule(hc), entry, { clock: 86_400_000 });
    expect(result.outcome).toEqual({ status: "ok", value: 86_400_000 });
  });
});

test("options that make no sense are refused, each with what to give", async () => {
  const { hc, approve } = loanService();
  await approve("a-1");
  const capsule = await newestCapsule(hc);
  const refused: [object, RegExp][] = [
    [{ input: "b-2" }, /replay\(\{ input \}\): give a list of the entry's arguments/],
    [{ seed: -1 }, /replay\(\{ seed \}\) is -1: give an integer from 0 to 4294967295/],
    [{ seed: 1.5 }, /integer/],
    [{ clock: "noon" }, /replay\(\{ clock \}\): give the time to begin at/],
    [{ clock: new Date(Number.NaN) }, /clock/],
    [{ clock: 1e99 }, /clock/],
    [{ tolerance: -1 }, /replay\(\{ tolerance \}\) is -1: give how far apart/],
    [{ tolerance: "small" }, /tolerance/],
    [{ tolerance: null }, /tolerance/],
    [{ tolerance: { absolut: 1 } }, /tolerance/],
    [{ tolerance: { relative: Number.NaN } }, /tolerance/],
    [{ stages: { load: "dead" } }, /give "recorded", "live" or a function/],
  ];
  for (const [options, message] of refused) {
    await expect(replay(capsule, approve, options as never), JSON.stringify(options)).rejects.toMatchObject({
      code: "invalid-options",
      message: expect.stringMatching(message),
    });
  }
});

describe("what is live takes its recorded place", () => {
  /** Two effects whose delays can be turned round after the recording. */
  function racing(combine: (runs: Promise<string>[]) => Promise<unknown>) {
    const hc = hindcast({ service: "s" });
    const delays = { quick: 2, slow: 25 };
    const ask = (name: "quick" | "slow") =>
      hc.effect({ name }, () => new Promise<string>((done) => setTimeout(done, delays[name], name)));
    const [quick, slow] = [ask("quick"), ask("slow")];
    const entry = hc.pipeline({ name: "race" }, async () => {
      const order: string[] = [];
      const note = (promise: Promise<string>) => promise.then((name) => (order.push(name), name));
      return [await combine([note(slow()), note(quick())]), order];
    });
    const turnRound = () => Object.assign(delays, { quick: 25, slow: 2 });
    return { hc, entry, turnRound };
  }

  test("in Promise.all: the recorded order, whichever comes first now", async () => {
    const { hc, entry, turnRound } = racing((runs) => Promise.all(runs));
    expect(await entry()).toEqual([
      ["slow", "quick"],
      ["quick", "slow"],
    ]);
    turnRound();
    const capsule = await newestCapsule(hc);
    for (const effects of [{ quick: "live", slow: "live" }, { quick: "live" }, { slow: "live" }] as const) {
      expect(explain(await replay(capsule, entry, { effects, patience: 10 }))).toContain("identical");
    }
  });

  test("in Promise.race: the recorded winner, though the loser is the quicker one now", async () => {
    const { hc, entry, turnRound } = racing((runs) => Promise.race(runs));
    expect(await entry()).toEqual(["quick", ["quick"]]);
    turnRound();
    const capsule = await newestCapsule(hc);
    for (const effects of [{ quick: "live", slow: "live" }, { quick: "live" }, { slow: "live" }] as const) {
      const result = await replay(capsule, entry, { effects, patience: 10 });
      expect(explain(result)).toContain("identical");
      expect(result.outcome).toMatchObject({ value: ["quick", ["quick"]] });
    }
  });

  test("a loser comes after all where the winner fails now", async () => {
    const { hc, entry } = racing((runs) => Promise.any(runs));
    expect(await entry()).toEqual(["quick", ["quick"]]);
    const result = await replay(await newestCapsule(hc), entry, {
      effects: {
        quick: () => Promise.reject(new Error("down")),
        slow: () => Promise.resolve("slow instead"),
      },
      patience: 10,
    });
    expect(result.outcome).toEqual({ status: "ok", value: ["slow instead", ["slow instead"]] });
    expect(diverged(result)).toMatchObject({ effect: "quick", cause: "data" });
  });

  test("a stage that lost the race loses again, however quick its stand-in or its own code is now", async () => {
    const hc = hindcast({ service: "s", capture: { timers: false } });
    const delays = { a: 3, b: 30 };
    const native = (name: "a" | "b") =>
      hc.infer(
        { name, model: { name, version: "1" } },
        () => new Promise<string>((done) => setTimeout(done, delays[name], name)),
      );
    const [a, b] = [native("a"), native("b")];
    const entry = hc.pipeline({ name: "race" }, () => Promise.race([b(), a()]));
    expect(await entry()).toBe("a");
    const capsule = await newestCapsule(hc);
    Object.assign(delays, { a: 30, b: 3 });
    expect(explain(await replay(capsule, entry))).toContain("identical");
    const stages = { b: async () => "b at once" };
    expect((await replay(capsule, entry, { stages })).outcome).toEqual({ status: "ok", value: "a" });
  });
});

describe("a function in place of an effect", () => {
  test("gives a stream in its place, and is called once for it", async () => {
    const hc = hindcast({ service: "s" });
    const tokens = hc.effect({ name: "tokens" }, async function* () {
      yield* ["a", "b"];
    });
    const entry = hc.pipeline({ name: "p" }, async () => {
      const got: string[] = [];
      for await (const token of tokens()) got.push(token);
      return got;
    });
    expect(await entry()).toEqual(["a", "b"]);
    let calls = 0;
    const instead = async function* () {
      calls += 1;
      yield* ["c", "d"];
    };
    const result = await replay(await newestCapsule(hc), entry, { effects: { tokens: instead } });
    expect([result.outcome, calls]).toEqual([{ status: "ok", value: ["c", "d"] }, 1]);
    expect(diverged(result)).toMatchObject({ effect: "tokens.stream", cause: "data" });
  });

  test("is inside the effect: what it reads takes nothing from the program's own readings", async () => {
    const hc = hindcast({ service: "s" });
    const ask = hc.effect({ name: "ask" }, async () => 1);
    const entry = hc.pipeline({ name: "p" }, async () => [await ask(), Date.now(), Math.random()]);
    await entry();
    const result = await replay(await newestCapsule(hc), entry, {
      effects: {
        ask: async () => {
          Date.now();
          Math.random();
          await new Promise((done) => setTimeout(done, 2));
          return 1;
        },
      },
    });
    expect(explain(result)).toContain("identical");
  });

  test("may be a thenable that settles twice", async () => {
    const hc = hindcast({ service: "s" });
    const ask = hc.effect({ name: "ask" }, async () => 1);
    const entry = hc.pipeline({ name: "p" }, async () => [await ask(), await ask()]);
    await entry();
    const twice = {
      // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
      then: (done: (value: number) => void) => {
        done(2);
        done(3);
      },
    };
    const result = await replay(await newestCapsule(hc), entry, { effects: { ask: () => twice } });
    expect(result.outcome).toEqual({ status: "ok", value: [2, 2] });
    const ends = result.replayed.events.filter(({ kind }) => kind === "effect-end");
    expect(ends).toHaveLength(2);
  });

  test("stands in for a timer", async () => {
    const hc = hindcast({ service: "s" });
    const entry = hc.pipeline({ name: "p" }, () => new Promise((done) => setTimeout(done, 1, "fired")));
    await entry();
    const asked: unknown[] = [];
    const setTimeoutInstead = (delay: number) => asked.push(delay);
    const result = await replay(await newestCapsule(hc), entry, {
      effects: { setTimeout: setTimeoutInstead },
    });
    expect(asked).toEqual([1]);
    expect(result.outcome).toEqual({ status: "ok", value: "fired" });
  });
});

describe("what the capsule does not have", () => {
  function changing() {
    const hc = hindcast({ service: "s" });
    const state = { isNew: false };
    const ask = hc.effect({ name: "ask" }, async () => "asked");
    const search = hc.effect({ name: "search" }, async () => "searched");
    const check = hc.tool({ name: "check" }, () => "checked");
    const entry = hc.pipeline({ name: "entry" }, async () =>
      state.isNew ? [await ask(), await search(), check()] : [await ask()],
    );
    return { hc, entry, state };
  }

  test("but changed code comes to can be let live, or stood in for, as the refusal says", async () => {
    const { hc, entry, state } = changing();
    await entry();
    const capsule = await newestCapsule(hc);
    state.isNew = true;
    const refused = await replay(capsule, entry);
    expect(refused.outcome).toMatchObject({
      error: { message: expect.stringContaining('{ "search": "live" }') },
    });
    const live = await replay(capsule, entry, { effects: { search: "live" } });
    expect(live.outcome).toEqual({ status: "ok", value: ["asked", "searched", "checked"] });
    expect(live).toMatchObject({ verdict: "diverged", divergence: { effect: "search", point: "order" } });
    const options = { effects: { search: () => "instead" }, stages: { check: () => "instead" } };
    const stood = await replay(capsule, entry, options);
    expect(stood.outcome).toEqual({ status: "ok", value: ["asked", "instead", "instead"] });
    expect(explain(await replay(stood.replayed, entry, options))).toContain("identical");
  });

  test("nor the code comes to is a mistake in the options", async () => {
    const { hc, entry } = changing();
    await entry();
    const capsule = await newestCapsule(hc);
    const mistaken = [
      { effects: { seach: "live" } },
      { effects: { seach: "recorded" } },
      { effects: { seach: () => 1 } },
      { stages: { chek: "recorded" } },
      { stages: { chek: () => 1 } },
    ] as const;
    for (const options of mistaken) {
      await expect(replay(capsule, entry, options)).rejects.toMatchObject({
        code: "replay-capsule",
        message: expect.stringMatching(
          /^The capsule has no (effect "seach"; it has: ask|stage "chek"; it has: entry)\. /,
        ),
      });
    }
  });
});

test("a capsule of a replay is described as one", async () => {
  const { hc, approve } = loanService();
  await approve("a-1");
  const capsule = readCapsule(await newestCapsule(hc));
  const { replayed } = await replay(capsule, approve, { seed: 3 });
  expect(describeCapsule(replayed)).toContain(`parent     ${capsule.id}   seed ${capsule.seed} -> 3`);
  const { replayed: twin } = await replay(capsule, approve);
  expect(describeCapsule(twin)).toContain(`parent     ${capsule.id}   nothing changed`);
  expect(describeCapsule(capsule)).not.toContain("parent");
});
