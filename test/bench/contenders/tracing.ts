/** The OpenTelemetry SDK as a service registers it, with an exporter that takes spans and does nothing with them. */
import { context, type Tracer, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";

interface Tracing {
  readonly tracer: Tracer;
  readonly flush: () => Promise<void>;
  /** Spans that the processor dropped. */
  readonly lost: () => number;
}

export function registerTracing(): Tracing {
  let started = 0;
  let exported = 0;
  const exporter: SpanExporter = {
    export(spans, done) {
      exported += spans.length;
      done({ code: 0 });
    },
    shutdown: () => Promise.resolve(),
  };
  const batch = new BatchSpanProcessor(exporter);
  const provider = new BasicTracerProvider({
    spanProcessors: [batch, { onStart: () => void started++, onEnd() {}, forceFlush: done, shutdown: done }],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return {
    tracer: trace.getTracer("bench"),
    flush: () => provider.forceFlush(),
    lost: () => started - exported,
  };
}

function done(): Promise<void> {
  return Promise.resolve();
}
