/** The recorder runs nobody's getter: a lazy relation would be loaded, and its failure would end the process. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { Marker } from "../../src/capsule/marker.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";

type Make = (run: () => void) => unknown;

const lazy = (target: object, key: string, run: () => void): object =>
  Object.defineProperty(target, key, { get: run, enumerable: true, configurable: true });

const leaves: fc.Arbitrary<Make> = fc.oneof(
  fc.jsonValue().map((value) => () => value),
  fc.constantFrom<Make>(
    (run) => lazy({ id: 1 }, "customer", run),
    (run) => lazy(new (class Row {})(), "customer", run),
    (run) => lazy(new Error("m"), "detail", run),
    (run) => lazy(Object.create(null) as object, "then", run),
    (run) =>
      new (class Lazy {
        get on(): void {
          return run();
        }
        get next(): void {
          return run();
        }
      })(),
    (run) => Object.defineProperty({}, "only", { set: run, enumerable: true }),
  ),
);
const makes: fc.Arbitrary<Make> = fc.letrec<{ node: Make }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    leaves,
    fc.array(tie("node"), { maxLength: 4 }).map(
      (nodes): Make =>
        (run) =>
          nodes.map((make) => make(run)),
    ),
    fc.dictionary(fc.string({ maxLength: 3 }), tie("node"), { maxKeys: 4 }).map(
      (nodes): Make =>
        (run) =>
          Object.fromEntries(Object.entries(nodes).map(([key, make]) => [key, make(run)])),
    ),
    tie("node").map(
      (make): Make =>
        (run) =>
          new Map([["key", make(run)]]),
    ),
  ),
})).node;

test("G2: whatever holds them, getters are not run, and have a mark in their place", () => {
  fc.assert(
    fc.property(makes, (make) => {
      let runs = 0;
      const value = make(() => void (runs += 1));
      takeSnapshot(value, DEFAULT_LIMITS);
      expect(runs).toBe(0);
    }),
    { numRuns: 2_000 },
  );
  const { copy, loss } = takeSnapshot(
    lazy({ id: 1 }, "customer", () => undefined),
    DEFAULT_LIMITS,
  );
  expect(copy).toEqual({ id: 1, customer: new Marker("unreadable", "getter") });
  expect(loss).toMatchObject({ kind: "told", path: ["customer"] });
});

test("in a list of rows, also where only the last of a few has one", () => {
  const rows = Array.from({ length: 10 }, (_, id) => ({ id, total: 1 }));
  let runs = 0;
  lazy(rows.at(-1) as object, "total", () => void (runs += 1));
  takeSnapshot(rows, DEFAULT_LIMITS);
  expect(runs).toBe(0);
});
