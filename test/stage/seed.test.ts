/** Where the seed of a run comes from: its pipeline, its caller, its instance, or a draw. */
import { context, propagation } from "@opentelemetry/api";
import fc from "fast-check";
import { type Failure, type Hindcast, hindcast } from "hindcast";
import { afterEach, expect, test } from "vitest";
import { onlyCapsuleOf } from "../record/recorded.js";
import { registerContextManager, unregisterTracing } from "../telemetry/tracing.js";

afterEach(unregisterTracing);

const MAXIMUM = 2 ** 32 - 1;

function seedOf(hc: Hindcast): number {
  return hc.pipeline({ name: "flow" }, () => hc.current()?.seed ?? -1)();
}

function withBaggage<T>(seed: string, body: () => T): T {
  registerContextManager();
  const baggage = propagation.createBaggage({ "hindcast.seed": { value: seed } });
  return context.with(propagation.setBaggage(context.active(), baggage), body);
}

test("drawn for each run: unsigned 32-bit integers, hardly ever the same", () => {
  const hc = hindcast({ service: "seed" });
  const seeds = Array.from({ length: 200 }, () => seedOf(hc));
  expect(new Set(seeds).size).toBeGreaterThan(195);
  expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed <= MAXIMUM)).toBe(true);
  expect(seeds.some((seed) => seed > 2 ** 31)).toBe(true);
});

test("given by the instance: a number, 0 and the largest included, or a function asked for each run", async () => {
  expect(seedOf(hindcast({ service: "seed", seed: 0 }))).toBe(0);
  const largest = hindcast({ service: "seed", seed: MAXIMUM });
  expect(seedOf(largest)).toBe(MAXIMUM);
  expect((await onlyCapsuleOf(largest)).seed).toBe(MAXIMUM);
  let next = 7;
  const counting = hindcast({ service: "seed", seed: () => next++ });
  expect([seedOf(counting), seedOf(counting)]).toEqual([7, 8]);
});

test("given by the pipeline: a number, or a function of all of its input", () => {
  const hc = hindcast({ service: "seed", seed: 1 });
  const fixed = hc.pipeline({ name: "fixed", seed: 2 }, () => hc.current()?.seed);
  const derived = hc.pipeline(
    { name: "derived", seed: (a: number, b: number) => a * 10 + b },
    (_a: number, _b: number) => hc.current()?.seed,
  );
  expect([fixed(), derived(4, 2)]).toEqual([2, 42]);
});

test("inherited from the caller through baggage, below the pipeline's own and above the instance's", () => {
  const hc = hindcast({ service: "seed", seed: 1 });
  const own = hc.pipeline({ name: "own", seed: 2 }, () => hc.current()?.seed);
  expect(withBaggage("77", () => [seedOf(hc), own()])).toEqual([77, 2]);
  expect(seedOf(hc)).toBe(1);
});

test("baggage that is no seed is ignored: it comes from outside", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string().filter((text) => !/^\d{1,10}$/.test(text)),
        fc.constantFrom("", "-1", "1.5", "1e3", " 7", "0x10", "4294967296", "99999999999", "NaN"),
      ),
      (text) => {
        const failures: Failure[] = [];
        const hc = hindcast({ service: "seed", seed: 5, onError: (failure) => void failures.push(failure) });
        expect(withBaggage(text, () => seedOf(hc))).toBe(5);
        expect(failures).toEqual([]);
        unregisterTracing();
      },
    ),
    { numRuns: 50 },
  );
});

const invalid: readonly unknown[] = [
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  MAXIMUM + 1,
  "7",
  null,
  7n,
  {},
];

test.each(invalid)("an instance with the seed %s is refused", (seed) => {
  expect(() => hindcast({ service: "seed", seed: seed as number })).toThrow(
    expect.objectContaining({
      code: "invalid-options",
      message: expect.stringMatching(/seed.*0 to 4294967295/),
    }),
  );
});

test.each(invalid)("a pipeline with the seed %s is refused", (seed) => {
  const hc = hindcast({ service: "seed" });
  expect(() => hc.pipeline({ name: "flow", seed: seed as number }, () => 1)).toThrow(
    expect.objectContaining({ code: "invalid-options", message: expect.stringContaining('"flow"') }),
  );
});

test.each([...invalid, undefined])(
  "G2: a seed function that gives %s costs no run: one is drawn, and someone is told",
  (seed) => {
    const failures: Failure[] = [];
    const hc = hindcast({ service: "seed", onError: (failure) => void failures.push(failure) });
    const flow = hc.pipeline({ name: "flow", seed: () => seed as number }, () => hc.current()?.seed);
    expect(flow()).toSatisfy((drawn: number) => Number.isInteger(drawn) && drawn >= 0 && drawn <= MAXIMUM);
    expect(failures.map((failure) => failure.source)).toEqual(["seed"]);
  },
);

test("G2: a seed function that throws costs no run", () => {
  const hc = hindcast({
    service: "seed",
    onError: () => undefined,
    seed: () => {
      throw new Error("no entropy");
    },
  });
  expect(seedOf(hc)).toBeGreaterThanOrEqual(0);
  expect(hc.stats().failures.seed).toBe(1);
});
