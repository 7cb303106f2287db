/** A summary is written in two ways: they must not be told apart. */
import { decode } from "cborg";
import fc from "fast-check";
import type { CapsuleSummary } from "hindcast";
import { describe, expect, test } from "vitest";
import { Scratch } from "../../src/capsule/scratch.js";
import { decodeSummary, encodeSummary, SummaryEncoder } from "../../src/capsule/summary-codec.js";

const names = fc.oneof(
  fc.constantFrom("approve-loan", "naïve 🙂", "", "\uFEFFmarked", "cut in half \ud83d", "a".repeat(300)),
  fc.string({ unit: "binary" }),
);
const numbers = fc.oneof(
  fc.integer({ min: 0, max: 4e12 }),
  fc.nat(),
  fc.double(),
  fc.float(),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 1e300, -0, -1, 1.5),
);
// Of the length of most, and of as many bytes in UTF-8 although it is none of them.
const idLike = (units: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: fc.constantFrom("0", "7", "a", "f", "-"), minLength: units, maxLength: units }),
    fc.string({ unit: fc.constantFrom("a", "ü", "€", "\ud83d"), minLength: units, maxLength: units }),
    fc.string({ unit: fc.constantFrom("ü", "€"), maxLength: units / 2 }),
    names,
  );

const summaries: fc.Arbitrary<CapsuleSummary> = fc.record({
  id: fc.oneof(fc.uuid({ version: 7 }), idLike(36)),
  service: names,
  pipeline: names,
  startedAt: numbers,
  duration: numbers,
  status: fc.constantFrom("ok", "error"),
  violations: fc.nat(300),
  versions: fc.array(fc.oneof(fc.constantFrom("risk@7", "features@3"), names), { maxLength: 30 }),
  exact: fc.boolean(),
  traceId: fc.option(fc.oneof(fc.constant("0af7651916cd43dd8448eb211c80319c"), idLike(32)), {
    nil: undefined,
  }),
  kept: names,
});

/** As runs are: most of a pipeline are alike. */
const alike = fc
  .tuple(
    fc.array(summaries, { minLength: 1, maxLength: 3 }),
    fc.array(
      fc.record({
        of: fc.nat(2),
        id: fc.oneof(fc.uuid({ version: 7 }), idLike(36)),
        startedAt: numbers,
        duration: numbers,
        changed: fc.oneof(
          { weight: 3, arbitrary: fc.constant({}) },
          fc.record(
            { traceId: fc.constantFrom(undefined, "0af7651916cd43dd8448eb211c80319c"), exact: fc.boolean() },
            { requiredKeys: [] },
          ),
          fc.record({ versions: fc.array(names, { maxLength: 2 }), kept: names }, { requiredKeys: [] }),
        ),
      }),
      { maxLength: 20 },
    ),
  )
  .map(([first, more]) => [
    ...first,
    ...more.map(({ of, id, startedAt, duration, changed }) => ({
      ...(first[of % first.length] as CapsuleSummary),
      id,
      startedAt,
      duration,
      ...changed,
    })),
  ]);

describe("SummaryEncoder", () => {
  test("writes the bytes that encodeSummary gives, whatever came before", () => {
    fc.assert(
      fc.property(fc.oneof(fc.array(summaries, { maxLength: 10 }), alike), (written) => {
        const encoder = new SummaryEncoder();
        const scratch = new Scratch();
        for (const summary of written) encoder.write(summary, scratch);
        const expected = Buffer.concat(written.map(encodeSummary));
        expect(scratch.bytes.subarray(0, scratch.length).toString("hex")).toBe(expected.toString("hex"));
      }),
      { numRuns: 300 },
    );
  });

  test("writes what reads back as it was", () => {
    fc.assert(
      fc.property(alike, (written) => {
        const encoder = new SummaryEncoder();
        for (const summary of written) {
          const scratch = new Scratch();
          encoder.write(summary, scratch);
          const bytes = scratch.bytes.subarray(0, scratch.length);
          const read = decodeSummary(bytes);
          expect(read).toEqual(summary);
          if (Object.is(read.duration, summary.duration)) continue;
          throw new Error(`duration ${summary.duration} came back as ${read.duration}`);
        }
      }),
    );
  });

  test("forgets pipelines rather than grow, and goes on", () => {
    const encoder = new SummaryEncoder();
    const [sample] = fc.sample(summaries, { numRuns: 1, seed: 3 }) as [CapsuleSummary];
    for (let index = 0; index < 1_000; index++) {
      const scratch = new Scratch();
      const summary = { ...sample, pipeline: `pipeline-${index % 100}` };
      encoder.write(summary, scratch);
      expect(Buffer.compare(scratch.bytes.subarray(0, scratch.length), encodeSummary(summary))).toBe(0);
    }
  });

  test("does not go by a list of versions that its owner has changed since", () => {
    const encoder = new SummaryEncoder();
    const [sample] = fc.sample(summaries, { numRuns: 1, seed: 5 }) as [CapsuleSummary];
    const versions = ["risk@7"];
    const scratch = new Scratch();
    encoder.write({ ...sample, versions }, scratch);
    versions[0] = "risk@8";
    scratch.reset();
    encoder.write({ ...sample, versions }, scratch);
    expect(decodeSummary(scratch.bytes.subarray(0, scratch.length)).versions).toEqual(["risk@8"]);
  });
});

test("a summary is one CBOR map of text keys", () => {
  const summary: CapsuleSummary = {
    service: "shop",
    pipeline: "buy",
    status: "ok",
    violations: 0,
    versions: ["risk@7"],
    exact: true,
    kept: "all",
    id: "019ab000-0000-7000-8000-000000000001",
    startedAt: 1_764_000_000_000,
    duration: 1.25,
    traceId: undefined,
  };
  expect(decode(encodeSummary(summary))).toEqual(summary);
});
