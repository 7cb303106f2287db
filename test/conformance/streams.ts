/** What functions give that is read in pieces, and how reading it ends. */
import { Readable } from "node:stream";
import type { Outcome } from "./outcomes.js";
import { attempt, kindOf, settled, tick, ticks, type Trial } from "./trial.js";

/** What a stream gives, and where it fails. */
interface Source {
  readonly trial: Trial;
  readonly failure: { readonly at: number; readonly error: unknown } | undefined;
  /** Waits for ever in place of an item with that number. */
  readonly stuckAt: number | undefined;
  readonly item: (index: number) => unknown;
  readonly signal: AbortSignal | undefined;
}

interface StreamMaker {
  readonly name: string;
  readonly item?: (index: number) => unknown;
  readonly make: (source: Source) => unknown;
  readonly read: (stream: never) => Reader;
  /** Looks at what was returned, before anybody reads it. */
  readonly look?: (stream: never, trial: Trial) => void;
  /** `throw` has a meaning of its own only for generators. */
  readonly throws?: boolean;
}

/** A reader of any stream, by the protocol of iterators. */
interface Reader {
  next(): unknown;
  return(value?: unknown): unknown;
  throw?(error: unknown): unknown;
}

const COUNT = 4;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (index: number): string => `item ${index}`;

async function* produce({
  trial,
  failure,
  stuckAt,
  item,
  signal,
}: Source): AsyncGenerator<unknown, string, unknown> {
  trial.log("begun");
  try {
    for (let index = 0; index < COUNT; index++) {
      await tick();
      if (index === stuckAt) {
        await new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason as Error));
        });
      }
      trial.log(`pulled ${index}`);
      if (index === failure?.at) throw failure.error;
      yield item(index);
    }
    trial.log("whole");
    return "whole";
  } catch (error) {
    trial.log("caught");
    throw error;
  } finally {
    trial.log("let go");
  }
}

function* produceAtOnce({ trial, failure, item }: Source): Generator<unknown, string, unknown> {
  trial.log("begun");
  try {
    for (let index = 0; index < COUNT; index++) {
      trial.log(`pulled ${index}`);
      if (index === failure?.at) throw failure.error;
      const sent = yield item(index);
      if (sent !== undefined) trial.log("sent something");
    }
    return "whole";
  } finally {
    trial.log("let go");
  }
}

/** As clients have them: with members, and private state. */
class Message extends Readable {
  readonly #headers = { a: "b" };
  readonly #iterator: AsyncGenerator<unknown>;
  readonly statusCode = 200;
  constructor(source: Source) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#iterator = produce(source);
  }
  get headers(): object {
    return this.#headers;
  }
  override _read(): void {
    this.#iterator.next().then(
      ({ done, value }) => this.push(done === true ? null : value),
      (error: unknown) => this.destroy(error as Error),
    );
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const destroyed = (): void => done(error);
    this.#iterator.return("destroyed").then(destroyed, destroyed);
  }
}

class Lines {
  readonly #source: Source;
  constructor(source: Source) {
    this.#source = source;
  }
  get model(): string {
    return `model of ${typeof this.#source.item}`;
  }
  count(): number {
    return Object.keys(this.#source).length;
  }
  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return produce(this.#source);
  }
}

function webStream(source: Source, type?: "bytes"): ReadableStream<unknown> {
  const iterator = produce(source);
  return new ReadableStream(
    {
      type: type as undefined,
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done !== true) return controller.enqueue(value);
        controller.close();
        // Who waits with a buffer of their own is told that nothing more comes into it.
        if ("byobRequest" in controller)
          (controller.byobRequest as ReadableStreamBYOBRequest | null)?.respond(0);
      },
      async cancel(reason: unknown) {
        source.trial.log(`cancelled: ${String(reason)}`);
        await iterator.return("cancelled");
      },
    },
    { highWaterMark: 0 },
  );
}

const nodeStream = (source: Source, options: { objectMode: boolean }): Readable =>
  Readable.from(produce(source), { ...options, highWaterMark: 1 });

const iterate = (stream: AsyncIterable<unknown>): Reader =>
  stream[Symbol.asyncIterator]() as unknown as Reader;

function webReader(stream: ReadableStream<unknown>): Reader {
  const reader = stream.getReader();
  return { next: () => reader.read(), return: (reason) => reader.cancel(reason) };
}

const bytesOf = (index: number): Uint8Array => encode(text(index));

