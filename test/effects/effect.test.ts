/** hc.effect and hc.now: what a run reads from outside is recorded, and nothing else changes. */
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast, keep } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { capsulesOf, effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

// Some of these tests are about what is called `then`.
/* oxlint-disable unicorn/no-thenable */

test("inputs and results are recorded, with the call that they happened in", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const rate = hc.effect({ name: "rate" }, async (currency: string) => ({ currency, rate: 1.1 }));
  const roll = hc.effect({ name: "roll" }, (sides: number) => sides - 1);
  const stage = hc.tool({ name: "stage" }, async () => [await rate("EUR"), roll(6), await rate("USD")]);
  const flow = hc.pipeline({ name: "flow" }, async () => [roll(2), ...(await stage())]);
  const result = await flow();
  const capsule = await onlyCapsuleOf(hc);
  expect(effectsOf(capsule)).toEqual([
    { name: "roll", input: [2], outcome: { status: "ok", value: 1 } },
    { name: "rate", input: ["EUR"], outcome: { status: "ok", value: { currency: "EUR", rate: 1.1 } } },
    { name: "roll", input: [6], outcome: { status: "ok", value: 5 } },
    { name: "rate", input: ["USD"], outcome: { status: "ok", value: { currency: "USD", rate: 1.1 } } },
  ]);
  expect(capsule.effects.map(({ call, ordinal, asynchronous }) => [call, ordinal, asynchronous])).toEqual([
    [0, 0, false],
    [1, 0, true],
    [1, 0, false],
    [1, 1, true],
  ]);
  expect(result).toEqual([1, { currency: "EUR", rate: 1.1 }, 5, { currency: "USD", rate: 1.1 }]);
});

test("G1: a sync effect stays sync, and one that throws throws the very value", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const error = Object.freeze(new RangeError("dice lost"));
  const roll = hc.effect({ name: "roll" }, () => {
    throw error;
  });
  const flow = hc.pipeline({ name: "flow" }, () => {
    try {
      return roll();
    } catch (caught) {
      return caught === error;
    }
  });
  expect(flow()).toBe(true);
  const [effect] = effectsOf(await onlyCapsuleOf(hc));
  expect(effect?.outcome).toEqual({ status: "error", value: error });
});

test("G1: an effect that rejects rejects with the very value, and one that throws at once does so", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const reason = { code: 503 };
  const reject = hc.effect({ name: "reject" }, () => Promise.reject(reason));
  const flow = hc.pipeline({ name: "flow" }, () => reject().catch((caught: unknown) => caught === reason));
  expect(await flow()).toBe(true);
  const [effect] = effectsOf(await onlyCapsuleOf(hc));
  expect(effect?.outcome).toEqual({ status: "error", value: { code: 503 } });
});

test("G1: an effect that returns a thenable: its result is awaited and recorded, once", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const query = hc.effect(
    { name: "query" },
    (): PromiseLike<string> => ({
      then(resolve, reject) {
        resolve?.("rows");
        resolve?.("more rows");
        reject?.("failure");
        return undefined as never;
      },
    }),
  );
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const rows = await query();
    await sleep(2);
    return rows;
  });
  expect(await flow()).toBe("rows");
  const capsule = await onlyCapsuleOf(hc);
  expect(effectsOf(capsule)).toEqual([
    { name: "query", input: [], outcome: { status: "ok", value: "rows" } },
  ]);
  expect(capsule.events.filter((event) => event.kind === "effect-end")).toHaveLength(1);
});

test("G1: an effect whose thenable throws in `then` has failed, and is recorded so", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const error = new Error("then throws");
  const query = hc.effect(
    { name: "query" },
    (): PromiseLike<string> => ({
      then() {
        throw error;
      },
    }),
  );
  const flow = hc.pipeline({ name: "flow" }, async () => {
    try {
      return await query();
    } catch (caught) {
      return caught === error;
    }
  });
  expect(await flow()).toBe(true);
  expect(effectsOf(await onlyCapsuleOf(hc))[0]?.outcome).toEqual({ status: "error", value: error });
});

test("what happens inside of an effect is the effect's own business: effects, stages, time, chance", async () => {
  const hc = hindcast({ service: "effect", capture: false, seed: 1 });
  const inner = hc.effect({ name: "inner" }, async () => "inner");
  const stage = hc.tool({ name: "stage" }, () => hc.current());
  const outer = hc.effect({ name: "outer" }, async () => {
    const before = stage();
    await sleep(1);
    return [before, await inner(), hc.current(), typeof hc.now(), typeof hc.random()];
  });
  const flow = hc.pipeline({ name: "flow" }, () => outer());
  expect(await flow()).toEqual([undefined, "inner", undefined, "number", "number"]);
  const capsules = await capsulesOf(hc);
  expect(capsules).toHaveLength(1);
  expect(effectsOf(capsules[0]!).map((effect) => effect.name)).toEqual(["outer"]);
  expect(capsules[0]?.calls).toHaveLength(1);
});

