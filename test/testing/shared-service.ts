/** Pipelines over state that runs share, undeclared and declared: what a fresh process is to find out about. */
import { hindcast } from "hindcast";

const hc = hindcast({ service: "shared", logger: { warn: () => undefined } });
const query = hc.effect({ name: "db.get" }, async (id: number) => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return { id, risk: id / 10 };
});

// Filled when the module is loaded, as by a warm-up: no replay in this process sees it empty.
const rates = new Map<string, number>();
let served = 0;
export function warmUp(): void {
  rates.set("eur", 1.1);
}

const load = hc.ingest({ name: "load", data: { name: "d", version: "1" } }, async (id: number) => {
  const { risk } = await query(id);
  return risk * (rates.get("eur") ?? 1);
});
export const warm = hc.pipeline({ name: "warm" }, async (id: number) => (await load(id)) < 0.5);

const cache = new Map<number, Promise<{ risk: number }>>();
const cached = hc.ingest({ name: "cached", data: { name: "d", version: "1" } }, async (id: number) => {
  const known = cache.get(id) ?? query(id);
  cache.set(id, known);
  return (await known).risk;
});
export const undeclared = hc.pipeline({ name: "undeclared" }, cached);

const declared = hc.shared("cache", new Map<number, Promise<{ risk: number }>>());
const shared = hc.ingest({ name: "shared", data: { name: "d", version: "1" } }, async (id: number) => {
  const known = declared.get(id) ?? query(id);
  declared.set(id, known);
  return (await known).risk;
});
export const fine = hc.pipeline({ name: "fine" }, shared);

// One at a time: whoever ends begins what is next.
const waiting: (() => Promise<void>)[] = [];
let busy = false;
async function next(): Promise<void> {
  const job = waiting.shift();
  busy = job !== undefined;
  await job?.();
  if (job !== undefined) void next();
}
export const queued = hc.pipeline(
  { name: "queued" },
  (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.push(() => query(id).then(resolve, reject));
      if (!busy) void next();
    }),
);

export const numbered = hc.pipeline({ name: "numbered" }, (id: number) => ({ id, number: (served += 1) }));
