import { memoryStore } from "hindcast";
import { testStore } from "hindcast/testing";
import { describe, expect, test } from "vitest";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";

describe("memoryStore is a store", () => {
  testStore({ test, create: () => memoryStore() });
});

async function idsIn(store: ReturnType<typeof memoryStore>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { summary } of store.find()) ids.push(summary.id);
  return ids;
}

describe("the ring", () => {
  test("G8: beyond its capacity the oldest capsules go", async () => {
    const store = memoryStore({ capacity: 3 });
    const capsules = Array.from({ length: 5 }, () => sampleCapsule());
    await store.append(capsules.slice(0, 2));
    await store.append(capsules.slice(2));
    expect(await idsIn(store)).toEqual(capsules.slice(2).map(({ summary }) => summary.id));
  });

  test("G8: beyond its bytes the oldest capsules go", async () => {
    const capsules = Array.from({ length: 5 }, () => sampleCapsule({ valueBytes: 1000 }));
    const size = capsules[0]?.bytes.byteLength ?? 0;
    const store = memoryStore({ maximumBytes: Math.round(size * 2.5) });
    for (const capsule of capsules) await store.append([capsule]);
    expect(await idsIn(store)).toEqual(capsules.slice(3).map(({ summary }) => summary.id));
  });

  test("G8: a capsule that alone is over the limit is not taken at the cost of all the others", async () => {
    const store = memoryStore({ maximumBytes: 10_000 });
    const small = [sampleCapsule(), sampleCapsule()];
    await store.append(small);
    await store.append([sampleCapsule({ valueBytes: 20_000 })]).catch(() => undefined);
    expect(await idsIn(store)).toEqual(small.map(({ summary }) => summary.id));
  });

  test("an id that comes again takes one place, and its old bytes are given back", async () => {
    const first = sampleCapsule({ valueBytes: 1000 });
    const store = memoryStore({ maximumBytes: Math.round(first.bytes.byteLength * 2.5) });
    const { id } = first.summary;
    const other = sampleCapsule({ valueBytes: 1000 });
    await store.append([other]);
    for (let round = 0; round < 10; round++) await store.append([sampleCapsule({ id, valueBytes: 1000 })]);
    expect((await idsIn(store)).toSorted()).toEqual([other.summary.id, id].toSorted());
  });

  test.each([{ capacity: 0 }, { capacity: 1.5 }, { maximumBytes: -1 }, { maximumBytes: Number.NaN }])(
    "refuses %o",
    (options) => {
      expect(() => memoryStore(options)).toThrow(expect.objectContaining({ code: "invalid-options" }));
    },
  );
});
