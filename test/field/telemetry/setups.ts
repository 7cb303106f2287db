/** The kinds of telemetry that services set up. */
import { type ProxyTracerProvider, trace } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace-base";

let exported = 0;

/** How many spans have been exported in this process. */
export function exportedSpans(): number {
  return exported;
}

let provider: { readonly forceFlush?: () => Promise<void> } | undefined;

let flushSentry: (() => Promise<boolean>) | undefined;

/** Has what has been traced so far exported. */
export async function flushSpans(): Promise<void> {
  await provider?.forceFlush?.();
  await flushSentry?.();
}

const exporter: SpanExporter = {
  export(spans, done) {
    exported += spans.length;
    done({ code: 0 });
  },
  shutdown: async () => undefined,
};

export async function setUp(kind: string): Promise<void> {
  switch (kind) {
    case "none":
      return;
    case "sdk":
      return await setUpSdk();
    case "sentry":
      return await setUpSentry();
    default:
      throw new Error(`no such setup: ${kind}`);
  }
}

/** With every instrumentation that there is for what the programs use. */
async function setUpSdk(): Promise<void> {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const { BatchSpanProcessor, SimpleSpanProcessor } = await import("@opentelemetry/sdk-trace-base");
  const { HttpInstrumentation } = await import("@opentelemetry/instrumentation-http");
  const { UndiciInstrumentation } = await import("@opentelemetry/instrumentation-undici");
  const { PinoInstrumentation } = await import("@opentelemetry/instrumentation-pino");
  new NodeSDK({
    serviceName: "telemetry",
    spanProcessors: [
      new BatchSpanProcessor(exporter, { scheduledDelayMillis: 5 }),
      new SimpleSpanProcessor(exporter),
    ],
    instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation(), new PinoInstrumentation()],
  }).start();
  provider = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate() as typeof provider;
}

async function setUpSentry(): Promise<void> {
  const Sentry = await import("@sentry/node");
  flushSentry = () => Sentry.flush(2_000);
  Sentry.init({
    dsn: "http://key@127.0.0.1:1/1",
    tracesSampleRate: 1,
    enableLogs: true,
    transport: () => ({
      send: async ([, items]) => {
        // A report of the client's own is of the process.
        if (items.some(([{ type }]) => type !== "client_report")) exported += 1;
        return {};
      },
      flush: async () => true,
    }),
  });
}
