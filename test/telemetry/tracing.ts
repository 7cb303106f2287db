import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";

/** The OpenTelemetry SDK, registered as a service registers it. */
export interface Tracing {
  /** Spans that have ended, in that order. */
  spans(): readonly ReadableSpan[];
  /** The one span of that name. */
  span(name: string): ReadableSpan;
}

export function registerContextManager(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

/** Registers a provider that exports to memory, and a context manager. */
export function registerTracing(options: { sampler?: Sampler } = {}): Tracing {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ ...options, spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  registerContextManager();
  return {
    spans: () => exporter.getFinishedSpans(),
    span(name) {
      const found = exporter.getFinishedSpans().filter((span) => span.name === name);
      if (found.length !== 1) throw new Error(`${found.length} spans are named "${name}", not one`);
      return found[0] as ReadableSpan;
    },
  };
}

/** Takes everything out of the OpenTelemetry API again. */
export function unregisterTracing(): void {
  trace.disable();
  context.disable();
  propagation.disable();
}
