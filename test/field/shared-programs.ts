/** Programs over libraries that keep state between runs: each declared in one line, or captured by `hindcast/register`. */
import { createRequire } from "node:module";
import { faker } from "@faker-js/faker";
import { createId } from "@paralleldrive/cuid2";
import { ObjectId } from "bson";
import DataLoader from "dataloader";
import { hindcast } from "hindcast";
import { LRUCache } from "lru-cache";
import { customAlphabet, nanoid } from "nanoid";
import pLimit from "p-limit";
import PQueue from "p-queue";
import { monotonicFactory, ulid } from "ulid";
import { v1, v4, v6, v7 } from "uuid";

// Neither comes with types.
const load = createRequire(import.meta.url);
const lodash = load("lodash") as {
  sample<T>(list: readonly T[]): T;
  random(low: number, high: number): number;
  now(): number;
  uniqueId(prefix: string): string;
};
const memoizee = load("memoizee") as <F>(body: F, options: { promise: true }) => F;

const hc = hindcast({ service: "shared", logger: { warn: () => undefined } });
const query = hc.effect({ name: "db.get" }, async (id: number) => {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
  return { id, value: Math.random() };
});

// Nothing declared: what the library takes at its import is captured, or `hindcast/register` captures it.
const digits = customAlphabet("0123456789", 8);
const monotonic = monotonicFactory();
const makers: Readonly<Record<string, () => unknown>> = {
  lodash: () => [lodash.sample(["a", "b", "c"]), lodash.random(1, 1e6), lodash.now()],
  nanoid: () => [nanoid(), nanoid(40), digits()],
  uuid: () => [v1(), v4(), v6(), v7(), v7(undefined, new Uint8Array(16))],
  ulid: () => [ulid(), monotonic(), monotonic()],
  cuid2: () => createId(),
  bson: () => new ObjectId().toHexString(),
};

// Declared in one line.
const cache = hc.shared("cache", new LRUCache<number, { value: number }>({ max: 2 }));
const memoised = hc.shared("memoised", memoizee(query, { promise: true }));
const loader = hc.shared(
  "loader",
  new DataLoader((ids: readonly number[]) => Promise.all(ids.map((id) => query(id)))),
);
const queue = new PQueue({ concurrency: 1 });
const queued = hc.effect({ name: "queued" }, (id: number) => queue.add(() => query(id)));
const limit = pLimit(1);
const limited = hc.effect({ name: "limited" }, (id: number) => limit(() => query(id)));
const uniqueId = hc.shared("uniqueId", (prefix: string) => lodash.uniqueId(prefix));
const numbers = hc.shared("numbers", () => faker.number.int());
const declared: Readonly<Record<string, (id: number) => unknown>> = {
  "lru-cache": async (id) => {
    let known = cache.get(id);
    if (known === undefined) cache.set(id, (known = await query(id)));
    return [known.value, cache.size];
  },
  memoizee: (id) => Promise.all([memoised(id), memoised(id + 1)]),
  dataloader: (id) => Promise.all([loader.load(id), loader.load(id + 1)]),
  "p-queue": queued,
  "p-limit": limited,
  uniqueId: () => uniqueId("row-"),
  faker: () => [numbers(), numbers()],
};

export const programs: Readonly<Record<string, (id: number) => Promise<unknown>>> = Object.fromEntries(
  Object.entries({ ...makers, ...declared }).map(([name, body]) => [
    name,
    hc.pipeline({ name }, async (id: number) => {
      await query(0);
      return body(id);
    }),
  ]),
);
