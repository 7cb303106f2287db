/**
 * What a wrapper must leave as it is. A case passes, or says in a word what has changed (`Changed`), or throws what came to
 * the caller. Each holds for the function alone, which is measured as well.
 */
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import type { AnyFunction, Fault, Peer } from "./peer.js";

export interface Case {
  readonly title: string;
  /** Run in a process where that fails which takes what is recorded. */
  readonly fault?: Fault;
  readonly run: (peer: Peer) => unknown;
}

/** Something is not as it is without the wrapper. */
export class Changed extends Error {}
/** The wrapper has nothing of the kind. */
export class NotApplicable extends Error {}

function mustBe(condition: boolean, word: string): void {
  if (!condition) throw new Changed(word);
}

const isPromise = (value: unknown): boolean => value instanceof Promise;

/** What a call throws, or what its promise rejects with. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Changed("swallowed");
}

/** A call with a value that is hard to look at: its result comes, and nothing else. */
function passes(make: () => unknown): Case["run"] {
  return async ({ wrap, flush }) => {
    const value = make();
    let given: unknown;
    const wrapped = wrap(async (input: unknown) => {
      given = input;
      return "done";
    });
    mustBe((await wrapped(value)) === "done", "result");
    mustBe(given === value, "argument");
    await flush();
  };
}

/** The same as the result of a call. */
function returns(make: () => unknown): Case["run"] {
  return async ({ wrap, flush }) => {
    // In a list: a revoked Proxy cannot be awaited.
    const result = [make()];
    mustBe((await wrap(async () => result)()) === result, "identity");
    await flush();
  };
}

function cycle(): unknown {
  const value: Record<string, unknown> = { name: "cycle" };
  value["self"] = value;
  return value;
}

function throwingGetter(): unknown {
  return {
    get secret(): never {
      throw new Error("not to be read");
    },
  };
}

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function throwingToJson(): unknown {
  return {
    toJSON(): never {
      throw new Error("not to be written");
    },
  };
}

/** What a generator does, noted as it does it. */
interface Watched {
  readonly seen: string[];
  readonly body: () => Generator<number, string, unknown>;
}

function watched(): Watched {
  const seen: string[] = [];
  return {
    seen,
    *body() {
      seen.push("begun");
      try {
        yield 1;
        yield 2;
        return "end";
      } catch (error) {
        seen.push(`caught ${String(error)}`);
        return "mended";
      } finally {
        seen.push("finally");
      }
    },
  };
}

interface WatchedAsync {
  readonly seen: string[];
  readonly body: () => AsyncGenerator<number, string, unknown>;
}

function watchedAsync(): WatchedAsync {
  const { seen, body } = watched();
  return {
    seen,
    async *body() {
      await turn();
      return yield* body();
    },
  };
}

async function drain(items: AsyncIterator<unknown>): Promise<string> {
  const list: unknown[] = [];
  for (;;) {
    const { done, value } = await items.next();
    if (done === true) return `${list.join()}|${String(value)}`;
    list.push(value);
  }
}

function isAsyncIterator(value: unknown): value is AsyncGenerator<number, string, unknown> {
  return typeof (value as { next?: unknown } | null)?.next === "function";
}

/** What an async generator function gave, which must not be a promise of one. */
function generatorOf(value: unknown): AsyncGenerator<number, string, unknown> {
  mustBe(!isPromise(value), "promise");
  mustBe(isAsyncIterator(value), "no generator");
  return value as AsyncGenerator<number, string, unknown>;
}

function syncGeneratorOf(value: unknown): Generator<number, string, unknown> {
  return generatorOf(value) as unknown as Generator<number, string, unknown>;
}

/** A stream of so many chunks, and how many of them were asked for. */
function chunks(count: number): {
  stream: ReadableStream<string>;
  pulls: () => number;
  cancelled: () => unknown;
} {
  let pulled = 0;
  let reason: unknown;
  const stream = new ReadableStream<string>(
    {
      pull(controller) {
        if (pulled === count) controller.close();
        else controller.enqueue(`chunk ${pulled++}`);
      },
      cancel(why) {
        reason = why;
      },
    },
    { highWaterMark: 1 },
  );
  return { stream, pulls: () => pulled, cancelled: () => reason };
}

function streamOf(value: unknown): ReadableStream<string> {
  mustBe(value instanceof ReadableStream, "no stream");
  return value as ReadableStream<string>;
}

