import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "./row.js";

/** What takes a moment, and gives something else each time. */
const load = async (id: number): Promise<{ id: number; chance: number }> => {
  await sleep(1);
  return { id, chance: Math.random() };
};
/** So few that runs meet one another's. */
const FEW = 3;

const idMakers: readonly Row[] = [
  {
    name: "nanoid",
    packages: ["nanoid"],
    madeExact: "nothing",
    make: async () => {
      const { customAlphabet, nanoid } = await import("nanoid");
      const short = customAlphabet("abcdef", 8);
      return { run: async () => [nanoid(), short(), (await sleep(1), nanoid(5))] };
    },
  },
  ...(["v1", "v4", "v7"] as const).map(
    (version): Row => ({
      name: `uuid: ${version}`,
      packages: ["uuid"],
      madeExact: "nothing",
      make: async () => {
        const uuid = await import("uuid");
        const make = uuid[version];
        return { run: async () => [make(), make(), (await sleep(1), make())] };
      },
    }),
  ),
  {
    name: "ulid",
    packages: ["ulid"],
    madeExact: "nothing",
    make: async () => {
      const { ulid } = await import("ulid");
      return { run: async () => [ulid(), (await sleep(1), ulid())] };
    },
  },
  {
    name: "ulid: monotonicFactory",
    packages: ["ulid"],
    madeExact: '`hc.shared("id", monotonicFactory())`',
    make: async (hc) => {
      const { monotonicFactory } = await import("ulid");
      const make = hc.shared("id", monotonicFactory());
      return { run: async () => [make(), make(), (await sleep(1), make())] };
    },
  },
  {
    name: "@paralleldrive/cuid2",
    packages: ["@paralleldrive/cuid2"],
    madeExact: "nothing",
    make: async () => {
      const { createId } = await import("@paralleldrive/cuid2");
      return { run: async () => [createId(), (await sleep(1), createId())] };
    },
  },
  {
    name: "bson: ObjectId",
    packages: ["bson"],
    madeExact: "nothing",
    make: async () => {
      const { ObjectId } = await import("bson");
      return {
        run: async () => [new ObjectId().toHexString(), (await sleep(1), new ObjectId().toHexString())],
      };
    },
  },
  {
    name: "bson: ObjectId, declared",
    packages: ["bson"],
    madeExact: '`hc.shared("objectId", () => new ObjectId().toHexString())`',
    make: async (hc) => {
      const { ObjectId } = await import("bson");
      const make = hc.shared("objectId", () => new ObjectId().toHexString());
      return { run: async () => [make(), (await sleep(1), make())] };
    },
  },
];

/** Libraries that keep a pool or a counter of their own between runs. */
const POOLED = ["nanoid", "uuid: v1", "uuid: v7", "@paralleldrive/cuid2", "bson: ObjectId"];

export const idsAndCaches: readonly Row[] = [
  ...idMakers,
  ...idMakers
    .filter(({ name }) => POOLED.includes(name))
    .map((row) => ({
      ...row,
      name: `${row.name}, registered`,
      registered: true,
      madeExact: "`node --import hindcast/register`",
    })),
  {
    name: "lodash: random, sample, shuffle, uniqueId declared",
    packages: ["lodash"],
    madeExact: '`hc.shared("uniqueId", _.uniqueId)`',
    make: async (hc) => {
      const { default: _ } = await import("lodash");
      const uniqueId = hc.shared("uniqueId", _.uniqueId);
      return {
        run: async () => [_.random(1e9), _.sample([1, 2, 3, 4, 5]), _.shuffle([1, 2, 3, 4]), uniqueId("u")],
      };
    },
  },
  {
    name: "lodash: uniqueId, undeclared",
    packages: ["lodash"],
    madeExact: "nothing",
    make: async () => {
      const { default: _ } = await import("lodash");
      return { run: async () => _.uniqueId("u") };
    },
  },
  {
    name: "@faker-js/faker",
    packages: ["@faker-js/faker"],
    madeExact: '`hc.shared("person", () => [faker.person.fullName(), …])`',
    make: async (hc) => {
      const { faker } = await import("@faker-js/faker");
      const person = hc.shared("person", () => [faker.person.fullName(), faker.number.int()]);
      return { run: async () => [person(), (await sleep(1), person())] };
    },
  },
  {
    name: "@faker-js/faker: undeclared",
    packages: ["@faker-js/faker"],
    madeExact: "nothing",
    make: async () => {
      const { faker } = await import("@faker-js/faker");
      return { run: async () => [faker.person.fullName(), (await sleep(1), faker.number.int())] };
    },
  },
  {
    name: "lru-cache",
    packages: ["lru-cache"],
    madeExact: '`hc.shared("cache", new LRUCache(…))`',
    make: async (hc) => {
      const { LRUCache } = await import("lru-cache");
      const cache = hc.shared("cache", new LRUCache<number, { id: number; chance: number }>({ max: 2 }));
      return {
        run: async (input) => {
          const id = input % FEW;
          let found = cache.get(id);
          if (found === undefined) cache.set(id, (found = await load(id)));
          return [found, cache.has(id), cache.size];
        },
      };
    },
  },
  {
    name: "lru-cache: undeclared",
    packages: ["lru-cache"],
    madeExact: "nothing",
    make: async () => {
      const { LRUCache } = await import("lru-cache");
      const cache = new LRUCache<number, { id: number; chance: number }>({ max: 2 });
      return {
        run: async (input) => {
          const id = input % FEW;
          let found = cache.get(id);
          if (found === undefined) cache.set(id, (found = await load(id)));
          return found;
        },
      };
    },
  },
  {
    name: "memoizee",
    packages: ["memoizee"],
    madeExact: '`hc.shared("load", memoize(load))`',
    make: async (hc) => {
      const { default: memoize } = await import("memoizee");
      const memoized = hc.shared("load", memoize(load, { promise: true }));
      return { run: async (input) => memoized(input % FEW) };
    },
  },
  {
    name: "dataloader",
    packages: ["dataloader"],
    madeExact: '`hc.shared("users", new DataLoader(…))`',
    make: async (hc) => {
      const { default: DataLoader } = await import("dataloader");
      const users = hc.shared(
        "users",
        new DataLoader<number, { id: number; chance: number }>((ids) => Promise.all(ids.map(load))),
      );
      return {
        run: async (input) => Promise.all([users.load(input % FEW), users.load((input + 1) % FEW)]),
      };
    },
  },
];
