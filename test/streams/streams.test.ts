/** Streams pass through as they are, and are recorded and replayed item by item. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { hindcast } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { afterAll, describe, expect, test } from "vitest";
import { onlyCapsuleOf, storedBy } from "../record/recorded.js";

const closing: (() => Promise<void>)[] = [];
function instance() {
  const hc = hindcast({ service: "streams" });
  closing.push(() => hc.close());
  return hc;
}
afterAll(async () => {
  for (const close of closing) await close();
});

/** What a stream does when it is read, and what it says of being let go. */
interface Source {
  readonly items: readonly unknown[];
  /** Fails in place of an item with that number. */
  readonly failsAt?: number;
  readonly log: string[];
}

async function* produce({ items, failsAt, log }: Source): AsyncGenerator<unknown, string> {
  try {
    for (const [index, item] of items.entries()) {
      await sleep(1);
      log.push(`gives ${index}`);
      if (index === failsAt) throw new RangeError("broken in mid-stream");
      yield item;
    }
    return "whole";
  } finally {
    log.push("let go");
  }
}

class Lines {
  readonly #source: Source;
  constructor(source: Source) {
    this.#source = source;
  }
  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return produce(this.#source);
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = ["a", "bb", "ccc", "d"];
const chunks = texts.map(bytes);

function webStream(source: Source, type?: "bytes"): ReadableStream<unknown> {
  const iterator = produce(source);
  return new ReadableStream(
    {
      type: type as undefined,
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await iterator.return("cancelled")),
    },
    { highWaterMark: 0 },
  );
}

interface Kind {
  readonly items: readonly unknown[];
  readonly make: (source: Source) => unknown;
}

const asynchronousKinds: Readonly<Record<string, Kind>> = {
  "async generator": { items: texts, make: produce },
  "async iterable": { items: texts, make: (source) => new Lines(source) },
  "plain async iterable": {
    items: texts,
    make: (source) => ({ model: "m", [Symbol.asyncIterator]: () => produce(source) }),
  },
  ReadableStream: { items: texts, make: (source) => webStream(source) },
  "ReadableStream of bytes": {
    items: chunks,
    // A chunk's memory goes over to whoever reads it.
    make: (source) => webStream({ ...source, items: texts.map(bytes) }, "bytes"),
  },
  "Node Readable": {
    items: chunks.map((chunk) => Buffer.from(chunk)),
    make: (source) => Readable.from(produce(source), { objectMode: false, highWaterMark: 1 }),
  },
  "Node Readable with an encoding": {
    items: texts,
    make: (source) =>
      Readable.from(produce(source), { objectMode: false, highWaterMark: 1 }).setEncoding("utf8"),
  },
  "Node Readable of objects": {
    items: texts,
    make: (source) => Readable.from(produce(source), { highWaterMark: 1 }),
  },
};

type Read = (stream: AsyncIterable<unknown>, seen: unknown[]) => Promise<unknown>;

const readings: Readonly<Record<string, Read>> = {
  "to its end": async (stream, seen) => {
    for await (const item of stream) seen.push(item);
    return "read";
  },
  "and left after two items": async (stream, seen) => {
    for await (const item of stream) {
      seen.push(item);
      if (seen.length === 2) break;
    }
    return "left";
  },
  "by somebody who throws": async (stream, seen) => {
    for await (const item of stream) {
      seen.push(item);
      if (seen.length === 1) throw new TypeError("the reader's own");
    }
  },
  "not at all": async () => "unread",
};

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !condition(); round++) await sleep(2);
}

const settle = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: String(error) }),
  );

