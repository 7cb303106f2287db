/**
 * Random asynchronous programs, to be recorded and replayed through the public API alone. A program
 * is data, so that fast-check can shrink it and another process can run the same one.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import type { Hindcast } from "hindcast";
import {
  COMPUTATIONS,
  type Computation,
  type LoadModule,
  loadedModules,
  MODULE_COUNT,
} from "./computations.js";

export type Step =
  | { readonly do: "effect"; readonly name: string; readonly delay: number; readonly fails: boolean }
  | { readonly do: "now" | "random" | "clock" | "chance" | "token" }
  | { readonly do: "timer" | "interval" | "abort" | "immediate"; readonly delay: number }
  | { readonly do: "microtasks"; readonly count: number }
  | { readonly do: "sequence" | "all" | "race" | "any" | "settled"; readonly steps: readonly Step[] }
  | { readonly do: "stage" | "pipeline"; readonly name: string; readonly steps: readonly Step[] }
  | {
      readonly do: "fetch";
      readonly path: "whole" | "chunks" | "broken" | "failed" | "dropped";
      readonly read: "json" | "text" | "chunks" | "first" | "nothing";
      readonly method: "GET" | "POST";
      readonly delay: number;
      readonly gaveUpAfter: number;
    }
  | {
      readonly do: "read";
      readonly kind: "generator" | "web" | "node";
      readonly count: number;
      readonly delay: number;
      readonly fails: boolean;
      readonly take: number;
    }
  | { readonly do: "stream"; readonly name: string; readonly steps: readonly Step[]; readonly take: number }
  | { readonly do: "compute"; readonly work: Computation; readonly size: number }
  | { readonly do: "import"; readonly module: number }
  | { readonly do: "signal" }
  | { readonly do: "raw"; readonly source: string }
  | { readonly do: "synchronous"; readonly name: string };

/**
 * Programs of effects of 0 to 5 ms, timers, clocks, chance, exchanges over HTTP, streams, compression, hashing and loading of
 * modules under every combinator, with stages, streaming stages and pipelines nested in them.
 */
export const programs: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom("sequence", "all"),
  steps: fc.array(stepsOf(3), { minLength: 2, maxLength: 4 }),
});

function stepsOf(depth: number): fc.Arbitrary<Step> {
  const name = fc.constantFrom("a", "b", "c");
  const delay = fc.integer({ min: 0, max: 5 });
  const leaf: fc.WeightedArbitrary<Step>[] = [
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("effect" as const),
        name,
        delay,
        fails: fc.integer({ min: 0, max: 3 }).map((drawn) => drawn === 0),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("now", "random", "clock", "chance", "token") }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("timer", "interval", "abort", "immediate"), delay }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("microtasks" as const), count: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("synchronous" as const), name }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("fetch" as const),
        path: fc.constantFrom("whole", "whole", "chunks", "chunks", "broken", "failed", "dropped"),
        read: fc.constantFrom("json", "text", "chunks", "first", "nothing"),
        method: fc.constantFrom("GET", "POST"),
        delay,
        gaveUpAfter: fc.constantFrom(1_000, 1_000, 3),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("read" as const),
        kind: fc.constantFrom("generator", "web", "node"),
        count: fc.integer({ min: 0, max: 4 }),
        delay,
        fails: fc.boolean(),
        take: fc.constantFrom(1, 2, 100),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("signal" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("compute" as const),
        work: fc.constantFrom(...(Object.keys(COMPUTATIONS) as Computation[])),
        size: fc.constantFrom(1, 100, 20_000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("import" as const), module: fc.nat({ max: MODULE_COUNT - 1 }) }),
    },
  ];
  if (depth === 0) return fc.oneof(...leaf);
  const steps = fc.array(stepsOf(depth - 1), { minLength: 1, maxLength: 4 });
  return fc.oneof(
    ...leaf,
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constantFrom("sequence", "all", "race", "any", "settled"), steps }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("stage", "pipeline"), name, steps }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("stream" as const),
        name,
        steps,
        take: fc.constantFrom(1, 2, 100),
      }),
    },
  );
}

/** A stream of texts, of any kind, that says nothing until it is read. */
function openStream({ kind, count, delay, fails }: Extract<Step, { do: "read" }>): AsyncIterable<unknown> {
  async function* produce(): AsyncGenerator<string> {
    for (let index = 0; index < count; index++) {
      await wait(Math.random() * delay);
      yield `${index} ${Math.random()}`;
    }
    if (fails) throw new RangeError("broken in mid-stream");
  }
  if (kind === "generator") return produce();
  if (kind === "node") return Readable.from(produce());
  const source = produce();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await source.return(undefined)),
  });
}

/** What `JSON.parse` says differs from one version of Node to another. */
function withoutPosition(error: unknown): never {
  throw error instanceof SyntaxError ? new SyntaxError("no JSON") : error;
}

