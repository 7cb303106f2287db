/**
 * Measures what the guard watches, each by turns with the reference work, in processor time of the main thread, and prints
 * one line of JSON. What else the machine does takes no processor time of this thread; what makes it slower all the same (a
 * shared core, a cold cache) meets both of two neighbours, and of many batches some are spared.
 *
 * HINDCAST_GUARD_SLOWDOWN=0.25 makes the path longer by that share, to see that the guard notices: every fourth call goes
 * all of the way twice, and counts once.
 */
import { setImmediate as turn } from "node:timers/promises";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { type Hindcast, hindcast } from "hindcast";
import type { Guarded } from "../guard-figures.js";
import { mainThreadClock } from "../main-thread-clock.js";
import { application, prompt, tensor } from "../payloads.js";
import { referenceWork } from "../reference-work.js";
import { quantileOf } from "../statistics.js";

const slowdown = Number(process.env["HINDCAST_GUARD_SLOWDOWN"] ?? 0);
const WARM_UP_BATCHES = 250;
const BATCHES = 300;
const CALIBRATION_BATCHES = 60;
const BATCH_NANOSECONDS = 1_000_000;

/** A second time for each so many calls. */
const repeatEvery = slowdown > 0 ? Math.round(1 / slowdown) : Number.POSITIVE_INFINITY;

async function decide(_value: unknown): Promise<unknown> {
  return { approved: true, score: 0.42, reason: "within limits" };
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

async function batchOf({ call, value, after }: Subject, calls: number, repeated = 0): Promise<number> {
  const start = mainThreadClock.read();
  for (let index = 0; index < calls; index++) await call(value);
  for (let index = repeatEvery; index <= repeated; index += repeatEvery) await call(value);
  // The turns of what was recorded are part of its cost, and so is what flushes it.
  await turn();
  await after();
  return (mainThreadClock.read() - start) / calls;
}

interface Times {
  /** Nanoseconds of a call of each. */
  readonly own: number;
  readonly other: number;
}

/** So many neighbouring batches. Of each the third in a hundred from below: interference makes a batch longer only. */
async function timesOf(
  subject: Subject,
  other: Subject,
  calls: readonly [number, number],
  batches: number,
): Promise<Times> {
  const series: { readonly own: number[]; readonly other: number[] } = { own: [], other: [] };
  for (let batch = 0; batch < batches; batch++) {
    series.own.push(await batchOf(subject, calls[0], calls[0]));
    series.other.push(await batchOf(other, calls[1]));
  }
  return { own: quantileOf(series.own, 0.03), other: quantileOf(series.other, 0.03) };
}

function callsIn(nanoseconds: number, each: number): number {
  return Math.max(1, Math.round(nanoseconds / each));
}

async function ratioOf(subject: Subject): Promise<number> {
  await timesOf(subject, reference, [50, 50], WARM_UP_BATCHES);
  const warm = await timesOf(subject, reference, [50, 50], CALIBRATION_BATCHES);
  const calls = [callsIn(BATCH_NANOSECONDS, warm.own), callsIn(BATCH_NANOSECONDS, warm.other)] as const;
  const { own, other } = await timesOf(subject, reference, calls, BATCHES);
  return own / other;
}

// So that it is as fast as it gets before anything is measured in units of it.
await timesOf(reference, reference, [200, 200], WARM_UP_BATCHES);

const figures: Partial<Record<Guarded, number>> = {};
figures.off = await ratioOf({ call: offCall, value: application(), after: noWait });
registerSdk();
const discarding = hindcast({ service: "guard", keep: { name: "none", keeps: () => false } });
figures.object = await ratioOf(recorded(application(), discarding));
figures.prompt = await ratioOf(recorded(prompt(8_000), discarding));
figures.tensor = await ratioOf(recorded(tensor(), discarding));
figures.kept = await ratioOf(recorded(application(), hindcast({ service: "guard" })));
console.log(JSON.stringify(figures));
process.exit();
