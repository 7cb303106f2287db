/** G7: runs that wake each other through what they share. Both say so, and what does not share is left alone. */
import { AsyncResource } from "node:async_hooks";
import { hindcast, type StoredCapsule } from "hindcast";
import { type Capsule, readCapsule, replay } from "hindcast/replay";
import { valueAt } from "../../src/capsule/decode-capsule.js";
import { describe, expect, test } from "vitest";

const WHO = ["alice", "bob", "carol"];
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** One at a time, as p-queue does it: whoever ends begins what is next. */
class Queue {
  readonly #waiting: (() => Promise<void>)[] = [];
  #busy = false;
  add<T>(job: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => job().then(resolve, reject));
      if (!this.#busy) void this.#next();
    });
  }
  async #next(): Promise<void> {
    const job = this.#waiting.shift();
    this.#busy = job !== undefined;
    if (job === undefined) return;
    await job();
    void this.#next();
  }
}

/** What is asked for in one turn is loaded at once, by whoever asked first. */
class Batcher {
  #asked: { who: string; resolve: (value: string) => void }[] = [];
  readonly #load: (all: readonly string[]) => Promise<readonly string[]>;
  readonly #schedule: (run: () => void) => void;
  constructor(
    load: (all: readonly string[]) => Promise<readonly string[]>,
    schedule: (run: () => void) => void,
  ) {
    this.#load = load;
    this.#schedule = schedule;
  }
  load(who: string): Promise<string> {
    return new Promise((resolve) => {
      this.#asked.push({ who, resolve });
      if (this.#asked.length === 1) this.#schedule(() => void this.#run());
    });
  }
  async #run(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    const values = await this.#load(asked.map(({ who }) => who));
    for (const [index, { resolve }] of asked.entries()) resolve(values[index] as string);
  }
}

type Instance = ReturnType<typeof hindcast>;
type Load = (who: string) => Promise<string>;

const one = (hc: Instance) =>
  hc.effect({ name: "db.get" }, async (who: string) => {
    await pause(3);
    return `of ${who}`;
  });
const many = (hc: Instance) =>
  hc.effect({ name: "db.many" }, async (all: readonly string[]) => {
    await pause(3);
    return all.map((who) => `of ${who}`);
  });

const SHARING: Readonly<Record<string, (hc: Instance) => Load>> = {
  "a queue": (hc) => {
    const [queue, db] = [new Queue(), one(hc)];
    return (who) => queue.add(() => db(who));
  },
  "a chain of promises": (hc) => {
    const db = one(hc);
    let last: Promise<unknown> = Promise.resolve();
    return (who) => {
      const next = last.then(() => db(who));
      last = next;
      return next;
    };
  },
  "a batcher in a microtask": (hc) => {
    const batcher = new Batcher(many(hc), queueMicrotask);
    return (who) => batcher.load(who);
  },
  "a batcher in a tick": (hc) => {
    const batcher = new Batcher(many(hc), (run) => process.nextTick(run));
    return (who) => batcher.load(who);
  },
  "a batcher on a timer": (hc) => {
    const batcher = new Batcher(many(hc), (run) => setTimeout(run, 2));
    return (who) => batcher.load(who);
  },
  "a promise in a cache": (hc) => {
    const db = one(hc);
    let cached: Promise<string> | undefined;
    return (who) => (cached ??= db(who));
  },
};

const ALONE: Readonly<Record<string, (hc: Instance) => Load>> = {
  "nothing shared": one,
  "a queue, and each job bound to its own run": (hc) => {
    const [queue, db] = [new Queue(), one(hc)];
    return hc.effect({ name: "queued" }, (who: string) => queue.add(AsyncResource.bind(() => db(who))));
  },
  "an effect around a queue": (hc) => {
    const [queue, db] = [new Queue(), one(hc)];
    return hc.effect({ name: "queued" }, (who: string) => queue.add(() => db(who)));
  },
  "a batcher that is declared": (hc) => {
    const batcher = hc.shared("batcher", new Batcher(many(hc), queueMicrotask));
    return (who) => batcher.load(who);
  },
  "a cache that is declared": (hc) => {
    const db = one(hc);
    const cache = hc.shared("cache", new Map<string, Promise<string>>());
    return async (who) => {
      const known = cache.get("all");
      if (known !== undefined) return known;
      const made = db(who);
      cache.set("all", made);
      return made;
    };
  },
};

