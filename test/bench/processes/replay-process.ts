/** Replay, and what a run costs as it grows. Prints one line of JSON. */
import { setImmediate as turn } from "node:timers/promises";
import { hindcast, memoryStore, type StoredCapsule } from "hindcast";
import { replay } from "hindcast/replay";
import { mainThreadClock } from "../main-thread-clock.js";
import type { ConcurrencyPoint, ReplayFigures, ScalePoint } from "../measures/replay-figures.js";
import { application } from "../payloads.js";
import { median } from "../statistics.js";

const isShort = process.argv[2] === "short";
const SAMPLES = isShort ? 3 : 7;
/** Stages or effects that are run before anything counts, until the compiler has done with them. */
const WARM = isShort ? 3_000 : 30_000;

type Body = (count: number) => Promise<number>;

/** Makes the same program with and without the library. */
interface Scaled {
  readonly bare: Body;
  readonly wrapped: Body;
}

const hc = hindcast({ service: "bench", store: memoryStore({ capacity: 10 }) });

const square = async (value: number): Promise<number> => value * value;
const squareNow = (value: number): number => value * value;

function scaled(
  name: string,
  bodyOf: (square: (value: number) => Promise<number> | number) => Body,
  bare: (value: number) => Promise<number> | number,
  wrapped: (value: number) => Promise<number> | number,
): Scaled {
  return { bare: bodyOf(bare), wrapped: hc.pipeline({ name }, bodyOf(wrapped)) };
}

const inSequence =
  (one: (value: number) => Promise<number> | number): Body =>
  async (count) => {
    let sum = 0;
    for (let index = 0; index < count; index++) sum += await one(index);
    return sum;
  };

const atOnce =
  (one: (value: number) => Promise<number> | number): Body =>
  (count) => {
    let sum = 0;
    for (let index = 0; index < count; index++) sum += one(index) as number;
    return Promise.resolve(sum);
  };

async function pointOf(program: Scaled, count: number): Promise<ScalePoint> {
  const repeat = Math.max(isShort ? 2 : 5, Math.round((isShort ? 200 : 1_000) / (count + 10)));
  const warmUp = Math.max(2, Math.ceil(WARM / (repeat * Math.max(count, 10))));
  const [bare, recorded, replayed]: [number[], number[], number[]] = [[], [], []];
  let stored: StoredCapsule | undefined;
  for (let sample = -warmUp; sample < SAMPLES; sample++) {
    const times = [
      await microseconds(repeat, () => program.bare(count)),
      await microseconds(repeat, () => program.wrapped(count)),
    ];
    await hc.flush();
    for await (const found of hc.store.find()) stored = found;
    const capsule = stored as StoredCapsule;
    times.push(
      await microseconds(repeat, async () => {
        const { verdict } = await replay(capsule, program.wrapped);
        if (verdict !== "identical") throw new Error(`a replay of ${count} was ${verdict}`);
      }),
    );
    if (sample < 0) continue;
    for (const [index, series] of [bare, recorded, replayed].entries()) series.push(times[index] as number);
  }
  return { count, bare: median(bare), recorded: median(recorded), replayed: median(replayed) };
}

/** Main thread for one `body`, in microseconds. */
async function microseconds(repeat: number, body: () => Promise<unknown>): Promise<number> {
  const start = mainThreadClock.read();
  for (let run = 0; run < repeat; run++) await body();
  return (mainThreadClock.read() - start) / repeat / 1000;
}

async function pointsOf(program: Scaled, counts: readonly number[]): Promise<readonly ScalePoint[]> {
  const points: ScalePoint[] = [];
  for (const count of counts) points.push(await pointOf(program, count));
  return points;
}