/** A generator runs in the context of whoever reads it: this one in its execution's. */
function within(execution: Execution, stream: AsyncGenerator<unknown>): AsyncGenerator<unknown> {
  for (const method of ["next", "return"] as const) {
    const body = stream[method].bind(stream) as (...input: unknown[]) => unknown;
    const value = (...input: unknown[]): unknown => executions.run(execution, () => body(...input));
    Object.defineProperty(stream, method, { value });
  }
  return stream;
}

function aborted(signal: AbortSignal): Promise<string> {
  if (signal.aborted) return Promise.resolve(String(signal.reason));
  return new Promise((done) => signal.addEventListener("abort", () => done(String(signal.reason))));
}

const loaded = await loadedModules();
const executions = new AsyncLocalStorage<Execution>();

/** Does something around a step, which is known by its place, and gives what the step gives. */
export type Around = (place: string, body: () => Promise<unknown>) => Promise<unknown>;

/** A program, ready to run. */
export interface RunnableProgram {
  readonly entry: (input: number, signal: AbortSignal) => Promise<unknown>;
  /** The same program as a root that streams what its steps give. */
  readonly streaming: (input: number, signal: AbortSignal) => AsyncGenerator<unknown>;
  /** Whether effects may do their work in executions that begin from now on. */
  live: boolean;
  /** What the last execution that began has seen so far, in the order in which it saw it. */
  observations(): readonly string[];
}

/** Losers of a race go on after their run: each execution has a record of its own. */
interface Execution {
  serial: number;
  readonly live: boolean;
  readonly seen: string[];
  readonly signal: AbortSignal;
}

/** Whether the current code is part of an execution whose effects may do their work; undefined outside of all. */
export function isLive(): boolean | undefined {
  return executions.getStore()?.live;
}

/** Requests that programs have sent since, by whether they were live. */
export interface SentRequests extends Disposable {
  readonly live: number;
  readonly replayed: number;
}

/** A server cannot tell who sends: what has lost a race goes on, and sends live requests while its run is replayed. */
export function countRequests(): SentRequests {
  let [live, replayed] = [0, 0];
  const count = (): void => {
    const execution = executions.getStore();
    if (execution?.live === true) live += 1;
    else if (execution !== undefined) replayed += 1;
  };
  subscribe("undici:request:create", count);
  return {
    get live() {
      return live;
    },
    get replayed() {
      return replayed;
    },
    [Symbol.dispose]: () => void unsubscribe("undici:request:create", count),
  };
}

/**
 * Makes a program run on an instance. `perform` is an effect's real work, `raw` what is neither captured nor
 * declared, `load` how its modules are loaded, `around` what is done around each of its steps.
 */
