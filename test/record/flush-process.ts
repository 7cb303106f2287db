/**
 * Flushes runs of many events, and prints for each the longest stretch, in milliseconds, for which that
 * held the event loop: without the time in which the garbage was collected, or another thread had the processor.
 */
import { existsSync, readFileSync } from "node:fs";
import { PerformanceObserver, performance } from "node:perf_hooks";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { hindcast, type Store } from "hindcast";

const ROUNDS = 6;
const EFFECTS = 5_000;

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly waited: number;
}

const statistics = `/proc/self/task/${process.pid}/schedstat`;
const isKnown = existsSync(statistics);
/** Milliseconds for which the main thread was ready to run, and did not. */
function waitedForProcessor(): number {
  return isKnown ? Number(readFileSync(statistics, "utf8").split(" ")[1]) / 1e6 : 0;
}

const collections: { readonly from: number; readonly to: number }[] = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) {
    collections.push({ from: startTime, to: startTime + duration });
  }
}).observe({ entryTypes: ["gc"] });

/** Keeps nothing: a store's own work is not the encoder's. */
const store: Store = {
  append: async () => undefined,
  get: async () => undefined,
  find: async function* () {
    // It has none.
  },
  close: async () => undefined,
};
const hc = hindcast({ service: "stretches", store });
const effect = hc.effect({ name: "next" }, (value: number) => value + 1);
const sum = hc.pipeline({ name: "sum" }, (count: number) => {
  let total = 0;
  for (let index = 0; index < count; index++) total += effect(index);
  return total;
});
await sleep(100); // As a service is up before it is asked something.

// What measures is run for the first time before it counts.
for (let turn = 0; turn < 100; turn++) await nextStretch();
const longest: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  sum(EFFECTS);
  let flushed = false;
  const flushing = hc.flush().then(() => (flushed = true));
  const stretches: Stretch[] = [];
  while (!flushed) stretches.push(await nextStretch());
  await flushing;
  await sleep(5); // Collections are told of later.
  longest.push(Math.max(...stretches.map(ownTime)));
  collections.length = 0;
}
const { stored } = hc.stats().capsules;
if (stored !== ROUNDS) throw new Error(`${stored} of ${ROUNDS} runs were stored`);
console.log(JSON.stringify(longest));
await hc.close();

/** From now to the program's next turn. */
async function nextStretch(): Promise<Stretch> {
  const before = waitedForProcessor();
  const from = performance.now();
  await nextTurn();
  const to = performance.now();
  return { from, to, waited: waitedForProcessor() - before };
}

function ownTime({ from, to, waited }: Stretch): number {
  const collecting = collections.reduce(
    (time, one) => time + Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)),
    0,
  );
  return to - from - waited - collecting;
}
