/**
 * Whoever reads a stream may drop everything but what they read by. The garbage collector runs all the time here: it
 * may clean up, and changes nothing that is read.
 */
import { Readable, Transform } from "node:stream";
import { finished } from "node:stream/promises";
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { hindcast, keep } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let collect: () => void;
let collecting: NodeJS.Timeout;
beforeAll(() => {
  setFlagsFromString("--expose-gc");
  collect = runInNewContext("gc") as () => void;
  collecting = setInterval(collect, 1);
});
afterAll(() => clearInterval(collecting));

/** What a source gives, and before which of its items it waits. */
interface Plan {
  readonly items: number;
  readonly waits: readonly number[];
}

async function* produce({ items, waits }: Plan): AsyncGenerator<Uint8Array> {
  for (let item = 0; item < items; item++) {
    const milliseconds = waits[item % waits.length] as number;
    if (milliseconds > 0) await sleep(milliseconds);
    yield new TextEncoder().encode(`item ${item};`);
  }
}

function webStream(plan: Plan, type?: "bytes"): ReadableStream<Uint8Array> {
  const source = produce(plan);
  const underlying = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController) {
      const { done, value } = await source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  };
  const stream =
    type === undefined ? new ReadableStream(underlying) : new ReadableStream({ ...underlying, type });
  return stream as ReadableStream<Uint8Array>;
}

const KINDS = {
  generator: produce,
  iterable: (plan: Plan) => ({ [Symbol.asyncIterator]: () => produce(plan) }),
  web: (plan: Plan) => webStream(plan),
  bytes: (plan: Plan) => webStream(plan, "bytes"),
  node: (plan: Plan) => Readable.from(produce(plan), { objectMode: false }),
  response: (plan: Plan) => new Response(webStream(plan)),
  "response of text": (plan: Plan) => new Response("item ;".repeat(plan.items)),
} as const;
type Kind = keyof typeof KINDS;

type Iterates = AsyncIterator<Uint8Array>;
type Reads = () => Promise<Uint8Array | undefined>;

const reads =
  (iterator: Iterates): Reads =>
  async () => {
    const { done, value } = await iterator.next();
    return done === true ? undefined : value;
  };

const iterated = (stream: unknown): Reads =>
  reads((stream as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]());

const read = (stream: ReadableStream<Uint8Array>): Reads => {
  const reader = stream.getReader();
  return async () => (await reader.read()).value;
};

const bodyOf = (stream: unknown): ReadableStream<Uint8Array> =>
  (stream instanceof Response ? stream.body : stream) as ReadableStream<Uint8Array>;

const through = (): TransformStream<Uint8Array, Uint8Array> => new TransformStream();

async function piped(stream: ReadableStream<Uint8Array>): Promise<Reads> {
  const chunks: Uint8Array[] = [];
  await stream.pipeTo(
    new WritableStream({ write: async (chunk) => void (await tick(), chunks.push(chunk)) }),
  );
  return async () => chunks.shift();
}

/** What a reader keeps of the stream; everything else is dropped. */
const OF_THE_WEB = {
  iterator: (stream: unknown) => iterated(bodyOf(stream)),
  reader: (stream: unknown) => read(bodyOf(stream)),
  "one of two": (stream: unknown) => read(bodyOf(stream).tee()[1]),
  pipe: (stream: unknown) => read(bodyOf(stream).pipeThrough(through())),
  "piped to its end": (stream: unknown) => piped(bodyOf(stream)),
  "Node's": (stream: unknown) => iterated(Readable.fromWeb(bodyOf(stream) as never)),
} as const;
const OF_RESPONSES = {
  ...OF_THE_WEB,
  clone: (stream: unknown) => read(bodyOf((stream as Response).clone())),
  "clone of a clone": (stream: unknown) => read(bodyOf((stream as Response).clone().clone())),
  text: async (stream: unknown) => {
    const chunks = [new TextEncoder().encode(await (stream as Response).text())];
    return async () => chunks.shift();
  },
} as const;
const OF_NODE = {
  iterator: iterated,
  pipe: (stream: unknown) =>
    iterated((stream as Readable).pipe(new Transform({ transform: (chunk, _, done) => done(null, chunk) }))),
  events: async (stream: unknown) => {
    const chunks: Uint8Array[] = [];
    await finished((stream as Readable).on("data", (chunk: Uint8Array) => chunks.push(chunk)));
    return async () => chunks.shift();
  },
} as const;
const READERS: Readonly<Record<Kind, Readonly<Record<string, (stream: unknown) => Reads | Promise<Reads>>>>> =
  {
    generator: { iterator: iterated },
    iterable: { iterator: iterated },
    web: OF_THE_WEB,
    bytes: OF_THE_WEB,
    node: OF_NODE,
    response: OF_RESPONSES,
    "response of text": OF_RESPONSES,
  };

