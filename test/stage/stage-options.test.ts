/** Options that make no sense are refused at once, with a code, the name, and what to do. */
import { type Hindcast, hindcast, isHindcastError } from "hindcast";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const hc = hindcast({ service: "options" });
/** As plain JavaScript sees the instance: nothing is checked by type. */
const untyped = hc as unknown as Record<keyof Hindcast, (...input: unknown[]) => unknown>;
const data = { name: "d", version: "1" };
const model = { name: "m", version: "1" };
const body = (): number => 1;

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(isHindcastError(error), String(error)).toBe(true);
    expect(error).toMatchObject({ name: "HindcastError", code: "invalid-options" });
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

describe.each([
  ["ingest", "data"],
  ["feature", "data"],
  ["infer", "model"],
] as const)("hc.%s needs %s", (kind, which) => {
  const invalid: readonly unknown[] = [
    undefined,
    null,
    "7",
    {},
    { name: "x" },
    { version: "1" },
    { name: "x", version: 1 },
    { name: 1, version: "1" },
  ];

  test.each(invalid)("and not %j: the message says what it looks like", (version) => {
    const message = refusal(() => untyped[kind]({ name: "load-it", [which]: version }, body));
    expect(message).toContain('"load-it"');
    expect(message).toContain(`${which}: { name, version }`);
    expect(message).toContain("a function of its input");
  });

  test("when it decorates, too", () => {
    const decorate = untyped[kind]({}) as (...input: unknown[]) => unknown;
    const message = refusal(() => decorate(body, { kind: "method", name: "predict" }));
    expect(message).toContain('"predict"');
  });
});

test("other kinds take versions, and check what they are given", () => {
  expect(refusal(() => untyped.decide({ name: "d", model: { name: "m" } }, body))).toContain("model");
  expect(refusal(() => untyped.tool({ name: "t", data: 5 }, body))).toContain("data");
  expect(hc.pipeline({ name: "p", data, model }, body)()).toBe(1);
});

test.each([undefined, null, 1, "text", {}, Promise.resolve(), z.string()])("wrapping %s", (given) => {
  const message = refusal(() => untyped.tool({ name: "broken" }, given));
  expect(message).toContain('"broken"');
  expect(message).toMatch(/function/);
});

test("a function without a name needs one", () => {
  const message = refusal(() =>
    hc.tool(
      {},
      (
        () => () =>
          1
      )(),
    ),
  );
  expect(message).toMatch(/name/);
  expect(
    refusal(() =>
      hc.effect(
        {},
        (
          () => () =>
            1
        )(),
      ),
    ),
  ).toMatch(/name/);
  expect(refusal(() => untyped.tool({ name: "" }, body))).toMatch(/name/);
  expect(refusal(() => untyped.tool({ name: 7 }, body))).toMatch(/name/);
});

test("a function's own name will do, and names of stages need not be unique", () => {
  const seen: (string | undefined)[] = [];
  function ownName(): void {
    seen.push(hc.current()?.stage);
  }
  hc.tool({}, ownName)();
  hc.decide({}, ownName)();
  expect(seen).toEqual(["ownName", "ownName"]);
});

test.each([undefined, null, "name", body])("options that are %s", (options) => {
  expect(refusal(() => untyped.infer(options, body))).toMatch(/hc\.infer\(options, fn\).*options object/);
});

test("a mode that is none", () => {
  expect(refusal(() => untyped.tool({ name: "t", mode: "warn" }, body))).toMatch(
    /"t".*"warn".*"enforce".*"observe"/,
  );
});

test.each([
  ["input", "text"],
  ["output", {}],
  ["input", null],
  ["output", class {}],
])("an %s contract that is no schema", (side, schema) => {
  const message = refusal(() => untyped.tool({ name: "t", [side]: schema }, body));
  expect(message).toContain(side);
  expect(message).toMatch(/"t".*Zod.*Standard Schema/);
});

test("hc.effect and hc.effects", () => {
  expect(refusal(() => untyped.effect({ name: "e" }, 5))).toMatch(/"e".*function/);
  expect(refusal(() => untyped.effect(undefined, body))).toMatch(/hc\.effect\(options, fn\)/);
  expect(refusal(() => untyped.effects("", {}, []))).toMatch(/name/);
  expect(refusal(() => untyped.effects("db", { get: 1 }, ["get"]))).toMatch(/"db".*"get"/);
  expect(refusal(() => untyped.effects("db", {}, ["put"]))).toMatch(/"db".*"put"/);
  expect(refusal(() => untyped.effects("db", undefined, ["get"]))).toContain('"db"');
  expect(refusal(() => untyped.effects("db", {}, "get"))).toContain('"db"');
});
