/** Promises, thenables and whatever else a stage may give back: each call ends once, whatever happens (G1, G2). */
import { hindcast } from "hindcast";
import { expect, test } from "vitest";
import { callsOf, callTree, capsulesOf, onlyCapsuleOf } from "../record/recorded.js";

// What these tests are about is called `then`.
/* oxlint-disable unicorn/no-thenable */

test("G1: a rejection reaches the caller and the record", async () => {
  const hc = hindcast({ service: "stage" });
  const error = new RangeError("too far");
  const fail = hc.tool({ name: "fail" }, async () => {
    await Promise.resolve();
    throw error;
  });
  await expect(fail()).rejects.toBe(error);
  const [call] = callsOf(await onlyCapsuleOf(hc), "fail");
  expect(call?.outcome).toEqual({ status: "error", value: error });
});

test("G1: a thenable's result is what is awaited, and what is recorded", async () => {
  const hc = hindcast({ service: "stage" });
  const query = hc.tool({ name: "query" }, () => ({
    then: (resolve: (rows: string[]) => void) => setTimeout(() => resolve(["row"]), 1),
  }));
  expect(await query()).toEqual(["row"]);
  const [call] = callsOf(await onlyCapsuleOf(hc), "query");
  expect(call?.outcome).toEqual({ status: "ok", value: ["row"] });
});

test("G1: a thenable whose `then` throws rejects, and its call ends", async () => {
  const hc = hindcast({ service: "stage" });
  const error = new Error("then throws");
  const query = hc.tool(
    { name: "query" },
    (): PromiseLike<never> => ({
      then() {
        throw error;
      },
    }),
  );
  await expect(Promise.resolve(query())).rejects.toBe(error);
  expect(hc.stats().runs).toMatchObject({ started: 1, ended: 1 });
  const [call] = callsOf(await onlyCapsuleOf(hc), "query");
  expect(call?.outcome.status).toBe("error");
});

test("G1: a thenable that settles twice, and throws after that, ends its call once", async () => {
  const hc = hindcast({ service: "stage" });
  const query = hc.tool(
    { name: "query" },
    (): PromiseLike<string> => ({
      then(resolve, reject) {
        resolve?.("first");
        resolve?.("second");
        reject?.(new Error("third"));
        throw new Error("fourth");
      },
    }),
  );
  expect(await query()).toBe("first");
  expect(hc.stats().runs).toMatchObject({ started: 1, ended: 1 });
  const capsules = await capsulesOf(hc);
  expect(capsules).toHaveLength(1);
  expect(callsOf(capsules[0]!, "query")[0]?.outcome).toEqual({ status: "ok", value: "first" });
});

test("G1: an object whose `then` is no function, or throws when it is read, is a value", async () => {
  const hc = hindcast({ service: "stage" });
  const field = { then: "later" };
  const trap = {
    get then(): never {
      throw new Error("read");
    },
  };
  const give = hc.tool({ name: "give" }, <T>(value: T): T => value);
  expect(give(field)).toBe(field);
  expect(give(trap)).toBe(trap);
  expect(hc.stats().runs.ended).toBe(2);
});

test("G2: a Proxy that resists being looked at is a value, too", async () => {
  const hc = hindcast({ service: "stage" });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const trap = (): never => {
    throw new Error("trap");
  };
  const hostile = new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap });
  const give = hc.tool({ name: "give" }, <T>(value: { is: T }): T => value.is);
  const read = hc.effect({ name: "read" }, <T>(value: { is: T }): T => value.is);
  const flow = hc.pipeline({ name: "flow" }, <T>(value: { is: T }): boolean =>
    Object.is(read(value), value.is),
  );
  for (const value of [proxy, hostile]) {
    expect(Object.is(give({ is: value }), value)).toBe(true);
    expect(flow({ is: value })).toBe(true);
  }
  expect(hc.stats().runs).toMatchObject({ started: 4, ended: 4 });
});

test("G1: what a stage resolves to is unwrapped to its end", async () => {
  const hc = hindcast({ service: "stage" });
  const later = hc.tool({ name: "later" }, () => Promise.resolve(Promise.resolve({ deep: 1 })));
  expect(await later()).toEqual({ deep: 1 });
});

test("G1: a root that nobody awaits is recorded once it has settled", async () => {
  const hc = hindcast({ service: "stage" });
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const slow = hc.pipeline({ name: "slow" }, async () => {
    await gate;
    return "done";
  });
  const promise = slow();
  await hc.flush();
  expect(hc.stats()).toMatchObject({ runs: { started: 1, ended: 0 }, capsules: { waiting: 0, stored: 0 } });
  release();
  await promise;
  expect(callsOf(await onlyCapsuleOf(hc), "slow")[0]?.outcome).toEqual({ status: "ok", value: "done" });
});

test("G3: a stage that outlives its run is pending in the capsule, and still gives its result", async () => {
  const hc = hindcast({ service: "stage" });
  let release: (value: string) => void = () => undefined;
  const gate = new Promise<string>((resolve) => (release = resolve));
  const slow = hc.tool({ name: "slow" }, () => gate);
  const fast = hc.tool({ name: "fast" }, async () => "fast");
  let loser: Promise<string> = gate;
  const race = hc.pipeline({ name: "race" }, () => {
    loser = slow();
    return Promise.race([loser, fast()]);
  });
  expect(await race()).toBe("fast");
  release("slow");
  expect(await loser).toBe("slow");
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule)).toEqual(["race", "race > slow", "race > fast"]);
  expect(callsOf(capsule, "slow")[0]?.outcome).toEqual({ status: "pending" });
});

test("a stage that begins after its run has ended is the root of a run of its own", async () => {
  const hc = hindcast({ service: "stage" });
  const late = hc.tool({ name: "late" }, () => "late");
  let finished: Promise<string> = Promise.resolve("");
  const first = hc.pipeline({ name: "first" }, () => {
    finished = new Promise((resolve) => setTimeout(() => resolve(late()), 2));
    return "first";
  });
  expect(first()).toBe("first");
  expect(await finished).toBe("late");
  expect((await capsulesOf(hc)).map(callTree)).toEqual([["first"], ["late"]]);
});

test("G8: a thenable that every call gives and nobody asks holds a bounded number of runs", async () => {
  const hc = hindcast({ service: "stage", logger: { warn: () => undefined } });
  const shared = { then: (fulfilled: (value: number) => void) => fulfilled(5) };
  const stage = hc.tool({ name: "stage" }, () => shared);
  for (let index = 0; index < 3_000; index++) expect(stage()).toBe(shared);
  const { started, ended } = hc.stats().runs;
  expect(started).toBe(3_000);
  expect(started - ended).toBe(1_000);
  expect(await shared).toBe(5);
  expect(hc.stats().runs.ended).toBe(3_000);
  expect(await stage()).toBe(5);
  expect(hc.stats().runs.ended).toBe(3_001);
  await hc.close();
});