/** A pipeline of 4 stages and 2 effects. */
function loan(traced: boolean): (id: string) => Promise<unknown> {
  const load = async (id: string): Promise<Record<string, unknown>> => {
    await turn();
    return { ...application(), id };
  };
  const features = (one: Record<string, unknown>) => ({ ratio: Number(one["debt"]) / Number(one["income"]) });
  const rate = async (): Promise<number> => {
    await turn();
    return 0.035;
  };
  const decide = (score: number) => ({ approved: score < 0.5 });
  const score = (rateNow: () => Promise<number>) => async (one: { ratio: number }) =>
    one.ratio + (await rateNow());
  if (!traced) {
    return async (id) => decide(await score(rate)(features(await load(id))));
  }
  const fetchOne = hc.effect({ name: "db.get" }, load);
  const currentRate = hc.effect({ name: "rates.current" }, rate);
  const stages = {
    load: hc.ingest({ name: "load", data: { name: "a", version: "1" } }, (id: string) => fetchOne(id)),
    features: hc.feature({ name: "features", data: { name: "f", version: "1" } }, features),
    score: hc.infer({ name: "score", model: { name: "m", version: "1" } }, score(currentRate)),
    decide: hc.decide({ name: "decide" }, decide),
  };
  return hc.pipeline({ name: "loan" }, async (id: string) =>
    stages.decide(await stages.score(stages.features(await stages.load(id)))),
  );
}

async function concurrencyOf(runs: number): Promise<ConcurrencyPoint> {
  const measured: Record<"bare" | "recorded", number[]> = { bare: [], recorded: [] };
  const programs = { bare: loan(false), recorded: loan(true) };
  const total = isShort ? 200 : 1_000;
  for (let sample = -1; sample < SAMPLES; sample++) {
    for (const [name, program] of Object.entries(programs)) {
      const start = mainThreadClock.read();
      for (let done = 0; done < total; done += runs) {
        await Promise.all(Array.from({ length: runs }, (_, index) => program(`application-${done + index}`)));
      }
      if (name === "recorded") await hc.flush();
      const spent = (mainThreadClock.read() - start) / (Math.ceil(total / runs) * runs) / 1000;
      if (sample >= 0) measured[name as "bare" | "recorded"].push(spent);
    }
  }
  return { runs, bare: median(measured.bare), recorded: median(measured.recorded) };
}

async function replaysPerSecond(): Promise<number> {
  const entry = loan(true);
  await entry("application-1");
  await hc.flush();
  let stored: StoredCapsule | undefined;
  for await (const found of hc.store.find({ pipeline: "loan" })) stored = found;
  const end = performance.now() + (isShort ? 300 : 2_000);
  const start = performance.now();
  let count = 0;
  while (performance.now() < end) {
    const { verdict } = await replay(stored as StoredCapsule, entry);
    if (verdict !== "identical") throw new Error(`a replay was ${verdict}`);
    count += 1;
  }
  return (count / (performance.now() - start)) * 1000;
}

const stage = hc.tool({ name: "square" }, square);
const effect = hc.effect({ name: "square" }, square);
const effectNow = hc.effect({ name: "squareNow" }, squareNow);

const figures: ReplayFigures = {
  stages: await pointsOf(
    scaled("stages", inSequence, square, stage),
    isShort ? [0, 100] : [0, 1, 10, 50, 100],
  ),
  effects: await pointsOf(
    scaled("effects", inSequence, square, effect),
    isShort ? [0, 1_000] : [0, 1, 10, 100, 1_000],
  ),
  synchronousEffects: await pointsOf(
    scaled("synchronous-effects", atOnce, squareNow, effectNow),
    isShort ? [0, 1_000] : [0, 100, 1_000],
  ),
  concurrency: await (async () => {
    const points: ConcurrencyPoint[] = [];
    for (const runs of isShort ? [1, 50] : [1, 10, 50, 200]) points.push(await concurrencyOf(runs));
    return points;
  })(),
  replaysPerSecond: await replaysPerSecond(),
};
console.log(JSON.stringify(figures));
await hc.close();
