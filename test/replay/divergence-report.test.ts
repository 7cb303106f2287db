import { hindcast } from "hindcast";
import { type Divergence, explain, readCapsule, replay, type ReplayOptions } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { newestCapsule } from "./newest-capsule.js";

/** Records `was` as an entry of the name "entry", and replays `is` as the same. */
async function diverge(
  make: (hc: ReturnType<typeof hindcast>, isNow: boolean) => (...input: never[]) => unknown,
  options: ReplayOptions = {},
): Promise<{ divergence: Divergence; report: string }> {
  const was = hindcast({ service: "s" });
  await make(was, false)();
  const result = await replay(await newestCapsule(was), make(hindcast({ service: "s" }), true), options);
  if (result.verdict !== "diverged") throw new Error(explain(result));
  return { divergence: result.divergence, report: explain(result) };
}

describe("G6: the nearest recorded effect", () => {
  test("of the same name, by its input: one that is recorded elsewhere with the same input", async () => {
    const { divergence, report } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "db.get" }, async (table: string, id: number) => `${table}/${id}`);
      const ids = isNow ? [1, 3, 2] : [1, 2, 3];
      return hc.pipeline({ name: "reads" }, async () => {
        for (const id of ids) await get("rows", id);
      });
    });
    expect(divergence).toMatchObject({
      effect: "db.get",
      point: "effect-input",
      path: "$",
      nearest: { effect: "db.get", ordinal: 2, call: "reads", input: ["rows", 3], difference: undefined },
    });
    expect(report).toContain("nearest   recorded in reads is db.get#2, with the same input");
  });

  test("of an input that nothing recorded has: the closest one, and where it differs", async () => {
    const { divergence, report } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "search" }, async (query: object) => query);
      return hc.pipeline({ name: "searches" }, async () => {
        await get({ text: "late flights", limit: 10, filters: ["eu"] });
        await get({ text: "lost luggage", limit: 10, filters: ["us", "eu"] });
        if (isNow) await get({ text: "lost luggage today", limit: 10, filters: ["us", "eu"] });
      });
    });
    expect(divergence).toMatchObject({
      effect: "search",
      point: "order",
      nearest: {
        effect: "search",
        ordinal: 1,
        difference: { path: "$[0].text", expected: "lost luggage", actual: "lost luggage today" },
      },
    });
    expect(report).toContain(
      "nearest   recorded in searches is search#1, with another input at $[0].text: recorded 'lost luggage', called with 'lost luggage today'",
    );
  });

  test("of a name that nothing recorded has: the closest name", async () => {
    const make = (name: string) => async () => {
      const { divergence } = await diverge((hc, isNow) => {
        const [get, other] = [
          hc.effect({ name: "customers.get" }, async (id: string) => id),
          hc.effect({ name }, async (id: string) => id),
        ];
        return hc.pipeline({ name: "p" }, async () => (isNow ? other("c-1") : get("c-1")));
      });
      return divergence;
    };
    expect(await make("customer.get")()).toMatchObject({
      effect: "customer.get",
      nearest: { effect: "customers.get", ordinal: 0, call: "p", difference: undefined },
    });
    // A name that is like none is worse than none.
    expect((await make("x")()).nearest).toBeUndefined();
  });

  test("in the same call before in another, where both are alike", async () => {
    const { divergence } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "get" }, async (id: string) => id);
      const load = hc.tool({ name: "load" }, () => get("one"));
      const check = hc.tool({ name: "check" }, async () => [await get("one"), isNow ? await get("one") : ""]);
      return hc.pipeline({ name: "p" }, async () => [await load(), await check()]);
    });
    expect(divergence.nearest).toMatchObject({ call: "p > check", ordinal: 0, difference: undefined });
  });
});

