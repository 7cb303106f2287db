/**
 * Very many runs, of callers side by side, with a store that fails for a third of the time. At the end nothing
 * may be unhandled, every run must be in exactly one counter, and the heap must be where it was after the warm-up.
 * `npm run soak` makes a million runs; the first argument is another number. Needs `--expose-gc`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast, isHindcastError, keep, memoryStore, type Store } from "hindcast";
import { z } from "zod";

const RUNS = Number(process.argv[2] ?? 1_000_000);
const CALLERS = 50;
const PARTS = 10;
/** Parts until caches are full and code is compiled. */
const WARM_UP_PARTS = 3;
const TOLERANCE = 0.05;

let unhandled = 0;
for (const event of ["unhandledRejection", "uncaughtException"] as const) {
  process.on(event, (error: unknown) => {
    unhandled += 1;
    console.error(`soak: ${event}:`, error);
  });
}

let appends = 0;
const store: Store = {
  ...memoryStore(),
  append() {
    switch (appends++ % 6) {
      case 0:
        throw new Error("the store threw");
      case 1:
        return sleep(2).then(() => Promise.reject(new Error("the store refused")));
      case 2:
        return sleep(1);
      default:
        return Promise.resolve();
    }
  },
};

const hc = hindcast({
  service: "soak",
  store,
  keep: [keep.errors(), keep.violations(), keep.slowerThan("1s"), keep.sample(0.3)],
  queueBytes: 4 * 1024 * 1024,
  onError: () => undefined,
});
const Order = z.object({ id: z.number(), items: z.array(z.string()).max(4) });
const look = hc.effect({ name: "look" }, async (id: number) => {
  await new Promise((resolve) => setImmediate(resolve));
  return { id, items: Array.from({ length: id % 6 }, (_, index) => `item ${index} of ${id}`) };
});
const load = hc.ingest(
  { name: "load", data: { name: "orders", version: "1" }, output: Order },
  (id: number) => look(id),
);
const score = hc.infer({ name: "score", model: { name: "score", version: "1" }, input: Order }, (order) => ({
  score: hc.random() * order.items.length,
  vector: new Float32Array(64).fill(order.id),
}));
const decide = hc.decide({ name: "decide" }, (scored: { score: number }, id: number) => {
  if (id % 50 === 0) throw new RangeError("no decision");
  return { approved: scored.score < 1, at: Date.now() };
});
const flow = hc.pipeline({ name: "flow" }, async (id: number) => decide(score(await load(id)), id));

let made = 0;
const outcomes = { decided: 0, violated: 0, failed: 0 };
async function call(until: number): Promise<void> {
  while (made < until) {
    const id = ++made;
    try {
      await flow(id);
      outcomes.decided += 1;
    } catch (error) {
      if (isHindcastError(error)) outcomes.violated += 1;
      else if (error instanceof RangeError) outcomes.failed += 1;
      else throw error;
    }
  }
}

async function heapInUse(): Promise<number> {
  await hc.flush();
  for (let round = 0; round < 3; round++) {
    await sleep(20);
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
const problems: string[] = [];
const heap: number[] = [];
const begun = performance.now();
for (let part = 1; part <= PARTS; part++) {
  const until = Math.round((RUNS * part) / PARTS);
  await Promise.all(Array.from({ length: CALLERS }, () => call(until)));
  heap.push(await heapInUse());
  const { stored, lost } = hc.stats().capsules;
  const seconds = (performance.now() - begun) / 1000;
  console.log(
    `soak: ${made} runs, ${seconds.toFixed(0)} s, heap ${megabytes(heap.at(-1) ?? 0)}, stored ${stored}, lost ${JSON.stringify(lost)}`,
  );
}
await hc.close();

const { runs, capsules, failures } = hc.stats();
const settled = heap.slice(WARM_UP_PARTS - 1);
const growth = (settled.at(-1) as number) / (settled[0] as number) - 1;
const { queue, codec, store: refused, exit } = capsules.lost;
const counted = runs.discarded + capsules.stored + capsules.waiting + queue + codec + refused + exit;
if (typeof globalThis.gc !== "function") problems.push("it was not run with --expose-gc");
if (unhandled > 0) problems.push(`${unhandled} errors were not handled`);
if (runs.ended !== RUNS || counted !== RUNS)
  problems.push(`${RUNS} runs, ${runs.ended} ended, ${counted} counted`);
if (outcomes.decided + outcomes.violated + outcomes.failed !== RUNS)
  problems.push("not every caller had its outcome");
if (growth > TOLERANCE) problems.push(`the heap grew by ${(100 * growth).toFixed(1)} % after the warm-up`);
if (failures.listener + failures.codec + failures.keep > 0)
  problems.push(`failures: ${JSON.stringify(failures)}`);
if (capsules.stored === 0 || refused === 0) problems.push("the store did not both take and refuse");
console.log(
  `soak: ${JSON.stringify(outcomes)}, heap after warm-up ${(100 * growth).toFixed(1)} %, ${Math.round(RUNS / ((performance.now() - begun) / 1000))} runs a second`,
);
for (const problem of problems) console.error(`soak: FAILED: ${problem}`);
console.log(`soak: ${problems.length === 0 ? "passed" : "failed"}`);
process.exitCode = problems.length === 0 ? 0 : 1;
