/**
 * Headers by which tracing hands its ids on from service to service. They name a span, and no two spans are the
 * same: they say nothing of what is asked, so no record holds them and no comparison sees them.
 */
const NAMES = new Set([
  // W3C
  "traceparent",
  "tracestate",
  "baggage",
  // Zipkin
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  // Jaeger
  "uber-trace-id",
  "jaeger-debug-id",
  "jaeger-baggage",
  // clouds
  "x-amzn-trace-id",
  "x-cloud-trace-context",
  "grpc-trace-bin",
  // vendors
  "sentry-trace",
  "elastic-apm-traceparent",
  "newrelic",
  "x-newrelic-id",
  "x-newrelic-transaction",
  "x-newrelic-synthetics",
  "x-dynatrace",
  "x-instana-t",
  "x-instana-s",
  "x-instana-l",
  "x-appoptics-id",
  "x-trace-options",
  "x-trace-options-signature",
  "singularityheader",
  "sw8",
  "sw8-correlation",
  "sw8-x",
  "langsmith-trace",
]);
const PREFIXES = ["x-datadog-", "uberctx-", "x-ot-span-", "ot-baggage-", "ot-tracer-"];

/** Whether `name` is such a header, however it is written. */
export function isPropagationHeader(name: string): boolean {
  // None is longer, and most headers that are, are not looked at.
  if (name.length > 40) return false;
  const lower = name.toLowerCase();
  return NAMES.has(lower) || PREFIXES.some((prefix) => lower.startsWith(prefix));
}

/** Those whose names mean something else as well, where they are not among headers. */
const AMBIGUOUS = new Set(["baggage", "b3", "newrelic"]);

/** Whether `name` may be that of something else than a header. */
export function isAmbiguous(name: string): boolean {
  return AMBIGUOUS.has(name.toLowerCase());
}