const cases = fc.constantFrom(...(Object.keys(KINDS) as Kind[])).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    reader: fc.constantFrom(...Object.keys(READERS[kind])),
    plan: fc.record({
      items: fc.integer({ min: 0, max: 6 }),
      waits: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }),
    }),
    /** Whether the root returns a promise of it. */
    promised: fc.boolean(),
    /** Milliseconds between readings. */
    pause: fc.integer({ min: 0, max: 2 }),
    throughStage: fc.boolean(),
  }),
);

/** Reads in a function of its own, so that no local variable holds the stream. */
async function begin(stream: unknown, reader: (stream: unknown) => Reads | Promise<Reads>): Promise<Reads> {
  return await reader(await stream);
}

describe("the wrapper of a stream is dropped while it is read", () => {
  test("G2: it goes on to its end, is recorded whole, and replays", { timeout: 120_000 }, async () => {
    const hc = hindcast({ service: "dropped", keep: [keep.sample(1)] });
    const inner = hc.tool({ name: "inner" }, (kind: Kind, plan: Plan) => KINDS[kind](plan));
    const outer = hc.pipeline(
      { name: "outer" },
      (kind: Kind, plan: Plan, promised: boolean, stage: boolean) => {
        const made = stage ? inner(kind, plan) : KINDS[kind](plan);
        return promised ? sleep(1).then(() => made) : made;
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(cases, { minLength: 4, maxLength: 12 }), async (many) => {
        await Promise.all(
          many.map(async ({ kind, reader, plan, promised, pause, throughStage }) => {
            const next = await begin(
              outer(kind, plan, promised, throughStage),
              READERS[kind][reader] as (stream: unknown) => Reads,
            );
            let text = "";
            for (;;) {
              if (pause > 0) await sleep(pause);
              const chunk = await Promise.race([next(), sleep(5_000, "hangs" as const)]);
              expect(chunk, `${kind} by ${reader}`).not.toBe("hangs");
              if (chunk === undefined) break;
              text += new TextDecoder().decode(chunk as Uint8Array);
            }
            const item = (index: number): string =>
              kind === "response of text" ? "item ;" : `item ${index};`;
            expect(text, `${kind} by ${reader}`).toBe(
              Array.from({ length: plan.items }, (_, index) => item(index)).join(""),
            );
          }),
        );
      }),
      { numRuns: 5 },
    );
    await hc.flush();
    const { started, ended, inexact } = hc.stats().runs;
    expect(ended).toBe(started);
    expect(inexact).toBe(0);
    for await (const capsule of hc.store.find()) {
      const result = await replay(capsule, outer);
      expect(result.verdict, explain(result)).toBe("identical");
    }
    await hc.close();
  });

  test("G2: what was asked before everything was dropped is asked, and then the run ends", async () => {
    const hc = hindcast({ service: "dropped", keep: [keep.sample(1)] });
    const given: number[] = [];
    const pipeline = hc.pipeline({ name: "asked" }, async function* () {
      for (let item = 0; ; item++) {
        given.push(item);
        await sleep(1);
        yield item;
      }
    });
    const ask = (): void => {
      const stream = pipeline();
      for (let times = 0; times < 3; times++) void stream.next();
    };
    ask();
    for (let waited = 0; hc.stats().runs.ended === 0 && waited < 2_000; waited++) await sleep(1);
    expect(given).toEqual([0, 1, 2]);
    expect(hc.stats().runs.ended).toBe(1);
    await hc.flush();
    for await (const capsule of hc.store.find()) {
      const result = await replay(capsule, pipeline);
      expect(result.verdict, explain(result)).toBe("identical");
    }
    await hc.close();
  });

  test("G2: a generator that is not read to its end ends its run when nobody can read it", async () => {
    const hc = hindcast({ service: "dropped", keep: [keep.sample(1)] });
    const pipeline = hc.pipeline({ name: "generator" }, function* () {
      for (;;) yield Math.random();
    });
    const ask = (): unknown[] => {
      const { next } = pipeline() as unknown as { next: () => IteratorResult<number> };
      return [next(), next()];
    };
    ask();
    for (let waited = 0; hc.stats().runs.ended === 0 && waited < 2_000; waited++) await sleep(1);
    expect(hc.stats().runs).toMatchObject({ started: 1, ended: 1, inexact: 0 });
    await hc.flush();
    for await (const capsule of hc.store.find()) {
      const result = await replay(capsule, pipeline);
      expect(result.verdict, explain(result)).toBe("identical");
    }
    await hc.close();
  });

  test("G2: what a stream does that throws at once reaches who asked", async () => {
    const hc = hindcast({ service: "dropped" });
    const pipeline = hc.pipeline({ name: "broken" }, () =>
      Object.assign(produce({ items: 1, waits: [0] }), {
        next: () => {
          throw new RangeError("at once");
        },
      }),
    );
    const stream = pipeline();
    const outcomes = await Promise.allSettled([stream.next(), stream.next()]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    expect(hc.stats().runs.ended).toBe(1);
    await hc.close();
  });
});
