/** What stands at the boundaries of a stage: parsing, violations, modes, and what is said of a value. */
import { inspect } from "node:util";
import { type } from "arktype";
import { ContractViolation, hindcast, isHindcastError, keep, type Schema } from "hindcast";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { callsOf, capsulesOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const hc = hindcast({ service: "contract", keep: [] });

function violationOf(body: () => unknown): ContractViolation {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(ContractViolation);
    return error as ContractViolation;
  }
  throw new Error("it met its contract");
}

interface Dialect {
  readonly Input: Schema<{ age: number; name?: string | undefined }, { age: number; name: string }>;
  readonly Output: Schema<{ risk: number }, { risk: string }>;
}

const dialects: readonly (readonly [string, Dialect])[] = [
  [
    "zod",
    {
      Input: z.object({ age: z.number(), name: z.string().default("nobody") }),
      Output: z.object({ risk: z.number().transform(String) }),
    },
  ],
  [
    "valibot",
    {
      Input: v.object({ age: v.number(), name: v.optional(v.string(), "nobody") }),
      Output: v.object({ risk: v.pipe(v.number(), v.transform(String)) }),
    },
  ],
  [
    "arktype",
    {
      Input: type({ age: "number", name: "string = 'nobody'" }),
      Output: type({ risk: type("number").pipe((risk) => String(risk)) }),
    },
  ],
];

describe.each(dialects)("%s", (_library, { Input, Output }) => {
  test("the function gets what the input parses to, the caller what the output parses to", async () => {
    const seen: unknown[] = [];
    const stage = hc.decide({ name: "s", input: Input, output: Output }, (person) => {
      seen.push(person);
      return { risk: person.age };
    });
    expect(stage({ age: 7 })).toEqual({ risk: "7" });
    const later = hc.decide({ name: "s", input: Input, output: Output }, async (person) => {
      seen.push(person);
      return { risk: person.age };
    });
    expect(await later({ age: 8, name: "x" })).toEqual({ risk: "8" });
    expect(seen).toEqual([
      { age: 7, name: "nobody" },
      { age: 8, name: "x" },
    ]);
  });

  test("a violation says stage, side, path, what was expected and the kind that came", () => {
    const stage = hc.decide({ name: "judge", input: Input }, (person) => person.age);
    const violation = violationOf(() => stage({ age: "old" as unknown as number }));
    expect(violation).toMatchObject({ code: "contract-violation", stage: "judge", side: "input" });
    expect(violation.issues).toEqual([
      { path: ["age"], expected: expect.stringContaining("number"), received: "string" },
    ]);
    expect(violation.message).toContain('The input of stage "judge" breaks its contract: at $.age expected');
  });

  test("a value of the wrong kind altogether: its path is empty", () => {
    const stage = hc.decide({ name: "judge", input: Input }, (person) => person.age);
    const { issues, message } = violationOf(() => stage(5 as never));
    expect(issues).toEqual([
      { path: [], expected: expect.stringMatching(/object/i) as string, received: "number" },
    ]);
    expect(message).toContain("at $ expected");
  });

  test("a violation of the output comes when the result is there", async () => {
    const stage = hc.decide({ name: "s", output: Output }, () => ({ risk: "high" as unknown as number }));
    expect(violationOf(stage)).toMatchObject({ side: "output", issues: [{ path: ["risk"] }] });
    const later = hc.decide({ name: "s", output: Output }, async () => ({
      risk: Number.NaN,
    }));
    await expect(later()).rejects.toMatchObject({ side: "output", issues: [{ received: "NaN" }] });
  });

  test("a violation is a HindcastError, for whatever copy of the library looks at it", () => {
    const stage = hc.decide({ name: "s", input: Input }, (person) => person.age);
    const violation = violationOf(() => stage({} as never));
    expect(isHindcastError(violation)).toBe(true);
    expect(violation.name).toBe("ContractViolation");
    expect(violation.issues[0]).toMatchObject({ path: ["age"], received: "missing" });
  });
});