describe.each(Object.entries(asynchronousKinds))("%s", (kind, { items, make }) => {
  describe.each([
    ["whole", undefined],
    ["failing in mid-stream", 2],
  ])("%s", (_name, failsAt) => {
    const source = (log: string[]): Source => ({ items, log, ...(failsAt === undefined ? {} : { failsAt }) });

    test.each(Object.entries(readings))("G1: as without the wrapper, read %s", async (reading, read) => {
      const unread = reading === "not at all";
      const bare: unknown[] = [];
      const bareLog: string[] = [];
      const bareEnd = await settle(read(make(source(bareLog)) as AsyncIterable<unknown>, bare));
      await until(() => unread || bareLog.includes("let go"));
      const hc = instance();
      const seen: unknown[] = [];
      const log: string[] = [];
      const stage = hc.tool({ name: "stage" }, () => make(source(log)));
      const end = await settle(read(stage() as AsyncIterable<unknown>, seen));
      await until(() => unread || log.includes("let go"));
      expect([seen, end]).toEqual([bare, bareEnd]);
      // How far ahead a Node stream reads depends on when it is let go.
      if (!kind.startsWith("Node")) expect(log).toEqual(bareLog);
    });

    test.each(Object.entries(readings))(
      "G4, G5: as the result of an effect, read %s",
      async (_reading, read) => {
        const hc = instance();
        let performed = 0;
        const log: string[] = [];
        const open = hc.effect({ name: "open" }, async () => {
          performed += 1;
          return make(source(log));
        });
        let seen: unknown[] = [];
        const entry = hc.pipeline({ name: "entry" }, async () => {
          seen = [];
          return [await read((await open()) as AsyncIterable<unknown>, seen), seen.length];
        });
        const outcome = await settle(entry());
        const recorded = seen;
        await sleep(10);
        const logged = [...log];
        await hc.flush();
        const [stored] = await storedBy(hc);
        expect(stored!.summary.exact).toBe(true);
        const result = await replay(stored!, entry);
        expect(explain(result)).toMatch(/^verdict {3}identical/);
        expect(seen).toEqual(recorded);
        expect(
          await settle(
            result.outcome.status === "ok"
              ? Promise.resolve(result.outcome.value)
              : Promise.reject((result.outcome as { error: unknown }).error),
          ),
        ).toEqual(outcome);
        await sleep(2);
        expect([performed, log.filter((line) => line !== "let go")]).toEqual([
          1,
          logged.filter((line) => line !== "let go"),
        ]);
      },
    );

    test.each(Object.entries(readings))(
      "G4: as the output of a stage within a run, read %s",
      async (_reading, read) => {
        const hc = instance();
        const next = hc.effect({ name: "next" }, async (index: number) => {
          await sleep(1);
          return items[index];
        });
        const stage = hc.tool({ name: "stage" }, () => {
          const made: Source = { items, log: [], ...(failsAt === undefined ? {} : { failsAt }) };
          const again: Source = {
            ...made,
            items: items.map((item) => (item instanceof Uint8Array ? item.slice() : item)),
          };
          return make(again);
        });
        let seen: unknown[] = [];
        const entry = hc.pipeline({ name: "entry" }, async () => {
          seen = [];
          const pending = next(0);
          const end = await settle(read(stage() as AsyncIterable<unknown>, seen));
          return [end, await pending, Math.random()];
        });
        const outcome = await entry();
        const recorded = seen;
        await hc.flush();
        const [stored] = await storedBy(hc);
        expect(stored!.summary.exact).toBe(true);
        for (const stages of [{}, { stage: "recorded" as const }]) {
          const result = await replay(stored!, entry, { stages });
          expect(explain(result)).toMatch(/^verdict {3}identical/);
          expect(result.outcome).toEqual({ status: "ok", value: outcome });
          expect(seen).toEqual(recorded);
        }
      },
    );

    test.each(Object.entries(readings).filter(([name]) => name !== "not at all"))(
      "G4: as what a root returns, read %s by somebody outside",
      async (reading, read) => {
        const hc = instance();
        const draw = hc.tool({ name: "draw" }, () => Math.random());
        const entry = hc.pipeline({ name: "entry" }, async (_input: string) => {
          draw();
          return make(source([])) as AsyncIterable<unknown>;
        });
        const seen: unknown[] = [];
        const end = await settle(read(await entry("in"), seen));
        await until(() => hc.stats().runs.ended === 1);
        await hc.flush();
        const [stored] = await storedBy(hc);
        const failed = failsAt !== undefined && reading === "to its end";
        expect(stored!.summary).toMatchObject({ exact: true, status: failed ? "error" : "ok" });
        const result = await replay(stored!, entry);
        expect(explain(result)).toMatch(/^verdict {3}identical/);
        if (result.outcome.status === "ok") {
          const again: unknown[] = [];
          for await (const item of result.outcome.value) again.push(item);
          expect(again).toEqual(seen);
        } else expect({ error: String((result.outcome as { error: unknown }).error) }).toEqual(end);
      },
    );
  });
});

