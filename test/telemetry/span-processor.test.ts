import { trace } from "@opentelemetry/api";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import { hindcast } from "hindcast";
import { readCapsule } from "hindcast/replay";
import { afterEach, expect, test } from "vitest";
import { registerContextManager, unregisterTracing } from "./tracing.js";

afterEach(unregisterTracing);

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