test("zod: coercion, strip, transforms and defaults of absent arguments", () => {
  const Input = z.object({ n: z.coerce.number(), at: z.iso.date().transform((text) => text.length) });
  const stage = hc.tool({ name: "s", input: Input }, (value) => value);
  expect(stage({ n: "5", at: "2026-01-01", extra: 1 } as never)).toEqual({ n: 5, at: 10 });
  const absent = hc.tool({ name: "s", input: z.string().default("absent") }, (value) => value);
  expect(absent(undefined)).toBe("absent");
  expect((absent as () => string)()).toBe("absent");
});

test("G1: further arguments and `this` pass contracts untouched", () => {
  const owner = {
    factor: 3,
    scale: hc.tool({ name: "scale", input: z.coerce.number(), output: z.number() }, function (
      this: { factor: number },
      x: number,
      y: number,
      ...rest: number[]
    ) {
      return this.factor * x + y + rest.length;
    } as (x: number, y: number, ...rest: number[]) => number),
  };
  expect(owner.scale("2", 10, 1, 1)).toBe(18);
});

test("G1: a schema that changes nothing hands the very value through", () => {
  const value = Object.freeze({ a: 1 });
  const Same = z.custom<typeof value>(() => true);
  expect(hc.tool({ name: "s", input: Same, output: Same }, (given) => given)(value)).toBe(value);
});

test("G1: an async function never throws: its violations are rejections, on both sides", async () => {
  const stage = hc.tool({ name: "s", input: z.number(), output: z.string() }, async (n) => n as never);
  let thrown: unknown;
  const settled = await Promise.all(
    ["not a number", 5].map((given): Promise<unknown> => {
      try {
        return stage(given as number).catch((error: unknown) => (error as ContractViolation).side);
      } catch (error) {
        thrown = error;
        return Promise.resolve("thrown");
      }
    }),
  );
  expect(thrown).toBeUndefined();
  expect(settled).toEqual(["input", "output"]);
});

describe("modes", () => {
  const Small = z.number().max(10);

  test("observe: the call goes on with what came, on both sides", async () => {
    const observer = hindcast({ service: "contract", contracts: "observe" });
    const stage = observer.tool({ name: "s", input: Small, output: Small }, (n) => n * 2);
    const later = observer.tool({ name: "s", input: Small, output: Small }, async (n) => n * 2);
    expect([stage(50), stage(6), stage(2), await later(50)]).toEqual([100, 12, 4, 100]);
    const summaries = (await storedBy(observer)).map((stored) => stored.summary);
    expect(summaries.map((summary) => summary.violations)).toEqual([2, 1, 0, 2]);
    expect(summaries.every((summary) => summary.status === "ok")).toBe(true);
  });

  test("observe: what does meet its contract is parsed all the same", () => {
    const stage = hc.tool({ name: "s", mode: "observe", input: z.coerce.number() }, (n) => n);
    expect(stage("5")).toBe(5);
    expect(stage("five")).toBe("five");
  });

  test("a stage's own mode is above the instance's, either way", () => {
    const observer = hindcast({ service: "contract", contracts: "observe", keep: [] });
    const strict = observer.tool({ name: "s", mode: "enforce", input: Small }, (n) => n);
    expect(() => strict(11)).toThrow(ContractViolation);
    const lax = hc.tool({ name: "s", mode: "observe", input: Small }, (n) => n);
    expect(lax(11)).toBe(11);
    expect(() => hc.tool({ name: "s", input: Small }, (n) => n)(11)).toThrow(ContractViolation);
  });
});