describe("a generator", () => {
  const readSynchronously: Readonly<
    Record<string, (stream: Generator<unknown, unknown, unknown>) => unknown>
  > = {
    "to its end": (stream) => [...stream],
    "with values sent in": (stream) => [
      stream.next(),
      stream.next("sent"),
      stream.throw("thrown"),
      stream.return("out"),
    ],
    "and left after one": (stream) => {
      for (const item of stream) return item;
      return "none";
    },
  };
  function* count(limit: number): Generator<unknown, unknown, unknown> {
    for (let index = 0; index < limit; index++) {
      try {
        const sent = yield index * Math.random();
        if (sent !== undefined) yield sent;
      } catch (error) {
        yield `caught ${String(error)}`;
      }
    }
    return "end";
  }

  test.each(Object.entries(readSynchronously))("G4: of a root, read %s", async (_name, read) => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, count);
    const stream = entry(3);
    expect(stream).toBeInstanceOf(count);
    await sleep(1);
    const seen = read(stream);
    expect(seen).toBeDefined();
    await hc.flush();
    const [stored] = await storedBy(hc);
    expect(stored!.summary.exact).toBe(true);
    expect((await replay(stored!, entry)).verdict).toBe("identical");
  });

  test.each(Object.entries(readSynchronously))(
    "G4: of a stage and of an effect, read %s",
    async (_name, read) => {
      const hc = instance();
      const stage = hc.tool({ name: "stage" }, count);
      const effect = hc.effect({ name: "effect" }, (limit: number) => count(limit));
      const entry = hc.pipeline({ name: "entry" }, async () => [read(stage(3)), read(effect(3))]);
      const outcome = await entry();
      await hc.flush();
      const [stored] = await storedBy(hc);
      const result = await replay(stored!, entry);
      expect(explain(result)).toMatch(/^verdict {3}identical/);
      expect(result.outcome).toEqual({ status: "ok", value: outcome });
    },
  );
});

