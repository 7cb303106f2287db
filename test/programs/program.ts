/**
 * Random asynchronous programs, to be recorded and replayed through the public API alone. A program
 * is data, so that fast-check can shrink it and another process can run the same one.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import fc from "fast-check";
import type { Hindcast } from "hindcast";

export type Step =
  | { readonly do: "effect"; readonly name: string; readonly delay: number; readonly fails: boolean }
  | { readonly do: "now" | "random" | "clock" | "chance" | "token" }
  | { readonly do: "timer" | "interval" | "abort" | "immediate"; readonly delay: number }
  | { readonly do: "microtasks"; readonly count: number }
  | { readonly do: "sequence" | "all" | "race" | "any" | "settled"; readonly steps: readonly Step[] }
  | { readonly do: "stage" | "pipeline"; readonly name: string; readonly steps: readonly Step[] }
  | { readonly do: "raw"; readonly source: string }
  | { readonly do: "synchronous"; readonly name: string };

/**
 * Programs of effects of 0 to 5 ms, timers, clocks and chance under every combinator, with stages and
 * pipelines nested in them.
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
  );
}

const executions = new AsyncLocalStorage<Execution>();

/** A program, ready to run. */
export interface RunnableProgram {
  readonly entry: (input: number) => Promise<unknown>;
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
}

/**
 * Makes a program run on an instance. `perform` is an effect's real work, `raw` what is neither captured nor
 * declared.
 */
export function prepare(
  hc: Hindcast,
  program: Step,
  perform: (name: string, delay: number, fails: boolean) => Promise<string>,
  raw: (source: string) => unknown = () => undefined,
): RunnableProgram {
  let last: Execution = { live: true, seen: [], serial: 0 };
  const see = (what: string): void => {
    const seen = executions.getStore()?.seen;
    // What goes on after the root has settled is no part of the run.
    if (seen !== undefined && !/^0 [=!]/.test(seen.at(-1) ?? "")) seen.push(what);
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

  const sequence = async (steps: readonly Step[], place: string): Promise<unknown[]> => {
    const results: unknown[] = [];
    for (const [index, step] of steps.entries()) results.push(await run(step, `${place}.${index}`));
    return results;
  };

  const run = async (step: Step, place: string): Promise<unknown> => {
    see(`${place} ${step.do}`);
    try {
      const result = await execute(step, place);
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
    entry: hc.pipeline({ name: "program" }, (input: number) => {
      last = { live: runnable.live, seen: [], serial: input };
      return executions.run(last, () => run(program, "0"));
    }),
  };
  return runnable;
}