export const CASES: Readonly<Record<string, Case>> = {
  synchronous: {
    title: "a synchronous function stays synchronous",
    run: ({ wrap }) => mustBe(!isPromise(wrap(() => 1)()), "promise"),
  },
  identity: {
    title: "the result is the same object, the argument too",
    run: async ({ wrap }) => {
      const [input, output] = [{ a: 1 }, { b: 2 }];
      let given: unknown;
      const result = await wrap(async (value: unknown) => {
        given = value;
        return output;
      })(input);
      mustBe(result === output, "result");
      mustBe(given === input, "argument");
    },
  },
  once: {
    title: "the body runs once for each call",
    run: async ({ wrap }) => {
      let calls = 0;
      const wrapped = wrap(async () => calls++);
      await wrapped();
      await wrapped();
      mustBe(calls === 2, "repeated");
    },
  },
  "lazy-thenable": {
    title: "a thenable is not begun before it is awaited",
    run: async ({ wrap }) => {
      let begun = 0;
      const query = {
        // biome-ignore lint/suspicious/noThenProperty: a query builder has one
        then(resolve: (value: string) => void) {
          begun += 1;
          resolve("rows");
        },
      };
      const returned = wrap(() => query)();
      await turn();
      mustBe(begun === 0, "begun");
      mustBe((await (returned as PromiseLike<string>)) === "rows", "result");
      mustBe(begun === 1, "twice");
    },
  },
  this: {
    title: "`this` is the caller's",
    run: async ({ wrap }) => {
      const owner = {
        name: "owner",
        method: wrap(async function (this: unknown) {
          return this;
        }),
      };
      mustBe((await owner.method()) === owner, "this");
    },
  },
  name: {
    title: "the function's name",
    run: ({ wrap }) => mustBe(wrap(async function approve() {}).name === "approve", "name"),
  },
  length: {
    title: "the function's length",
    run: ({ wrap }) => mustBe(wrap(async (_a: unknown, _b: unknown) => undefined).length === 2, "length"),
  },
  "own-properties": {
    title: "the function's own properties",
    run: ({ wrap }) => {
      const body = Object.assign(async () => 1, { schema: { type: "object" } });
      mustBe((wrap(body) as Partial<typeof body>).schema === body.schema, "missing");
    },
  },
  "thrown-error": {
    title: "a thrown error is the same object, thrown synchronously",
    run: ({ wrap }) => {
      const error = new RangeError("no");
      const wrapped = wrap(() => {
        throw error;
      });
      let result: unknown;
      try {
        result = wrapped();
      } catch (thrown) {
        mustBe(thrown === error, "identity");
        return;
      }
      void (result as Promise<unknown>).catch?.(() => undefined);
      throw new Changed("rejects");
    },
  },
  rejection: {
    title: "a rejection is the same object",
    run: async ({ wrap }) => {
      const error = new RangeError("no");
      mustBe((await thrownBy(wrap(async () => Promise.reject(error)))) === error, "identity");
    },
  },
  "thrown-values": {
    title: "thrown values that are no errors: a text, undefined, null, a symbol, an object",
    run: async ({ wrap }) => {
      for (const value of ["no", undefined, null, Symbol("no"), { code: 7 }]) {
        const thrown = await thrownBy(
          wrap(async () => {
            throw value;
          }),
        );
        mustBe(thrown === value, typeof value);
      }
    },
  },
  "frozen-error": {
    title: "a frozen error",
    run: async ({ wrap }) => {
      const error = Object.freeze(new Error("frozen"));
      mustBe((await thrownBy(wrap(async () => Promise.reject(error)))) === error, "identity");
    },
  },
  "hostile-error": {
    title: "an error whose message throws when it is read",
    run: async ({ wrap }) => {
      const error = new Error("hidden");
      Object.defineProperty(error, "message", {
        get(): never {
          throw new Error("not to be read");
        },
      });
      mustBe((await thrownBy(wrap(async () => Promise.reject(error)))) === error, "identity");
    },
  },
  "handled-rejection": {
    title: "a rejection that the caller handles leaves none unhandled",
    run: async ({ wrap, flush }) => {
      const wrapped = wrap(async () => Promise.reject(new Error("handled")));
      await wrapped().catch(() => undefined);
      await flush();
      await wait(20); // an unhandled one ends the process
    },
  },
  generator: {
    title: "a generator: itself, lazily, with its items and its end",
    run: ({ wrap }) => {
      const { seen, body } = watched();
      const items = syncGeneratorOf(wrap(body as AnyFunction)());
      mustBe(seen.length === 0, "eager");
      const steps = [items.next(), items.next(), items.next()].map(({ value }) => String(value)).join();
      mustBe(steps === "1,2,end", "items");
    },
  },
  "generator-return": {
    title: "a generator: an early return runs its `finally`",
    run: ({ wrap }) => {
      const { seen, body } = watched();
      for (const _item of syncGeneratorOf(wrap(body as AnyFunction)())) break;
      mustBe(seen.includes("finally"), "leaked");
    },
  },
  "generator-throw": {
    title: "a generator: what the consumer throws comes to it",
    run: ({ wrap }) => {
      const { seen, body } = watched();
      const items = syncGeneratorOf(wrap(body as AnyFunction)());
      items.next();
      mustBe(items.throw("stop").value === "mended", "value");
      mustBe(seen.includes("caught stop"), "lost");
    },
  },
  "async-generator": {
    title: "an async generator: itself, lazily, with its items and its end",
    run: async ({ wrap, flush }) => {
      const { seen, body } = watchedAsync();
      const items = generatorOf(wrap(body as AnyFunction)());
      await wait(5);
      mustBe(seen.length === 0, "eager");
      mustBe((await drain(items)) === "1,2|end", "items");
      await flush();
    },
  },
  "async-generator-return": {
    title: "an async generator: an early return runs its `finally`",
    run: async ({ wrap }) => {
      const { seen, body } = watchedAsync();
      for await (const _item of generatorOf(wrap(body as AnyFunction)())) break;
      mustBe(seen.includes("finally"), "leaked");
    },
  },
  "async-generator-throw": {
    title: "an async generator: what the consumer throws comes to it",
    run: async ({ wrap }) => {
      const { seen, body } = watchedAsync();
      const items = generatorOf(wrap(body as AnyFunction)());
      await items.next();
      mustBe((await items.throw("stop")).value === "mended", "value");
      mustBe(seen.includes("caught stop"), "lost");
    },
  },
  stream: {
    title: "a ReadableStream: the caller reads all of it, after a flush too",
    run: async ({ wrap, flush }) => {
      const { stream } = chunks(3);
      const given = streamOf(await wrap(async () => stream)());
      await flush();
      const read: string[] = [];
      for await (const chunk of given as unknown as AsyncIterable<string>) read.push(chunk);
      mustBe(read.join() === "chunk 0,chunk 1,chunk 2", "chunks");
    },
  },
  "stream-backpressure": {
    title: "a ReadableStream: nothing is pulled that nobody reads",
    run: async ({ wrap, flush }) => {
      const { stream, pulls } = chunks(1_000);
      const given = streamOf(await wrap(async () => stream)());
      await flush();
      await wait(20);
      mustBe(pulls() <= 4, "buffered");
      await given.cancel();
    },
  },
  "stream-cancel": {
    title: "a ReadableStream: a cancellation comes to its source",
    run: async ({ wrap }) => {
      const { stream, cancelled } = chunks(1_000);
      const given = streamOf(await wrap(async () => stream)());
      const reader = given.getReader();
      await reader.read();
      await reader.cancel("enough");
      await turn();
      mustBe(cancelled() === "enough", "lost");
    },
  },
  bigint: { title: "a BigInt as argument", run: passes(() => ({ amount: 12n })) },
  cycle: { title: "a cycle as argument", run: passes(cycle) },
  getter: { title: "a getter that throws, as argument", run: passes(throwingGetter) },
  proxy: { title: "a revoked Proxy as argument", run: passes(revokedProxy) },
  "to-json": { title: "a `toJSON` that throws, as argument", run: passes(throwingToJson) },
  "bigint-result": { title: "a BigInt in the result", run: returns(() => ({ amount: 12n })) },
  "cycle-result": { title: "a cycle in the result", run: returns(cycle) },
  "getter-result": { title: "a getter that throws, in the result", run: returns(throwingGetter) },
  "proxy-result": { title: "a revoked Proxy in the result", run: returns(revokedProxy) },
  "failing-hook": {
    title: "a hook of the user's that throws",
    run: async ({ wrapWithFailingHook, flush }) => {
      if (wrapWithFailingHook === undefined) throw new NotApplicable();
      mustBe((await wrapWithFailingHook(async (value: unknown) => value)("result")) === "result", "result");
      await flush();
    },
  },
  "failing-exporter": {
    title: "an exporter or a store that reports a failure, or a server that is not there",
    fault: "rejects",
    run: survives,
  },
  "throwing-exporter": {
    title: "an exporter or a store that throws",
    fault: "throws",
    run(peer) {
      if (!peer.takesExporters) throw new NotApplicable();
      return survives(peer);
    },
  },
};

/** The call and the process must not hear of a failure behind them; a flush may. */
async function survives({ wrap, flush }: Peer): Promise<void> {
  mustBe((await wrap(async (value: unknown) => value)("result")) === "result", "result");
  const limit = wait(1_000);
  await Promise.race([flush().catch(() => undefined), limit]);
  await limit;
}
