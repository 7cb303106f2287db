import { context, propagation, type Span, trace, type Tracer } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type IdGenerator,
  InMemorySpanExporter,
  type Sampler,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { hindcast, type Hindcast } from "hindcast";
import { readCapsule, replay, type ReplayOptions } from "hindcast/replay";
import { afterEach, expect, test } from "vitest";
import { registerContextManager, registerTracing, unregisterTracing } from "./tracing.js";

afterEach(unregisterTracing);

/** Replays everything in the store, and gives the names of the effects of each run. */
async function replayAll<F extends (...input: never[]) => unknown>(
  hc: Hindcast,
  entry: F,
  options: ReplayOptions = {},
): Promise<string[][]> {
  await hc.flush();
  const effects: string[][] = [];
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    const result = await replay(capsule, entry, options);
    expect(result.verdict, JSON.stringify(result)).toBe("identical");
    effects.push(capsule.effects.map(({ name }) => name));
  }
  expect(effects.length).toBeGreaterThan(0);
  return effects;
}

/** What a program may do with a span, and with chance and time beside it. */
async function traced(tracer: Tracer): Promise<unknown> {
  const drawn = [Math.random()];
  const own = tracer.startSpan("own", { attributes: { a: 1 } });
  own.addEvent("begun").setAttribute("b", 2).setAttributes({ c: 3 }).updateName("own, renamed");
  await tracer.startActiveSpan("around", async (span) => {
    drawn.push(Math.random(), Date.now());
    await Promise.resolve();
    context.with(trace.setSpan(context.active(), own), () => {
      tracer.startActiveSpan("inner", {}, (inner) => {
        drawn.push(Math.random());
        inner.recordException(new Error("none"));
        inner.end();
      });
    });
    span.end();
  });
  own.end();
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return [drawn, Math.random(), trace.getActiveSpan()?.spanContext().traceId];
}

/** Programs see one random number and one reading of the clock, whoever traces. */
const OWN_EFFECTS = ["Date.now"];

test("G4: a program's spans draw no random number and read no clock of its run", async () => {
  registerTracing();
  const hc = hindcast({ service: "spans" });
  const entry = hc.pipeline({ name: "program" }, () => traced(trace.getTracer("program")));
  for (let count = 0; count < 20; count++) await entry();
  expect(await replayAll(hc, entry)).toEqual(Array.from({ length: 20 }, () => OWN_EFFECTS));
  await hc.close();
});

test("G4: what was recorded with an SDK is replayed without one, and the other way about", async () => {
  registerTracing();
  const hc = hindcast({ service: "spans" });
  const entry = hc.pipeline({ name: "program" }, () => traced(trace.getTracer("program")));
  await entry();
  unregisterTracing();
  registerContextManager();
  await replayAll(hc, entry);
  await hc.close();

  unregisterTracing();
  const untraced = hindcast({ service: "spans" });
  const without = untraced.pipeline({ name: "program" }, () => traced(trace.getTracer("program")));
  await without();
  registerTracing();
  await replayAll(untraced, without);
  await untraced.close();
});

test("G4: id generators, samplers and processors of the user's own are no part of a run", async () => {
  const readings: number[] = [];
  const read = (): void => void readings.push(Math.random(), Date.now(), performance.now());
  const hex = (count: number): string =>
    Array.from({ length: count }, () => Math.floor(Math.random() * 16).toString(16)).join("");
  const idGenerator: IdGenerator = { generateTraceId: () => hex(32), generateSpanId: () => hex(16) };
  const sampler: Sampler = {
    shouldSample() {
      read();
      return { decision: 2 };
    },
    toString: () => "own",
  };
  const processor: SpanProcessor = {
    onStart: read,
    onEnd: read,
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  };
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ idGenerator, sampler, spanProcessors: [processor] }),
  );
  registerContextManager();
  const hc = hindcast({ service: "spans" });
  const entry = hc.pipeline({ name: "program" }, () => traced(trace.getTracer("program")));
  for (let count = 0; count < 3; count++) await entry();
  expect(readings.length).toBeGreaterThan(10);
  expect(await replayAll(hc, entry)).toEqual([OWN_EFFECTS, OWN_EFFECTS, OWN_EFFECTS]);
  await hc.close();
});

