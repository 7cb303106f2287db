import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Fault } from "./peer.js";

/** The OpenTelemetry SDK, with an exporter that does nothing, or fails. */
export function registerSdk(fault: Fault | undefined): () => Promise<void> {
  const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporterWith(fault))] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return () => provider.forceFlush();
}

export function exporterWith(fault: Fault | undefined): SpanExporter {
  return {
    export(_spans, done) {
      const error = new Error("this exporter fails");
      if (fault === "throws") throw error;
      done(fault === "rejects" ? { code: 1, error } : { code: 0 });
    },
    shutdown: () => Promise.resolve(),
    forceFlush: () => Promise.resolve(),
  };
}
