import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";
import { registerTracing } from "./tracing.js";

interface Tracing {
  readonly observe: <F>(body: F, options: { name: string; asType?: string }) => F;
}

/** `observe`, with a span processor that is not its own: what is measured is its path of spans alone. */
export const langfuse: CreateContender = async () => {
  const { observe } = await installed<Tracing>("@langfuse/tracing");
  const { flush, lost } = registerTracing();
  return {
    version: versionOf("@langfuse/tracing"),
    flush,
    lost,
    wrap: (name, role, body) => observe(body, { name, asType: role === "tool" ? "tool" : "span" }),
  };
};

interface Processing {
  readonly LangfuseSpanProcessor: new (options: object) => SpanProcessor;
}

/** `observe` with its own span processor and exporter, which sends to a server on loopback. */
export const langfuseExport: CreateContender = async ({ sink }) => {
  const { observe } = await installed<Tracing>("@langfuse/tracing");
  const { LangfuseSpanProcessor } = await installed<Processing>("@langfuse/otel");
  const processor = new LangfuseSpanProcessor({ publicKey: "none", secretKey: "none", baseUrl: sink });
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return {
    version: versionOf("@langfuse/otel"),
    flush: () => processor.forceFlush(),
    wrap: (name, role, body) => observe(body, { name, asType: role === "tool" ? "tool" : "span" }),
  };
};