describe("G1, G4: a Node stream that is over before anybody reads it", () => {
  const closed = async (stream: Readable): Promise<Readable> => {
    stream.destroy();
    await new Promise((resolve) => stream.once("close", resolve));
    return stream;
  };
  const read = async (stream: AsyncIterable<unknown>): Promise<unknown> => {
    try {
      for await (const _item of stream) return "an item";
      return "nothing";
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  const programs = {
    "fails while it waits for its turn": async (
      open: () => Promise<Readable>,
      other: () => Promise<void>,
    ) => {
      const others = Array.from({ length: 20 }, other);
      const outcome = await read(await open());
      return [outcome, (await Promise.all(others)).length];
    },
    "fails when the program has it": async (open: () => Promise<Readable>) => {
      const stream = await open();
      await sleep(20);
      return read(stream);
    },
    "fails, and is listened to": async (open: () => Promise<Readable>) => {
      const stream = await open();
      const failed = new Promise((resolve) => stream.once("error", (error) => resolve(String(error))));
      await sleep(20);
      stream.resume();
      return failed;
    },
  };

  test.each(Object.entries(programs))("%s", async (_name, program) => {
    const uncaught: unknown[] = [];
    const notice = (error: unknown): void => void uncaught.push(error);
    process.on("uncaughtException", notice);
    try {
      const hc = instance();
      const open = hc.effect({ name: "open" }, async () => createReadStream("/there/is/no/such/file"));
      const other = hc.effect({ name: "other" }, async () => undefined);
      const entry = hc.pipeline({ name: "entry" }, () => program(open, other));
      const outcome = await entry();
      expect(JSON.stringify(outcome)).toContain("ENOENT");
      const [stored] = await storedBy(hc);
      const result = await replay(stored!, entry);
      expect(explain(result)).toMatch(/^verdict {3}identical/);
      expect(result.outcome).toEqual({ status: "ok", value: outcome });
      const live = await replay(stored!, entry, { effects: { open: "live" } });
      expect(live.outcome).toEqual({ status: "ok", value: outcome });
      expect(uncaught).toEqual([]);
    } finally {
      process.off("uncaughtException", notice);
    }
  });

  test("is destroyed when the program has it", async () => {
    const hc = instance();
    const made: Readable[] = [];
    const open = hc.effect({ name: "open" }, async () => {
      const stream = Readable.from(["never read"]);
      made.push(stream);
      return stream;
    });
    const entry = hc.pipeline({ name: "entry" }, async () => {
      const stream = await open();
      await Promise.all(made.splice(0).map(closed));
      return read(stream);
    });
    expect(await entry()).toBe("nothing");
  });
});

test("a stage that passes the stream of another on: both are recorded, and each item goes by both", async () => {
  const hc = instance();
  const inner = hc.tool({ name: "inner" }, async function* () {
    yield Math.random();
    yield Date.now();
  });
  const outer = hc.pipeline({ name: "outer" }, () => inner());
  const seen: number[] = [];
  for await (const item of outer()) seen.push(item);
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule.effects.filter(({ item }) => item).map(({ call }) => call)).toEqual([
    1, 0, 0, 1, 0, 1, 0, 1,
  ]);
  const [stored] = await storedBy(hc);
  expect((await replay(stored!, outer)).verdict).toBe("identical");
});

test("a changed item is a divergence that names it", async () => {
  const hc = instance();
  let factor = 1;
  const entry = hc.pipeline({ name: "entry" }, async function* () {
    yield { score: 1 };
    yield { score: 2 * factor };
  });
  for await (const item of entry()) expect(item).toBeDefined();
  await hc.flush();
  const [stored] = await storedBy(hc);
  factor = 3;
  const result = await replay(stored!, entry);
  expect(result).toMatchObject({
    verdict: "diverged",
    divergence: {
      stage: "entry",
      point: "item",
      path: "$.value.score",
      expected: 2,
      actual: 6,
      cause: "uncontrolled",
    },
  });
});

test("what if: another function stands in for a stage that streams", async () => {
  const hc = instance();
  const model = { name: "m", version: "1" };
  const generate = hc.infer({ name: "generate", model }, async function* () {
    yield "a";
    yield "b";
  });
  const entry = hc.pipeline({ name: "entry" }, async () => {
    let text = "";
    for await (const token of generate()) text += token;
    return text;
  });
  await entry();
  await hc.flush();
  const [stored] = await storedBy(hc);
  async function* other(): AsyncGenerator<string> {
    yield "a";
    yield "x";
    yield "y";
  }
  const result = await replay(stored!, entry, { stages: { generate: other } });
  expect(result).toMatchObject({
    verdict: "diverged",
    outcome: { status: "ok", value: "axy" },
    divergence: { stage: "generate", point: "item", expected: "b", actual: "x", cause: "model" },
  });
});

test("pace: a replay gives chunks at once, or as they came", async () => {
  const hc = instance();
  const open = hc.effect({ name: "open" }, async function* () {
    for (let index = 0; index < 4; index++) {
      await sleep(25);
      yield index;
    }
  });
  const entry = hc.pipeline({ name: "entry" }, async () => {
    let sum = 0;
    for await (const item of open()) sum += item;
    return sum;
  });
  await entry();
  await hc.flush();
  const [stored] = await storedBy(hc);
  const timed = async (pace: "immediate" | "recorded"): Promise<number> => {
    const start = performance.now();
    expect((await replay(stored!, entry, { pace })).verdict).toBe("identical");
    return performance.now() - start;
  };
  expect(await timed("immediate")).toBeLessThan(60);
  expect(await timed("recorded")).toBeGreaterThan(95);
});

test("a stream that nobody can read any more ends its run, and is replayed as it was left", async () => {
  const hc = instance();
  const entry = hc.pipeline({ name: "entry" }, async function* () {
    for (;;) yield Math.random();
  });
  const begin = async (): Promise<void> => {
    const stream = entry();
    await stream.next();
    await stream.next();
  };
  await begin();
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 50 && hc.stats().runs.ended === 0; round++) {
    collect();
    await sleep(2);
  }
  expect(hc.stats().runs.ended).toBe(1);
  await hc.flush();
  const [stored] = await storedBy(hc);
  expect((await replay(stored!, entry)).verdict).toBe("identical");
});
