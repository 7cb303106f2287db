/** The conformance suite itself: it must find the faults that a store can have, or passing it means nothing. */
import { memoryStore, type Store, type StoredCapsule } from "hindcast";
import { type StoreCase, testStore } from "hindcast/testing";
import { describe, expect, test } from "vitest";

type Change = (store: Store, held: StoredCapsule[]) => Partial<Store>;

/** Runs the suite over a store; the names of the cases that failed. */
async function failuresOf(create: () => Store, reopen?: (closed: Store) => Store): Promise<string[]> {
  const cases: { name: string; body: () => Promise<void> }[] = [];
  testStore({
    test: (name, body) => cases.push({ name, body }),
    create,
    ...(reopen === undefined ? {} : { reopen }),
  });
  const failed: string[] = [];
  for (const { name, body } of cases) {
    await body().catch(() => failed.push(name.replace("store: ", "")));
  }
  return failed;
}

/** A store without faults, but for those that `change` gives it. */
function storeWith(change: Change): () => Store {
  return () => {
    const held: StoredCapsule[] = [];
    const inner = memoryStore({ capacity: 5000 });
    const copy = (capsule: StoredCapsule): StoredCapsule => structuredClone(capsule);
    const sound: Store = {
      append: async (capsules) => inner.append(capsules.map(copy)),
      get: async (id) => inner.get(id).then((found) => found && copy(found)),
      async *find(query) {
        for await (const capsule of inner.find(query)) yield copy(capsule);
      },
      close: () => inner.close(),
    };
    return { ...sound, ...change(sound, held) };
  };
}

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("a store without faults passes", async () => {
  expect(await failuresOf(storeWith(() => ({})))).toEqual([]);
});

const faults: [string, StoreCase, Change][] = [
  [
    "changes a byte",
    "gives back what was appended, byte for byte",
    (sound) => ({
      get: async (id) => {
        const capsule = await sound.get(id);
        capsule?.bytes.set([1], capsule.bytes.length - 1);
        return capsule;
      },
    }),
  ],
  [
    "finds the newest first",
    "finds in the order of appending",
    (sound) => ({
      async *find(query) {
        const found: StoredCapsule[] = [];
        for await (const capsule of sound.find(query)) found.unshift(capsule);
        yield* found;
      },
    }),
  ],
  [
    "ignores the condition on time",
    "finds by each condition",
    (sound) => ({ find: (query = {}) => sound.find({ ...query, since: 0 }) }),
  ],
  [
    "takes a limit of 0 for none",
    "finds no more than the limit",
    (sound) => ({ find: (query = {}) => sound.find({ ...query, limit: query.limit || Infinity }) }),
  ],
  [
    "takes any query",
    "refuses a query that makes no sense",
    (sound) => ({
      async *find(query) {
        try {
          yield* sound.find(query);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      },
    }),
  ],
  [
    "loses one of concurrent appends",
    "takes concurrent appends",
    (sound) => {
      let busy = false;
      return {
        append: async (capsules) => {
          if (busy) return;
          busy = true;
          await sound.append(capsules);
          await later();
          busy = false;
        },
      };
    },
  ],
  [
    "refuses an id that it has",
    "takes an id twice",
    (sound) => ({
      append: async (capsules) => {
        for (const { summary } of capsules)
          if ((await sound.get(summary.id)) !== undefined) throw new Error("duplicate key");
        await sound.append(capsules);
      },
    }),
  ],
  [
    "gives out what it holds",
    "keeps what was appended when a reader changes it",
    (_sound, held) => ({
      append: async (capsules) => void held.push(...capsules),
      get: async (id) => held.find(({ summary }) => summary.id === id),
      async *find() {
        yield* held;
      },
    }),
  ],
  [
    "closes at once",
    "waits for appends when it is closed",
    (sound) => ({ append: (capsules) => later().then(() => sound.append(capsules)) }),
  ],
  [
    "fails at a second close",
    "can be closed twice",
    (sound) => {
      let closes = 0;
      return { close: () => (++closes === 2 ? Promise.reject(new Error("closed")) : sound.close()) };
    },
  ],
  [
    "takes appends for ever",
    "refuses appends once it is closed",
    (_sound) => ({ close: () => Promise.resolve() }),
  ],
];

describe("finds out a store that", () => {
  test.each(faults)("%s", async (_fault, name, change) => {
    expect(await failuresOf(storeWith(change))).toContain(name);
  });

  test("forgets when it is reopened", async () => {
    const create = storeWith(() => ({}));
    expect(await failuresOf(create, create)).toEqual([
      "has after reopening what was acknowledged before",
      "takes more after reopening",
    ] satisfies StoreCase[]);
  });
});

describe("skip", () => {
  const options = { test: () => undefined, create: () => memoryStore() };

  test("takes a case by name, and shows the reason", async () => {
    const cases = new Map<string, () => Promise<void>>();
    testStore({
      test: (name, body) => cases.set(name, body),
      create: () => {
        throw new Error("not for a case that is left out");
      },
      skip: { "takes an id twice": "ids are unique here" },
    });
    await cases.get("store: takes an id twice (left out: ids are unique here)")?.();
    expect([...cases.keys()].filter((name) => name.includes("takes an id twice"))).toHaveLength(1);
  });

  test("refuses a name that is none, and an empty reason", () => {
    const refusal = expect.objectContaining({ code: "invalid-options" });
    expect(() => testStore({ ...options, skip: { "no such case": "because" } as never })).toThrow(refusal);
    expect(() => testStore({ ...options, skip: { "takes an id twice": " " } })).toThrow(refusal);
    expect(() => testStore({ ...options, skip: { toString: "inherited" } as never })).toThrow(refusal);
  });
});
