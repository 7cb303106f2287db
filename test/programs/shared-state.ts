/** Random programs over state that runs share: of each kind, declared by `hc.shared` or not, with spans of their own. */
import { context, trace } from "@opentelemetry/api";
import fc from "fast-check";
import type { Hindcast } from "hindcast";

export const KINDS = ["cache", "lru", "counter", "pool", "memo", "batcher", "client", "queue"] as const;
export type Kind = (typeof KINDS)[number];

export interface SharedProgram {
  readonly kind: Kind;
  readonly steps: readonly Step[];
  /** Whether the steps of one run go on at once. */
  readonly parallel: boolean;
  /** How many runs come one after the other, and how many at once behind them. */
  readonly sequential: number;
  readonly concurrent: number;
}

interface Step {
  readonly key: number;
  readonly inStage: boolean;
  readonly pause: number;
  readonly span: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  key: fc.nat({ max: 2 }),
  inStage: fc.boolean(),
  pause: fc.nat({ max: 2 }),
  span: fc.boolean(),
});

export function sharedPrograms(kind: Kind): fc.Arbitrary<SharedProgram> {
  return fc.record({
    kind: fc.constant(kind),
    steps: fc.array(step, { minLength: 1, maxLength: 4 }),
    parallel: fc.boolean(),
    sequential: fc.integer({ min: 0, max: 3 }),
    concurrent: fc.integer({ min: 1, max: 4 }),
  });
}

type Use = (key: number) => unknown;
type Query = (key: number) => Promise<number>;

interface Batch {
  readonly asked: {
    readonly key: number;
    readonly resolve: (value: number) => void;
    readonly reject: (error: unknown) => void;
  }[];
  load(key: number): Promise<number>;
}

function batchOf(query: Query): Batch {
  return {
    asked: [],
    load(key) {
      return new Promise((resolve, reject) => {
        if (this.asked.push({ key, resolve, reject }) > 1) return;
        queueMicrotask(() => {
          for (const one of this.asked.splice(0)) void query(one.key).then(one.resolve, one.reject);
        });
      });
    },
  };
}

/** Fresh state of a kind, and how a program uses it. */
const STATES: Readonly<Record<Kind, (declare: <S extends object>(state: S) => S, query: Query) => Use>> = {
  cache: (declare, query) => {
    const cache = declare(new Map<number, number>());
    return async (key) => {
      const known = cache.get(key);
      if (known !== undefined) return known;
      const value = await query(key);
      cache.set(key, value);
      return value;
    };
  },
  lru: (declare, query) => {
    const cache = declare({ keys: [] as number[], values: new Map<number, number>() });
    return async (key) => {
      const { keys, values } = cache;
      const hit = values.get(key);
      cache.keys = [...keys.filter((one) => one !== key), key].slice(-2);
      if (hit !== undefined && keys.includes(key)) return hit;
      const value = await query(key);
      cache.values = new Map([...values, [key, value]]);
      return value;
    };
  },
  counter: (declare) => {
    const counter = declare({ next: 0 });
    return () => (counter.next += 1);
  },
  pool: (declare) => {
    const pool = declare([] as number[]);
    return () => {
      if (pool.length === 0) pool.push(...Array.from({ length: 5 }, () => Math.random()));
      return pool.pop();
    };
  },
  memo: (declare, query) => {
    const known = new Map<number, Promise<number>>();
    return declare((key: number) => {
      const value = known.get(key) ?? query(key);
      known.set(key, value);
      return value;
    });
  },
  batcher: (declare, query) => {
    const batch = declare(batchOf(query));
    return (key) => batch.load(key);
  },
  client: (declare, query) => {
    let ready: Promise<void> | undefined;
    const connect = declare(async () => {
      await (ready ??= query(0).then(() => undefined));
    });
    return async (key) => {
      await connect();
      return query(key);
    };
  },
  queue: (declare, query) => {
    const queue = declare({
      jobs: [] as (() => Promise<void>)[],
      busy: false,
      add(key: number): Promise<number> {
        return new Promise((resolve, reject) => {
          this.jobs.push(() => query(key).then(resolve, reject));
          if (!this.busy) void this.next();
        });
      },
      async next(): Promise<void> {
        const job = this.jobs.shift();
        this.busy = job !== undefined;
        await job?.();
        if (job !== undefined) void this.next();
      },
    });
    return (key) => queue.add(key);
  },
};

const tracer = trace.getTracer("shared-state");

/** The program, with state of its own that nobody has used yet. */
export function prepareShared(hc: Hindcast, program: SharedProgram, declared: boolean, live: boolean) {
  const query = hc.effect({ name: "query" }, async (key: number) => {
    if (!live) throw new Error("touched");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    return key + Math.random();
  });
  const use = STATES[program.kind]((state) => (declared ? hc.shared(program.kind, state) : state), query);
  const stage = hc.ingest({ name: "stage", data: { name: "d", version: "1" } }, async (key: number) =>
    use(key),
  );
  const take = async ({ key, inStage, pause, span }: Step): Promise<unknown> => {
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    const perform = async (): Promise<unknown> => (inStage ? stage(key) : use(key));
    if (!span) return perform();
    const started = tracer.startSpan("step");
    try {
      return await context.with(trace.setSpan(context.active(), started), perform);
    } finally {
      started.end();
    }
  };
  return hc.pipeline({ name: "program" }, async () => {
    if (program.parallel) return Promise.all(program.steps.map(take));
    const results: unknown[] = [];
    for (const one of program.steps) results.push(await take(one));
    return results;
  });
}