export function prepare(
  hc: Hindcast,
  program: Step,
  perform: (name: string, delay: number, fails: boolean) => Promise<string>,
  server: string,
  raw: (source: string) => unknown = () => undefined,
  load: LoadModule = loaded,
  around: Around = (_place, body) => body(),
): RunnableProgram {
  let last: Execution = { live: true, seen: [], serial: 0, signal: new AbortController().signal };
  const see = (what: string): void => {
    const seen = executions.getStore()?.seen;
    // What goes on after the root has settled is no part of the run.
    if (seen !== undefined && !/^0 (?:[=!]|let go)/.test(seen.at(-1) ?? "")) seen.push(what);
  };
  const guarded = (name: string, delay: number, fails: boolean): Promise<string> => {
    if (executions.getStore()?.live !== true) throw new Error("a replay touched the outside world");
    return perform(name, delay, fails);
  };
  const nextSerial = (): number => {
    const execution = executions.getStore() as Execution;
    return execution.serial++;
  };
  const effects = Object.fromEntries(["a", "b", "c"].map((name) => [name, hc.effect({ name }, guarded)]));
  const open = hc.effect({ name: "open" }, (step: Extract<Step, { do: "read" }>) => {
    if (executions.getStore()?.live !== true) throw new Error("a replay touched the outside world");
    return openStream(step);
  });
  const synchronous = Object.fromEntries(
    ["a", "b", "c"].map((name) => [
      name,
      hc.decide({ name: `sync-${name}` }, (x: number) => x * hc.random()),
    ]),
  );
  const stages = new Map<Step, (place: string) => Promise<unknown>>();
  const wrap = (
    step: Extract<Step, { name: string; steps: unknown }>,
  ): ((place: string) => Promise<unknown>) => {
    const known = stages.get(step);
    if (known !== undefined) return known;
    const options = { name: `${step.do}-${step.name}` };
    const body = (place: string): Promise<unknown> => sequence(step.steps, place);
    const wrapped = step.do === "pipeline" ? hc.pipeline(options, body) : hc.tool(options, body);
    stages.set(step, wrapped);
    return wrapped;
  };

  const streams = new Map<Step, (place: string) => AsyncGenerator<unknown>>();
  const wrapStream = (
    step: Extract<Step, { do: "stream" }>,
  ): ((place: string) => AsyncGenerator<unknown>) => {
    const known = streams.get(step);
    if (known !== undefined) return known;
    const wrapped = hc.agent({ name: `stream-${step.name}` }, (place: string) => items(step.steps, place));
    streams.set(step, wrapped);
    return wrapped;
  };

  async function* items(steps: readonly Step[], place: string): AsyncGenerator<unknown, string> {
    try {
      for (const [index, step] of steps.entries()) yield await run(step, `${place}.${index}`);
      return "whole";
    } finally {
      see(`${place} let go`);
    }
  }

  const consume = async (stream: AsyncIterable<unknown>, take: number, place: string): Promise<unknown[]> => {
    const taken: unknown[] = [];
    for await (const item of stream) {
      see(`${place} item ${JSON.stringify(item)}`);
      taken.push(item instanceof Uint8Array ? Buffer.from(item).toString() : item);
      if (taken.length === take) break;
    }
    return taken;
  };

  const exchange = async (step: Extract<Step, { do: "fetch" }>, place: string): Promise<unknown> => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error("gave up")), step.gaveUpAfter);
    try {
      const response = await fetch(`${server}/${step.path}?d=${step.delay}`, {
        method: step.method,
        signal: controller.signal,
        ...(step.method === "POST" ? { body: `${Math.random()}` } : {}),
      });
      see(`${place} ${response.status} ${response.headers.get("x-number")}`);
      if (step.read === "json") return await response.json().catch(withoutPosition);
      if (step.read === "text") return await response.text();
      if (step.read === "nothing" || response.body === null) return response.url;
      return await consume(response.body, step.read === "first" ? 1 : 100, place);
    } finally {
      clearTimeout(timer);
    }
  };

  const sequence = async (steps: readonly Step[], place: string): Promise<unknown[]> => {
    const results: unknown[] = [];
    for (const [index, step] of steps.entries()) results.push(await run(step, `${place}.${index}`));
    return results;
  };

  const run = async (step: Step, place: string): Promise<unknown> => {
    see(`${place} ${step.do}`);
    try {
      const result = await around(place, () => execute(step, place));
      see(`${place} = ${JSON.stringify(result)}`);
      return result;
    } catch (error) {
      const message = error instanceof AggregateError ? error.errors.map(String).join() : String(error);
      see(`${place} ! ${message}`);
      throw error;
    }
  };

  const execute = async (step: Step, place: string): Promise<unknown> => {
    const each = (steps: readonly Step[]): Promise<unknown>[] =>
      steps.map((one, index) => run(one, `${place}.${index}`));
    switch (step.do) {
      case "effect":
        return effects[step.name]?.(`${step.name}${nextSerial()}`, step.delay, step.fails);
      case "now":
        return hc.now();
      case "random":
        return hc.random();
      case "clock":
        return [Date.now(), new Date().toISOString(), performance.now(), String(process.hrtime.bigint())];
      case "chance":
        return Math.random();
      case "token":
        return [
          randomUUID(),
          globalThis.crypto.randomUUID(),
          randomBytes(4).toString("hex"),
          randomInt(1_000),
        ];
      case "timer":
        return wait(Math.random() * step.delay, "waited");
      case "fetch":
        return exchange(step, place);
      case "read":
        return consume(open(step), step.take, place);
      case "stream":
        return consume(wrapStream(step)(place), step.take, place);
      case "compute":
        return COMPUTATIONS[step.work](`${nextSerial()} `.repeat(step.size));
      case "import":
        return (await load(step.module)).value;
      case "signal":
        return aborted((executions.getStore() as Execution).signal);
      case "raw":
        return raw(step.source);
      case "immediate":
        return new Promise((done) => setImmediate(done, "immediate"));
      case "abort":
        return new Promise((done) =>
          AbortSignal.timeout(step.delay).addEventListener("abort", () => done("aborted")),
        );
      case "interval":
        return new Promise((done) => {
          let ticks = 0;
          const timer = setInterval(() => {
            see(`${place} tick`);
            ticks += 1;
            if (ticks < 3) return;
            clearInterval(timer);
            done(ticks);
          }, step.delay);
        });
      case "microtasks":
        for (let count = 0; count < step.count; count++) await Promise.resolve();
        return step.count;
      case "synchronous":
        return synchronous[step.name]?.(nextSerial());
      case "sequence":
        return sequence(step.steps, place);
      case "all":
        return Promise.all(each(step.steps));
      case "race":
        return Promise.race(each(step.steps));
      case "any":
        return Promise.any(each(step.steps));
      case "settled":
        return Promise.allSettled(each(step.steps)).then((all) => all.map((one) => one.status));
      case "stage":
      case "pipeline":
        return wrap(step)(place);
    }
  };

  const runnable: RunnableProgram = {
    live: true,
    observations: () => last.seen,
    entry: hc.pipeline({ name: "program" }, (input: number, signal: AbortSignal) => {
      last = { live: runnable.live, seen: [], serial: input, signal };
      return executions.run(last, () => run(program, "0"));
    }),
    streaming: hc.pipeline({ name: "streaming" }, (input: number, signal: AbortSignal) => {
      last = { live: runnable.live, seen: [], serial: input, signal };
      const steps = "steps" in program ? program.steps : [program];
      return within(last, items(steps, "0"));
    }),
  };
  return runnable;
}
