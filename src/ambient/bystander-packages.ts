/** The packages whose code watches a program: tracing, agents, logging, metrics. */
import { createRequire } from "node:module";
import type { CaptureSource } from "../stage/seam.js";

const NAMES = new Set([
  // agents and tracing
  "dd-trace",
  "newrelic",
  "elastic-apm-node",
  "elastic-apm-http-client",
  "applicationinsights",
  "diagnostic-channel",
  "diagnostic-channel-publishers",
  "aws-xray-sdk",
  "aws-xray-sdk-core",
  "skywalking-backend-js",
  "opentracing",
  "jaeger-client",
  "zipkin",
  "logfire",
  "langsmith",
  "langfuse",
  "langfuse-core",
  "langfuse-langchain",
  "import-in-the-middle",
  "require-in-the-middle",
  "shimmer",
  // errors
  "rollbar",
  "raygun",
  "airbrake-js",
  // logging
  "pino",
  "thread-stream",
  "sonic-boom",
  "winston",
  "logform",
  "triple-beam",
  "bunyan",
  "log4js",
  "streamroller",
  "loglevel",
  "debug",
  "consola",
  "signale",
  "tslog",
  "roarr",
  "npmlog",
  "morgan",
  "lambda-log",
  "express-winston",
  "fluent-logger",
  // metrics
  "prom-client",
  "hot-shots",
  "node-statsd",
  "statsd-client",
  "lynx",
]);

const PREFIXES = [
  "@opentelemetry/",
  "@sentry/",
  "@sentry-internal/",
  "@datadog/",
  "@newrelic/",
  "@instana/",
  "@appsignal/",
  "@dynatrace/",
  "@honeycombio/",
  "@lightstep/",
  "@splunk/otel",
  "@vercel/otel",
  "@azure/monitor-opentelemetry",
  "@google-cloud/opentelemetry-",
  "@google-cloud/trace-agent",
  "@google-cloud/logging",
  "@aws-lambda-powertools/",
  "@pydantic/logfire",
  "@traceloop/",
  "@arizeai/openinference-",
  "@langfuse/",
  "@hyperdx/",
  "@highlight-run/",
  "@bugsnag/",
  "@honeybadger-io/",
  "@airbrake/",
  "@logtail/",
  "@logtape/",
  "@axiomhq/",
  "pino-",
  "@pinojs/",
  "winston-",
  "bunyan-",
  "opentelemetry-instrumentation-",
];

/** They ask for whoever calls them. */
const GO_BETWEENS = new Set([
  "uuid",
  "nanoid",
  "@lukeed/uuid",
  "ulid",
  "cuid",
  "@paralleldrive/cuid2",
  "fecha",
  "dayjs",
  "moment",
  "date-format",
  "readable-stream",
]);

export function isBystanderPackage(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Whether the package asks in its caller's stead. */
export function isGoBetween(name: string): boolean {
  return GO_BETWEENS.has(name);
}

const API = Symbol.for("opentelemetry.js.api.1");

/**
 * Whether there are bystanders in this process that read `source`, as far as that shows. Numbers are drawn for ids
 * alone, and whoever is registered with OpenTelemetry is quiet when it does.
 */
export function areBystanders(source: CaptureSource): boolean {
  const globals = globalThis as {
    readonly [API]?: { readonly trace?: unknown };
    readonly __SENTRY__?: unknown;
  };
  if (globals.__SENTRY__ !== undefined) return true;
  const isRegistered = globals[API]?.trace !== undefined;
  if (source !== "random") return isRegistered || loadedPackages().some(isBystanderPackage);
  return !isRegistered && loadedPackages().some((name) => name.startsWith("@opentelemetry/sdk-trace"));
}

/** The packages of which anything has been loaded by `require`, or as CommonJS by `import`. */
function loadedPackages(): readonly string[] {
  const { cache } = createRequire(import.meta.url);
  const names = Object.keys(cache).map((file) => packageOf(file));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** The package that a file is of, such as `@sentry/core`; undefined where it is the program's own. */
export function packageOf(path: string): string | undefined {
  const parts = path.replaceAll("\\", "/").split("/");
  const at = parts.lastIndexOf("node_modules");
  const name = at < 0 ? undefined : parts[at + 1];
  return name?.startsWith("@") === true ? `${name}/${parts[at + 2] ?? ""}` : name;
}