/** Three runs at once. `tail`: how long each goes on afterwards. */
async function record(make: (hc: Instance) => Load, tail: number, kind: "ingest" | "infer" | "none") {
  const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
  const load = make(hc);
  const stage =
    kind === "ingest"
      ? hc.ingest({ name: "load", data: { name: "d", version: "1" } }, load)
      : kind === "infer"
        ? hc.infer({ name: "load", model: { name: "m", version: "1" } }, load)
        : load;
  const entry = hc.pipeline({ name: "customer" }, async (who: string) => {
    const loaded = await stage(who);
    if (tail > 0) await pause(tail);
    return loaded;
  });
  await Promise.all(WHO.map((who) => entry(who)));
  await pause(10);
  await hc.flush();
  const stored: StoredCapsule[] = [];
  for await (const capsule of hc.store.find()) stored.push(capsule);
  return { entry, capsules: stored.map((capsule) => readCapsule(capsule)), hc };
}

const ownerOf = (capsule: Capsule): string => String(valueAt(capsule, capsule.calls[0]?.input[0] as number));

/** Whether the capsule's effects name another customer than its own. */
function holdsAnother(capsule: Capsule): boolean {
  const told = JSON.stringify(
    capsule.effects.map(({ input }) => input.map((reference) => valueAt(capsule, reference))),
  );
  return WHO.some((who) => who !== ownerOf(capsule) && told.includes(who));
}

const CONDITIONS = [0, 40].flatMap((tail) =>
  (["ingest", "infer", "none"] as const).map((kind) => [tail, kind] as const),
);

describe.each(Object.entries(SHARING))("%s", (_name, make) => {
  test.each(CONDITIONS)(
    "a run holds another's data, or was woken by one: it says so (tail %s, %s)",
    async (tail, kind) => {
      const { capsules } = await record(make, tail, kind);
      expect(capsules).toHaveLength(3);
      const silent = capsules.filter((capsule) => capsule.replayable.exact);
      // A model that waits in another's queue looks like one that is at work by itself, until that other has ended.
      if (!(kind === "infer" && tail === 0)) expect(silent.filter(holdsAnother).map(ownerOf)).toEqual([]);
      expect(silent.length).toBeLessThanOrEqual(1);
      const reasons = capsules.flatMap(({ replayable }) => replayable.reasons.map(({ message }) => message));
      expect(reasons.some((reason) => reason.includes('pipeline "customer"'))).toBe(true);
      expect(reasons.some((reason) => reason.includes("hc.shared()"))).toBe(true);
    },
  );
});

describe.each(Object.entries(ALONE))("no alarm: %s", (_name, make) => {
  test.each(CONDITIONS)("(tail %s, %s)", async (tail, kind) => {
    const { capsules, entry } = await record(make, tail, kind);
    for (const capsule of capsules) {
      expect(capsule.replayable.reasons).toEqual([]);
      expect(holdsAnother(capsule)).toBe(false);
      expect((await replay(capsule, entry)).verdict).toBe("identical");
    }
  });
});

test("no alarm: a run of another instance within a run, in whose turns it goes on", async () => {
  const [outer, inner] = [hindcast({ service: "outer" }), hindcast({ service: "inner" })];
  const read = inner.effect({ name: "read" }, () => pause(2));
  const part = inner.pipeline({ name: "part" }, async () => {
    await read();
    return 1;
  });
  const entry = outer.pipeline({ name: "whole" }, async () => (await part()) + 1);
  await entry();
  await inner.flush();
  for await (const capsule of inner.store.find()) expect(readCapsule(capsule).replayable.reasons).toEqual([]);
});