const makers: readonly StreamMaker[] = [
  {
    name: "generator",
    make: produceAtOnce,
    read: (stream: Generator<unknown>) => stream as Reader,
    throws: true,
  },
  {
    name: "async generator",
    make: produce,
    read: (stream: AsyncGenerator<unknown>) => stream as Reader,
    throws: true,
    look: (stream: AsyncGenerator<unknown>, { note }) =>
      note("iterates itself", stream[Symbol.asyncIterator]() === stream),
  },
  {
    name: "async iterable of a class",
    make: (source) => new Lines(source),
    read: iterate,
    look: (stream: Lines, { note }) =>
      note("members", [stream instanceof Lines, stream.model, stream.count()]),
  },
  {
    name: "async iterable of a class, frozen",
    make: (source) => Object.freeze(new Lines(source)),
    read: iterate,
    look: (stream: Lines, { note }) =>
      note("members", [stream instanceof Lines, stream.model, stream.count(), stream.constructor === Lines]),
  },
  {
    name: "async iterable",
    make: (source) => ({ model: "m", [Symbol.asyncIterator]: () => produce(source) }),
    read: iterate,
    look: (stream: { model: string }, { note }) => note("members", [stream.model, Object.keys(stream)]),
  },
  {
    name: "ReadableStream",
    make: (source) => webStream(source),
    read: webReader,
    look: (stream: ReadableStream, { note }) =>
      note("members", [stream.locked, stream instanceof ReadableStream]),
  },
  {
    name: "ReadableStream, iterated",
    make: (source) => webStream(source),
    read: (stream: ReadableStream<unknown>) => iterate(stream),
  },
  {
    name: "ReadableStream of bytes",
    item: bytesOf,
    make: (source) => webStream(source, "bytes"),
    read: webReader,
  },
  {
    name: "ReadableStream of bytes, read into a buffer",
    item: bytesOf,
    make: (source) => webStream(source, "bytes"),
    read(stream: ReadableStream<Uint8Array>) {
      const reader = stream.getReader({ mode: "byob" });
      return {
        next: () => reader.read(new Uint8Array(64)),
        return: (reason) => reader.cancel(reason),
      };
    },
  },
  {
    name: "Node Readable",
    item: (index) => Buffer.from(text(index)),
    make: (source) => nodeStream(source, { objectMode: false }),
    read: iterate,
    look: (stream: Readable, { note }) =>
      note("members", [stream instanceof Readable, stream.readableObjectMode, stream.destroyed]),
  },
  {
    name: "Node Readable of objects",
    make: (source) => nodeStream(source, { objectMode: true }),
    read: iterate,
    look: (stream: Readable, { note }) =>
      note("members", [stream instanceof Readable, stream.readableObjectMode, stream.destroyed]),
  },
  {
    name: "Node Readable with members of its own",
    make: (source) =>
      Object.assign(nodeStream(source, { objectMode: true }), { statusCode: 200, headers: { a: "b" } }),
    read: iterate,
    look: (stream: Readable & { statusCode?: number; headers?: object }, { note }) =>
      note("members", [stream instanceof Readable, stream.statusCode, stream.headers]),
  },
  {
    name: "Node Readable of a class",
    make: (source) => new Message(source),
    read: iterate,
    look: (stream: Message, { note }) => note("members", [stream instanceof Message, stream.statusCode]),
  },
  {
    name: "Response",
    item: bytesOf,
    make: (source) =>
      new Response(webStream(source, "bytes") as ReadableStream<Uint8Array>, {
        status: 201,
        statusText: "Made",
        headers: { "x-model": "m" },
      }),
    read: (response: Response) => webReader(response.body as ReadableStream<unknown>),
    look: (response: Response, { note }) =>
      note("members", [
        response instanceof Response,
        response.ok,
        response.status,
        response.statusText,
        response.headers.get("x-model"),
        response.bodyUsed,
        response.url,
        response.type,
        response.redirected,
      ]),
  },
];

/** An asking, and what came of it. */
async function ask(
  trial: Trial,
  what: string,
  call: () => unknown,
  known: readonly unknown[],
): Promise<boolean> {
  const ended = attempt(call);
  const isPromise = ended.how === "returned" && ended.value instanceof Promise;
  const last = isPromise ? await settled(ended.value) : ended;
  trial.note(`${what} is a promise`, isPromise);
  if (last.how !== "returned") {
    trial.log(
      `${what} ${last.how}${last.how === "threw" ? ` the very error: ${known.includes(last.value)}` : ""}`,
    );
    return false;
  }
  const result = last.value as IteratorResult<unknown> | undefined;
  trial.log(`${what} gave ${described(result, known)}`);
  return result !== undefined && result.done !== true;
}

/** The objects that were given must come as the very ones; bytes are compared by what they hold. */
function described(result: IteratorResult<unknown> | undefined, known: readonly unknown[]): string {
  if (result === undefined) return "nothing";
  const { done, value } = result;
  const shown =
    value instanceof Uint8Array
      ? `${kindOf(value)} ${Buffer.from(value).toString()}`
      : typeof value === "object" && value !== null
        ? `the very item: ${known.includes(value)}`
        : String(value);
  return `${done === true ? "the end, " : ""}${shown}`;
}

