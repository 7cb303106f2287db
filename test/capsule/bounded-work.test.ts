/** G8: the work of a copy, which is done on the path of the call, is bounded by the limits and not by the value. */
import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";

/** An object whose fields count how often they are read. */
function counted(count: number, first?: object): { readonly value: object; readonly reads: () => number } {
  let reads = 0;
  const value: object = first === undefined ? {} : { first };
  for (let index = 0; index < count; index++) {
    Object.defineProperty(value, `key${index}`, { enumerable: true, get: () => ++reads });
  }
  return { value, reads: () => reads };
}

describe("no field is read that is not kept", () => {
  test.each([20_000, 200_000])("of an object of %d", (count) => {
    const { value, reads } = counted(count);
    const { loss } = takeSnapshot(value, DEFAULT_LIMITS);
    // Getters are not run at all.
    expect(reads()).toBe(0);
    expect(loss?.marker).toMatchObject({ reason: "unreadable", detail: "getter" });
  });

  test("of large objects one in the other, beyond what the bytes allow", () => {
    let reads = 0;
    let nested: object = {};
    for (let depth = 0; depth < 60; depth++) {
      const level: Record<string, unknown> = { nested };
      for (let index = 0; index < 5_000; index++) {
        Object.defineProperty(level, `key${index}`, { enumerable: true, get: () => ++reads });
      }
      nested = level;
    }
    takeSnapshot(nested, DEFAULT_LIMITS);
    // A field takes ten bytes and more of the million that a value may have.
    expect(reads).toBeLessThan(110_000);
  });

  test("of a Map, a Set and an array of a million", () => {
    const items = Array.from({ length: 1_000_000 }, (_, index) => index);
    for (const value of [items, new Map(items.map((item) => [item, item])), new Set(items)]) {
      const { size, loss } = takeSnapshot(value, DEFAULT_LIMITS);
      expect(loss?.marker).toMatchObject({ reason: "entries", size: 1_000_000 });
      expect(size).toBeLessThan(DEFAULT_LIMITS.entries * 20);
    }
  });

  test("of an array of length 2^32 - 1 with one item", () => {
    const sparse: number[] = [];
    sparse[2 ** 32 - 2] = 1;
    const { copy } = takeSnapshot(sparse, DEFAULT_LIMITS);
    expect(copy).toHaveLength(DEFAULT_LIMITS.entries + 1);
  });
});

test("an object that is copied field by field is copied whole: its order, __proto__ and references too", () => {
  const shared = { shared: true };
  const value: Record<string, unknown> = Object.fromEntries(
    Array.from({ length: 1_500 }, (_, index) => [`key${index}`, index % 2 === 0 ? index : shared]),
  );
  Object.defineProperty(value, "__proto__", { value: 1, enumerable: true });
  value["self"] = value;
  const { copy, shared: referred, loss } = takeSnapshot(value, DEFAULT_LIMITS);
  expect(Object.keys(copy as object)).toEqual(Object.keys(value));
  expect(copy).toMatchObject({ key0: 0, key1: { shared: true }, key1498: 1_498 });
  expect(referred?.size).toBe(2);
  expect(loss).toBeUndefined();
});

describe("G8: what a copy takes in memory is what it is counted for", () => {
  // Per part: an empty object or array, a slot of an array, a Date: what V8 takes for them and for remembering them.
  test.each<[string, () => unknown]>([
    ["nulls", () => null],
    ["empty texts", () => ""],
    ["empty objects", () => ({})],
    ["empty arrays", () => []],
    ["Dates", () => new Date(1)],
    ["Maps", () => new Map()],
  ])("%s: no more parts than the bytes allow", (_name, make) => {
    const value = Array.from({ length: 50 }, () => Array.from({ length: 10_000 }, make));
    const { copy, size } = takeSnapshot(value, DEFAULT_LIMITS);
    const parts = (copy as unknown[]).flat().length;
    expect(parts).toBeLessThan(DEFAULT_LIMITS.valueBytes / 8);
    expect(size).toBeLessThan(DEFAULT_LIMITS.valueBytes + 1_000);
  });
});