test("after an effect the program is back in its run", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const sync = hc.effect({ name: "sync" }, () => 1);
  const later = hc.effect({ name: "later" }, async () => 1);
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const stages = [hc.current()?.stage];
    sync();
    stages.push(hc.current()?.stage);
    await later();
    stages.push(hc.current()?.stage);
    await later().then(() => stages.push(hc.current()?.stage));
    return stages;
  });
  expect(await flow()).toEqual(["flow", "flow", "flow", "flow"]);
});

test("outside of runs, and where nothing is recorded, an effect is the function itself", async () => {
  const recorder = hindcast({ service: "effect", capture: false });
  const silent = hindcast({ service: "effect", capture: false, keep: [] });
  for (const hc of [recorder, silent]) {
    const promise = Promise.resolve(1);
    const give = hc.effect({ name: "give" }, () => promise);
    expect(give()).toBe(promise);
    if (hc === silent) expect(hc.pipeline({ name: "flow" }, () => give() === promise)()).toBe(true);
  }
  expect(await capsulesOf(recorder)).toEqual([]);
});

test("losers of a race are pending in the capsule; what they bring later still arrives", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const wait = hc.effect({ name: "wait" }, (delay: number) => sleep(delay, delay));
  let loser: Promise<number> = Promise.resolve(-1);
  const flow = hc.pipeline({ name: "flow" }, () => {
    loser = wait(15);
    return Promise.race([loser, wait(1)]);
  });
  expect(await flow()).toBe(1);
  const capsule = await onlyCapsuleOf(hc);
  expect(effectsOf(capsule)).toEqual([
    { name: "wait", input: [15], outcome: { status: "pending" } },
    { name: "wait", input: [1], outcome: { status: "ok", value: 1 } },
  ]);
  expect(await loser).toBe(15);
  expect((await capsulesOf(hc)).length).toBe(1);
});

test("an effect that begins after its run has ended is the function itself, and not recorded", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const wait = hc.effect({ name: "wait" }, async (label: string) => label);
  let late: Promise<string> = Promise.resolve("");
  const flow = hc.pipeline({ name: "flow" }, () => {
    late = sleep(3).then(() => wait("late"));
    return "done";
  });
  expect(flow()).toBe("done");
  expect(await late).toBe("late");
  expect(effectsOf(await onlyCapsuleOf(hc))).toEqual([]);
});

test("hc.now() is the time, recorded within runs, and the recorded one in a replay", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  const flow = hc.pipeline({ name: "flow" }, async () => [hc.now(), await sleep(2), hc.now()]);
  const before = Date.now();
  const [first, , second] = (await flow()) as [number, void, number];
  expect(first).toBeGreaterThanOrEqual(before);
  expect(second).toBeGreaterThan(first);
  expect(Math.abs(hc.now() - Date.now())).toBeLessThan(1_000);
  const [stored] = await storedBy(hc);
  expect(effectsOf(await onlyCapsuleOf(hc)).map(({ name, outcome }) => [name, outcome])).toEqual([
    ["clock.now", { status: "ok", value: first }],
    ["clock.now", { status: "ok", value: second }],
  ]);
  await sleep(5);
  const stamp = hc.pipeline({ name: "stamp" }, () => hc.now());
  const stampedAt = stamp();
  const stamped = (await storedBy(hc)).at(-1);
  await sleep(5);
  expect(await replay(stamped!, stamp)).toMatchObject({
    verdict: "identical",
    outcome: { status: "ok", value: stampedAt },
  });
  expect(stored?.summary.pipeline).toBe("flow");
});

test("hc.now() can be handed on as a function", () => {
  // oxlint-disable-next-line typescript/unbound-method
  const { now } = hindcast({ service: "effect", capture: false, keep: keep.errors() });
  expect([1, 2].map(now).every((time) => time > 1e12)).toBe(true);
});

test("G5: in a replay an effect is not performed, whatever way it ended", async () => {
  const hc = hindcast({ service: "effect", capture: false });
  let performed = 0;
  const wait = hc.effect({ name: "wait" }, async (fails: boolean) => {
    performed += 1;
    await sleep(1);
    if (fails) throw new RangeError("failed");
    return "waited";
  });
  const roll = hc.effect({ name: "roll" }, () => ++performed);
  const flow = hc.pipeline({ name: "flow" }, async () => [
    roll(),
    await wait(false),
    await wait(true).catch((error: unknown) => String(error)),
  ]);
  expect(await flow()).toEqual([1, "waited", "RangeError: failed"]);
  const [stored] = await storedBy(hc);
  performed = 100;
  const result = await replay(stored!, flow);
  expect(result).toMatchObject({
    verdict: "identical",
    outcome: { status: "ok", value: [1, "waited", "RangeError: failed"] },
  });
  expect(performed).toBe(100);
});