describe("G6: the place in the program", () => {
  const here = (line: number): RegExp => new RegExp(`divergence-report\\.test\\.ts:${line}:\\d+\\)?$`);
  /** The line that it is called in. */
  const line = (): number =>
    Number(/divergence-report\.test\.ts:(\d+)/.exec(new Error().stack?.split("\n")[2] ?? "")?.[1]);

  test("where an effect was called with another input, behind an await and in a nested stage", async () => {
    let at = 0;
    const { divergence, report } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "get" }, async (id: string) => id);
      const load = hc.tool({ name: "load" }, async () => {
        await get("first");
        at = line() + 1;
        return get(isNow ? "another" : "second");
      });
      return hc.pipeline({ name: "p" }, () => load());
    });
    expect(divergence.site).toMatch(here(at));
    expect(report).toMatch(/called at .*divergence-report\.test\.ts/);
  });

  test("where an effect was called that the record does not have", async () => {
    let at = 0;
    const { divergence } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "get" }, (id: string) => id);
      return hc.pipeline({ name: "p" }, () => {
        at = line() + 1;
        return isNow ? get("x") : 1;
      });
    });
    expect(divergence.site).toMatch(here(at));
  });

  test("where a stage was called with another input, and where one was called that was not", async () => {
    let at = 0;
    const { divergence } = await diverge((hc, isNow) => {
      const score = hc.tool({ name: "score" }, (x: number) => x);
      return hc.pipeline({ name: "p" }, async () => {
        await Promise.resolve();
        at = line() + 1;
        return score(isNow ? 2 : 1);
      });
    });
    expect(divergence).toMatchObject({ stage: "score", origin: "p" });
    expect(divergence.site).toMatch(here(at));
    const skipped = await diverge((hc, isNow) => {
      const [one, two] = [hc.tool({ name: "one" }, () => 1), hc.tool({ name: "two" }, () => 2)];
      return hc.pipeline({ name: "p" }, () => {
        at = line() + 1;
        return isNow ? two() : one();
      });
    });
    expect(skipped.divergence).toMatchObject({ stage: "two", origin: "p" });
    expect(skipped.divergence.site).toMatch(here(at));
  });

  test("where the clock was read that was not", async () => {
    let at = 0;
    const { divergence } = await diverge((hc, isNow) =>
      hc.pipeline({ name: "p" }, () => {
        at = line() + 1;
        return isNow ? Date.now() : 1;
      }),
    );
    expect(divergence.site).toMatch(here(at));
  });

  test("is found beside stages that are stood in for, whose inside is not compared", async () => {
    let at = 0;
    const { divergence } = await diverge(
      (hc, isNow) => {
        const get = hc.effect({ name: "get" }, async (id: string) => id);
        const load = hc.tool({ name: "load" }, async () => get("first"));
        return hc.pipeline({ name: "p" }, async () => {
          await load();
          at = line() + 1;
          return get(isNow ? "another" : "second");
        });
      },
      { stages: { load: "recorded" } },
    );
    expect(divergence.site).toMatch(here(at));
  });

  test("is not known where the call itself was as recorded", async () => {
    const { divergence, report } = await diverge((hc, isNow) => {
      const score = hc.tool({ name: "score" }, () => (isNow ? 2 : 1));
      return hc.pipeline({ name: "p" }, () => score());
    });
    expect(divergence).toMatchObject({ stage: "score", point: "output", site: undefined });
    expect(report).not.toContain("called at");
  });

  test("a process's own idea of a stack does no harm", async () => {
    const { stackTraceLimit } = Error;
    const before = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
    for (const prepare of [
      (_error: Error, frames: unknown) => frames,
      () => {
        throw new Error("no");
      },
    ]) {
      Error.prepareStackTrace = prepare;
      try {
        const { divergence } = await diverge((hc, isNow) => {
          const get = hc.effect({ name: "get" }, (id: string) => id);
          return hc.pipeline({ name: "p" }, () => get(isNow ? "x" : "y"));
        });
        expect(divergence).toMatchObject({ point: "effect-input", site: undefined });
      } finally {
        if (before === undefined) Reflect.deleteProperty(Error, "prepareStackTrace");
        else Object.defineProperty(Error, "prepareStackTrace", before);
      }
    }
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });
});

describe("the stage whose code did otherwise", () => {
  test("is the one that began something else, and not the one whose result is late for it", async () => {
    const { divergence } = await diverge((hc, isNow) => {
      const get = hc.effect({ name: "get" }, async () => 1);
      const slow = hc.tool({ name: "slow" }, () => get());
      const quick = hc.tool({ name: "quick" }, () => 2);
      return hc.pipeline({ name: "p" }, async () => {
        const first = slow();
        if (isNow) return [quick(), await first];
        return [await first, quick()];
      });
    });
    expect(divergence).toMatchObject({ point: "order", origin: "p" });
    expect(divergence.message).toContain('"p"');
  });
});