describe("asynchronous schemas", () => {
  const Known = z.string().refine(async (text) => text !== "unknown");
  const KnownValibot = v.pipeAsync(
    v.string(),
    v.checkAsync(async (text) => text !== "unknown"),
  );

  test.each([
    ["zod", Known],
    ["valibot", KnownValibot],
  ])("%s: on async functions they hold", async (_library, schema) => {
    const calls: string[] = [];
    const stage = hc.tool({ name: "s", input: schema, output: schema }, async (text: string) => {
      calls.push(text);
      return text === "spoil" ? "unknown" : text;
    });
    expect(await stage("fine")).toBe("fine");
    await expect(stage("unknown")).rejects.toMatchObject({ side: "input" });
    await expect(stage("spoil")).rejects.toMatchObject({ side: "output" });
    expect(calls).toEqual(["fine", "spoil"]);
  });

  test("on sync functions they are refused at the first call, by code, before the function runs", () => {
    let calls = 0;
    const stage = hc.tool({ name: "look-up", input: Known }, (text: string) => {
      calls += 1;
      return text;
    });
    expect(() => stage("fine")).toThrow(
      expect.objectContaining({
        code: "contract-asynchronous",
        message: expect.stringMatching(/input.*"look-up".*asynchronous.*async function/),
      }),
    );
    expect(calls).toBe(0);
    const output = hc.tool({ name: "look-up", output: Known }, () => "fine");
    expect(output).toThrow(
      expect.objectContaining({
        code: "contract-asynchronous",
        message: expect.stringMatching(/output.*"look-up"/),
      }),
    );
  });

  test("on an async function that is wrapped already, or is an effect, they hold", async () => {
    const fetchIt = hc.effect({ name: "fetch-it" }, async (text: string) => text);
    expect(await hc.tool({ name: "s", input: Known }, fetchIt)("fine")).toBe("fine");
    const inner = hc.tool({ name: "inner" }, async (text: string) => text);
    expect(await hc.tool({ name: "s", input: Known }, inner)("fine")).toBe("fine");
  });

  test("the run's scope and order hold across them", async () => {
    const recorder = hindcast({ service: "contract" });
    const stage = recorder.tool({ name: "s", input: Known }, async () => recorder.current()?.stage);
    const flow = recorder.pipeline({ name: "flow" }, () => stage("fine"));
    expect(await flow()).toBe("s");
    expect((await onlyCapsuleOf(recorder)).calls).toHaveLength(2);
  });

  test("a library's own thenable is awaited, not taken for a result", async () => {
    const odd: Schema<string, string> = {
      "~standard": {
        version: 1,
        vendor: "odd",
        validate: (value) =>
          ({
            // oxlint-disable-next-line unicorn/no-thenable
            then: (resolve: (result: unknown) => void) =>
              resolve(value === "fine" ? { value: "parsed" } : { issues: [{ message: "not fine" }] }),
          }) as never,
      },
    };
    const stage = hc.tool({ name: "s", input: odd }, async (text: string) => text);
    expect(await stage("fine")).toBe("parsed");
    await expect(stage("bad")).rejects.toBeInstanceOf(ContractViolation);
  });
});

describe("a schema that throws has not been met, and what it threw is not repeated", () => {
  const secret = "the-value-itself";
  const Throwing = z.string().transform((text): string => {
    throw new TypeError(`cannot read ${text}`);
  });
  // Not Zod's: its first, synchronous attempt at an asynchronous schema leaves a rejection that nobody can handle.
  const Rejecting = v.pipeAsync(
    v.string(),
    v.transformAsync(async (text): Promise<string> => {
      throw new TypeError(`cannot read ${text}`);
    }),
  );
  const Broken: Schema<string, string> = {
    "~standard": { version: 1, vendor: "broken", validate: () => undefined as never },
  };

  test.each([
    ["synchronously", Throwing],
    ["by rejecting", Rejecting],
    ["by giving no result at all", Broken],
  ])("%s", async (_how, schema) => {
    const stage = hc.tool({ name: "s", input: schema }, async (text: string) => text);
    const error: unknown = await (async () => stage(secret))().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ContractViolation);
    expect(error).toMatchObject({ side: "input", issues: [{ path: [], received: "its TypeError" }] });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret);
    const lax = hc.tool({ name: "s", mode: "observe", input: schema }, async (text: string) => text);
    expect(await lax(secret)).toBe(secret);
  });
});