interface Reading {
  readonly ending: string;
  readonly open?: boolean;
  readonly failsAt?: number;
  readonly stuckAt?: number;
  readonly throws?: boolean;
  readonly abort?: boolean;
  /** Streams that come at once cannot wait. */
  readonly waits?: boolean;
  readonly read: (
    reader: Reader,
    next: (what: string) => Promise<boolean>,
    context: Context,
  ) => Promise<void>;
}

interface Context {
  readonly trial: Trial;
  readonly error: unknown;
  readonly controller: AbortController;
  readonly ask: (what: string, call: () => unknown) => Promise<boolean>;
}

async function toItsEnd(next: (what: string) => Promise<boolean>): Promise<void> {
  for (let index = 0; await next(`reading ${index}`); index++);
}

const readings: readonly Reading[] = [
  { ending: "read to its end", read: (_reader, next) => toItsEnd(next) },
  {
    ending: "read to its end, and beyond",
    async read(_reader, next) {
      await toItsEnd(next);
      await next("beyond");
    },
  },
  { ending: "fails before the first item", failsAt: 0, read: (_reader, next) => toItsEnd(next) },
  {
    ending: "fails in mid-stream",
    failsAt: 2,
    async read(_reader, next) {
      await toItsEnd(next);
      await next("after that");
    },
  },
  {
    ending: "left after one item",
    async read(reader, next, context) {
      await next("reading");
      await context.ask("leaving", () => reader.return("left"));
      await next("after that");
    },
  },
  {
    ending: "left before the first item",
    async read(reader, next, context) {
      await context.ask("leaving", () => reader.return("left"));
      await next("after that");
    },
  },
  {
    ending: "thrown into",
    throws: true,
    async read(reader, next, context) {
      await next("reading");
      await context.ask("throwing", () => reader.throw?.(context.error));
      await next("after that");
    },
  },
  {
    ending: "read slowly",
    async read(_reader, next, { trial }) {
      for (let index = 0; index < 2; index++) {
        await next(`reading ${index}`);
        await ticks(4);
        trial.log("paused");
      }
      await toItsEnd(next);
    },
  },
  { ending: "never read", open: true, read: () => ticks(4) },
  {
    ending: "never goes on",
    open: true,
    waits: true,
    stuckAt: 1,
    async read(_reader, next) {
      await next("first");
      await next("second");
    },
  },
  {
    ending: "is aborted",
    waits: true,
    abort: true,
    stuckAt: 1,
    async read(_reader, next, { controller, error, trial }) {
      await next("first");
      const second = next("second");
      await ticks(3);
      trial.log("aborting");
      controller.abort(error);
      await second;
    },
  },
  {
    ending: "read by two at once",
    async read(_reader, next) {
      await Promise.all([next("one"), next("two")]);
      await toItsEnd(next);
    },
  },
];

function outcomesOf(maker: StreamMaker, promised: boolean): Outcome[] {
  return readings
    .filter(
      ({ throws = false, waits = false }) =>
        (!throws || maker.throws === true) && (!waits || maker.name !== "generator"),
    )
    .map(({ ending, open = false, failsAt, stuckAt, abort = false, read }) => ({
      ending,
      // An iterator of a Node stream that is left before it has begun lets nothing go.
      open: open || (maker.name.startsWith("Node") && ending === "left before the first item"),
      prepare(trial) {
        const error = new RangeError("the stream's own");
        const controller = new AbortController();
        const known: unknown[] = [error];
        const make = maker.item ?? ((index: number) => ({ index }));
        const item = (index: number): unknown => {
          const made = make(index);
          known.push(made);
          return made;
        };
        return {
          input: abort ? [controller.signal] : [],
          body(_first, _second, signal) {
            const source: Source = {
              trial,
              item,
              stuckAt,
              failure: failsAt === undefined ? undefined : { at: failsAt, error },
              signal: signal as AbortSignal | undefined,
            };
            const stream = maker.make(source);
            return promised ? tick().then(() => stream) : stream;
          },
          async use(ended) {
            trial.note("call", ended.how);
            const got = promised && ended.how === "returned" ? await settled(ended.value) : ended;
            if (got.how !== "returned") return trial.note("stream", got.how);
            trial.note("kind", kindOf(got.value));
            maker.look?.(got.value as never, trial);
            await ticks(3);
            trial.log("looked at");
            if (open && stuckAt === undefined) return ticks(2);
            const reader = maker.read(got.value as never);
            const next = (what: string): Promise<boolean> => ask(trial, what, () => reader.next(), known);
            await read(reader, next, {
              trial,
              error,
              controller,
              ask: (what, call) => ask(trial, what, call, known),
            });
            await ticks(2);
          },
        };
      },
    }));
}

/** Functions that give a stream, and those that promise one. */
export const streams: readonly { readonly name: string; readonly outcomes: readonly Outcome[] }[] =
  makers.flatMap((maker) => [
    { name: maker.name, outcomes: outcomesOf(maker, false) },
    { name: `promise of a ${maker.name}`, outcomes: outcomesOf(maker, true) },
  ]);