describe("tolerance", () => {
  async function recorded(value: unknown, now: unknown, options: ReplayOptions = {}) {
    const hc = hindcast({ service: "s" });
    let current = value;
    const stage = hc.tool({ name: "stage" }, () => current);
    const entry = hc.pipeline({ name: "entry" }, () => stage());
    entry();
    current = now;
    return replay(await newestCapsule(hc), entry, options);
  }
  const near = 1e6 * (1 + 1e-9);

  test.each<[string, unknown, unknown, ReplayOptions["tolerance"]]>([
    ["an absolute one", 1, 1.05, 0.1],
    ["at its very limit", 1, 1.5, 0.5],
    ["in an object", { a: [{ risk: 0.30000000000000004 }] }, { a: [{ risk: 0.3 }] }, 1e-12],
    ["a relative one", 1e6, near, { relative: 1e-8 }],
    ["either of both", [1e6, 0], [near, 1e-9], { relative: 1e-8, absolute: 1e-8 }],
    ["in a Float64Array", Float64Array.of(1, 2), Float64Array.of(1, 2.01), 0.1],
    ["in a Float32Array", Float32Array.of(0.1), Float32Array.of(0.1000001), { relative: 1e-5 }],
    [
      "in a Map and a Set",
      [new Map([["a", 1]]), new Set([1])],
      [new Map([["a", 1.01]]), new Set([1.01])],
      0.1,
    ],
    ["of the two zeros", 0, -0, 1e-300],
  ])("%s", async (_what, was, is, tolerance) => {
    expect((await recorded(was, is)).verdict).toBe("diverged");
    const result = await recorded(was, is, { tolerance: tolerance as number });
    expect(explain(result)).toContain("identical");
    expect(result.sameOutcome).toBe(true);
  });

  test.each<[string, unknown, unknown, ReplayOptions["tolerance"]]>([
    ["over it", 1, 1.2, 0.1],
    ["a relative one near zero", 0, 1e-300, { relative: 0.5 }],
    ["none", 1, 1 + 2 ** -52, 0],
    ["NaN", Number.NaN, 1, 1e300],
    ["an infinity", Number.POSITIVE_INFINITY, Number.MAX_VALUE, { relative: 1, absolute: 1e308 }],
    ["integers in a typed array", Uint8Array.of(1), Uint8Array.of(2), 5],
    ["bytes", Buffer.from("a"), Buffer.from("b"), 5],
    ["a BigInt", 1n, 2n, 5],
    ["a date", new Date(1), new Date(2), 5],
    ["a text", "1", "1.0", 5],
    ["another length", Float32Array.of(1), Float32Array.of(1, 1), 5],
    ["one of two places", [1, 1], [1.01, 9], 0.1],
  ])("not %s", async (_what, was, is, tolerance) => {
    expect((await recorded(was, is, { tolerance: tolerance as number })).verdict).toBe("diverged");
  });

  test("the path is that of the first number that is too far", async () => {
    const result = await recorded(Float64Array.of(1, 2, 3), Float64Array.of(1.01, 2.01, 4), {
      tolerance: 0.1,
    });
    expect(result).toMatchObject({
      verdict: "diverged",
      divergence: { path: "$[2]", expected: 3, actual: 4 },
    });
  });

  test("holds for inputs too: what is near enough is no other input", async () => {
    const hc = hindcast({ service: "s" });
    let drift = 0;
    const ask = hc.effect({ name: "ask" }, async (x: number) => x);
    const score = hc.tool({ name: "score" }, async (x: number) => ask(x));
    const entry = hc.pipeline({ name: "entry" }, async () => (await score(1 + drift)) > 0);
    await entry();
    drift = 1e-12;
    const capsule = readCapsule(await newestCapsule(hc));
    expect(await replay(capsule, entry)).toMatchObject({
      verdict: "diverged",
      divergence: { point: "input" },
    });
    expect(explain(await replay(capsule, entry, { tolerance: 1e-9 }))).toContain("identical");
  });
});