test("the kind that came is told, whatever it is", () => {
  const stage = hc.tool({ name: "s", input: z.object({ at: z.literal("x") }) }, (value) => value);
  class Applicant {}
  const trap = new Proxy(
    {},
    {
      getPrototypeOf() {
        throw new Error("trap");
      },
    },
  );
  const kinds: readonly (readonly [unknown, string])[] = [
    [null, "null"],
    [[], "array"],
    [{}, "object"],
    [Object.create(null), "object"],
    [new Date(0), "Date"],
    [new Applicant(), "Applicant"],
    [Number.NaN, "NaN"],
    [-Infinity, "-Infinity"],
    [5, "number"],
    [5n, "bigint"],
    [Symbol("s"), "symbol"],
    [() => 1, "function"],
    [true, "boolean"],
    [undefined, "undefined"],
    [trap, "unreadable"],
  ];
  for (const [value, kind] of kinds) {
    expect(violationOf(() => stage({ at: value } as never)).issues[0]?.received).toBe(kind);
  }
});

test("a message shows the first three issues, and counts the rest", () => {
  const fields = Object.fromEntries(["a", "b", "c", "d", "odd key"].map((key) => [key, z.string()]));
  const stage = hc.tool({ name: "s", input: z.object(fields) }, (value) => value);
  const violation = violationOf(() => stage({}));
  expect(violation.issues).toHaveLength(5);
  expect(violation.message).toBe(
    'The input of stage "s" breaks its contract: at $.a expected string, received missing; ' +
      "at $.b expected string, received missing; at $.c expected string, received missing; and 2 more.",
  );
});

test("violations are in the capsule and counted in its summary, and keep.violations() keeps their runs", async () => {
  const recorder = hindcast({ service: "contract", keep: keep.violations() });
  const Item = z.object({ price: z.number() });
  const check = recorder.tool({ name: "check", mode: "observe", input: z.array(Item) }, (items) => items);
  const strict = recorder.tool({ name: "strict", output: z.boolean() }, () => "no" as unknown as boolean);
  const flow = recorder.pipeline({ name: "flow" }, (items: unknown) => {
    check(items as never);
    check([]);
    return strict();
  });
  const fine = recorder.pipeline({ name: "fine" }, () => check([{ price: 1 }]));
  fine();
  expect(() => flow([{ price: 1 }, { price: "2" }])).toThrow(ContractViolation);

  const [stored] = await storedBy(recorder);
  expect(stored?.summary).toMatchObject({
    pipeline: "flow",
    violations: 2,
    status: "error",
    kept: "violations",
  });
  const capsule = await onlyCapsuleOf(recorder);
  expect(capsule.violations).toEqual([
    {
      call: 1,
      side: "input",
      issues: [{ path: [1, "price"], expected: "number", received: "string" }],
    },
    { call: 3, side: "output", issues: [{ path: [], expected: "boolean", received: "string" }] },
  ]);
  expect(callsOf(capsule, "strict")[0]?.outcome.status).toBe("error");
  expect(recorder.stats().runs).toMatchObject({ ended: 2, discarded: 1 });
});

test("G3: the capsule holds the arguments as they came, and the result as it was parsed", async () => {
  const recorder = hindcast({ service: "contract" });
  const stage = recorder.tool(
    { name: "s", input: z.object({ n: z.coerce.number() }), output: z.number().transform(String) },
    ({ n }) => n + 1,
  );
  expect(stage({ n: "1" })).toBe("2");
  const [call] = callsOf((await capsulesOf(recorder))[0]!, "s");
  expect(call).toEqual({ input: [{ n: "1" }], outcome: { status: "ok", value: "2" } });
});

test("the types and the code of a violation survive JSON", () => {
  const stage = hc.tool({ name: "s", input: z.number() }, (n) => n);
  const violation = violationOf(() => stage("x" as never));
  expect(JSON.parse(JSON.stringify(violation))).toEqual({
    code: "contract-violation",
    name: "ContractViolation",
    stage: "s",
    side: "input",
    issues: [{ path: [], expected: "number", received: "string" }],
  });
});