test("G4: a tracer of nobody's class, and a provider beside the registered one", async () => {
  registerTracing();
  const other = new BasicTracerProvider();
  let spans = 0;
  const span = (): Span => {
    spans += 1;
    const made = trace.wrapSpanContext({
      traceId: Math.random().toString(16).slice(2).padEnd(32, "0"),
      spanId: Math.random().toString(16).slice(2).padEnd(16, "0").slice(0, 16),
      traceFlags: 1,
    });
    return Object.assign(Object.create(made) as Span, { end: () => void Date.now() });
  };
  const plain = {
    startSpan: span,
    startActiveSpan: (...input: unknown[]) => {
      const made = span();
      return context.with(
        trace.setSpan(context.active(), made),
        input.at(-1) as (span: Span) => unknown,
        undefined,
        made,
      );
    },
  } as Tracer;
  for (const provider of [other, { getTracer: () => plain }]) {
    trace.disable();
    if (provider !== other) trace.setGlobalTracerProvider(provider);
    else registerTracing();
    const hc = hindcast({ service: "spans" });
    const entry = hc.pipeline({ name: "program" }, () => traced(provider.getTracer("program")));
    for (let count = 0; count < 3; count++) await entry();
    expect(await replayAll(hc, entry)).toEqual([OWN_EFFECTS, OWN_EFFECTS, OWN_EFFECTS]);
    await hc.close();
  }
  expect(spans).toBeGreaterThan(0);
});

test("ids of spans stay unique under a fixed seed", async () => {
  const tracing = registerTracing();
  const hc = hindcast({ service: "spans", seed: 7 });
  const entry = hc.pipeline({ name: "program" }, async () =>
    trace.getTracer("program").startSpan("own").end(),
  );
  await trace.getTracer("program").startActiveSpan("batch", async (span) => {
    await entry();
    await entry();
    span.end();
  });
  const ids = tracing.spans().map((span) => span.spanContext().spanId);
  expect(ids).toHaveLength(5);
  expect(new Set(ids).size).toBe(5);
  await hc.close();
});

test("G5: a replay exports no spans, unless it is asked for them; then each carries the capsule's id", async () => {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  registerContextManager();
  const hc = hindcast({ service: "spans" });
  const entry = hc.pipeline({ name: "program" }, () => traced(trace.getTracer("program")));
  await entry();
  const recorded = exporter.getFinishedSpans().map(({ name }) => name);
  expect(recorded).toEqual(["inner", "around", "own, renamed", "pipeline program"]);
  const [traceId] = exporter.getFinishedSpans().map((span) => span.spanContext().traceId);
  exporter.reset();

  await replayAll(hc, entry);
  expect(exporter.getFinishedSpans()).toEqual([]);

  await replayAll(hc, entry, { spans: true });
  const replayed = exporter.getFinishedSpans();
  expect(replayed.map(({ name }) => name)).toEqual(recorded);
  for await (const { summary } of hc.store.find()) {
    for (const span of replayed) {
      expect(span.attributes["hindcast.replay"]).toBe(summary.id);
      expect(span.spanContext().traceId).toBe(traceId);
    }
  }
  await hc.close();
});

test("G7: the timers of a span processor are no part of the run in which a span ended", async () => {
  const batches: number[] = [];
  const exporter: SpanExporter = {
    export(spans, done) {
      batches.push(spans.length);
      setTimeout(() => done({ code: 0 }), 1);
    },
    shutdown: async () => undefined,
  };
  const processor = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 2, maxExportBatchSize: 2 });
  registerContextManager();
  const provider = new BasicTracerProvider({ spanProcessors: [processor] });
  trace.setGlobalTracerProvider(provider);

  const hc = hindcast({ service: "spans" });
  const wait = hc.effect({ name: "wait" }, () => new Promise((resolve) => setTimeout(resolve, 4)));
  const stage = hc.tool({ name: "stage" }, async () => {
    trace.getTracer("program").startSpan("own").end();
    await wait();
  });
  const entry = hc.pipeline({ name: "program" }, async () => {
    for (let count = 0; count < 5; count++) await Promise.all([stage(), stage()]);
  });
  await entry();
  await hc.flush();
  expect(batches.length).toBeGreaterThan(2);
  for await (const stored of hc.store.find()) {
    const { replayable, effects } = readCapsule(stored);
    expect(replayable.reasons).toEqual([]);
    expect(effects.map(({ name }) => name)).not.toContain("setTimeout");
  }
  await hc.close();
  await provider.shutdown();
});
