/**
 * Measures what the guard watches, each by turns with the reference work, and prints the ratios of the shortest times as
 * one line of JSON: what else the machine does makes times longer, and never shorter.
 *
 * HINDCAST_GUARD_SLOWDOWN=0.25 makes each call longer by that share, to see that the guard notices.
 */
import { setImmediate as turn } from "node:timers/promises";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { type Hindcast, hindcast } from "hindcast";
import { GUARDED, type Guarded, type GuardFigures } from "../guard-figures.js";
import { application, prompt, tensor } from "../payloads.js";
import { referenceWork } from "../reference-work.js";

const slowdown = Number(process.env["HINDCAST_GUARD_SLOWDOWN"] ?? 0);
const WARM_UP_MILLISECONDS = 400;
const MILLISECONDS = 900;
/** Of one batch: shorter than what a scheduler gives a process at once, so that many batches are not interrupted. */
const BATCH_NANOSECONDS = 1_000_000;

/** Iterations of a loop that a call is made longer by. */
let delay = 0;

async function decide(_value: unknown): Promise<unknown> {
  let drawn = 1;
  for (let index = 0; index < delay; index++) drawn = (Math.imul(drawn, 1_103_515_245) + 12_345) | 0;
  return { approved: drawn !== 0, score: 0.42, reason: "within limits" };
}

interface Subject {
  readonly call: (value: unknown) => Promise<unknown>;
  readonly value: unknown;
  /** What a batch leaves behind. */
  readonly after: () => Promise<void>;
}

// Before an SDK is registered.
const off = hindcast({ service: "guard", keep: [] });
const offCall = off.pipeline({ name: "decide" }, decide);
const reference: Subject = {
  call: (value) => referenceWork(value as Record<string, unknown>),
  value: application(),
  after: noWait,
};

function noWait(): Promise<void> {
  return Promise.resolve();
}

function registerSdk(): void {
  const done = (): Promise<void> => Promise.resolve();
  const processor = { onStart() {}, onEnd() {}, forceFlush: done, shutdown: done };
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

function recorded(value: unknown, hc: Hindcast): Subject {
  return { call: hc.pipeline({ name: "decide" }, decide), value, after: () => hc.flush() };
}

async function batchOf({ call, value, after }: Subject, calls: number): Promise<number> {
  const start = process.hrtime.bigint();
  for (let index = 0; index < calls; index++) await call(value);
  // The turns of what was recorded are part of its cost, and so is what flushes it.
  await turn();
  await after();
  return Number(process.hrtime.bigint() - start) / calls;
}

async function shortest(
  subjects: readonly Subject[],
  milliseconds: number,
  calls: readonly number[],
): Promise<number[]> {
  const best = subjects.map(() => Number.POSITIVE_INFINITY);
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    for (const [index, subject] of subjects.entries()) {
      const time = await batchOf(subject, calls[index] as number);
      best[index] = Math.min(best[index] as number, time);
    }
  }
  return best;
}

async function ratioOf(subject: Subject): Promise<number> {
  const subjects = [subject, reference];
  const first = await shortest(subjects, WARM_UP_MILLISECONDS, [50, 50]);
  const calls = first.map((time) => Math.max(1, Math.round(BATCH_NANOSECONDS / time)));
  if (slowdown > 0)
    delay = await iterationsOf(slowdown * ((await shortest(subjects, MILLISECONDS, calls))[0] as number));
  const [own, other] = await shortest(subjects, MILLISECONDS, calls);
  delay = 0;
  return (own as number) / (other as number);
}

/** Iterations of the loop in `decide` that take so long. */
async function iterationsOf(nanoseconds: number): Promise<number> {
  const bare: Subject = { call: decide, value: undefined, after: noWait };
  const many = 2_000;
  const [without] = await shortest([bare], 100, [1_000]);
  delay = many;
  const [withMany] = await shortest([bare], 200, [200]);
  return Math.round((nanoseconds * many) / ((withMany as number) - (without as number)));
}

const figures: Partial<Record<Guarded, number>> = {};
figures.off = await ratioOf({ call: offCall, value: application(), after: noWait });
registerSdk();
const discarding = hindcast({ service: "guard", keep: { name: "none", keeps: () => false } });
figures.object = await ratioOf(recorded(application(), discarding));
figures.prompt = await ratioOf(recorded(prompt(8_000), discarding));
figures.tensor = await ratioOf(recorded(tensor(), discarding));
figures.kept = await ratioOf(recorded(application(), hindcast({ service: "guard" })));
console.log(
  JSON.stringify(Object.fromEntries(GUARDED.map((name) => [name, figures[name]])) as unknown as GuardFigures),
);
process.exit();
