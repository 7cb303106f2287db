/** The packages whose code watches a program: tracing, agents, logging, metrics. */
import { createRequire } from "node:module";
import type { CaptureSource } from "../stage/seam.js";

/**
 * They wrap what programs call, so that the call of a program comes from them as well: what they ask the network for
 * themselves is told by nobody else having called them.
 */
const WRAPPERS = new Set([
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
  "import-in-the-middle",
  "require-in-the-middle",
  "shimmer",
  "rollbar",
  "raygun",
  "airbrake-js",
]);

const WRAPPER_PREFIXES = [
  "@opentelemetry/",
  "opentelemetry-instrumentation-",
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
  "@pydantic/logfire",
  "@traceloop/",
  "@arizeai/openinference-",
  "@hyperdx/",
  "@highlight-run/",
  "@bugsnag/",
  "@honeybadger-io/",
  "@airbrake/",
];

/** They only write: lines, events and numbers. */
const WRITERS = new Set([
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
  "prom-client",
  "hot-shots",
  "node-statsd",
  "statsd-client",
  "lynx",
]);

const WRITER_PREFIXES = [
  "@opentelemetry/exporter-",
  "@opentelemetry/otlp-",
  "pino-",
  "@pinojs/",
  "winston-",
  "bunyan-",
  "@google-cloud/logging",
  "@aws-lambda-powertools/",
  "@logtail/",
  "@logtape/",
  "@axiomhq/",
];

/** What only writes in the packages of the others. */
const WRITING_FILES = ["/contextlines", "/transports/", "/exporters/"];

/** Programs read from their services as well (prompts, data sets), so what they ask the network for is a program's. */
const READERS = new Set(["langsmith", "langfuse", "langfuse-core", "langfuse-langchain"]);
const READER_PREFIXES = ["@langfuse/"];

/** Where readers post what they have to tell, and ask whether they may. */
export const EXPORTS: readonly string[] = [
  "/runs",
  "/runs/batch",
  "/runs/multipart",
  "/info",
  "/ingestion",
  "/v1/traces",
  "/v1/logs",
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
  "eventemitter3",
  "p-queue",
  "p-retry",
  "p-timeout",
  "retry",
]);

/** By the user. */
const named = new Set<string>();

/** Makes bystanders of packages that are not known here. */
export function nameBystanders(names: readonly string[]): void {
  for (const name of names) named.add(name);
}

/** `wrapper`, `writer` and `reader` are the kinds of bystanders. */
export type PackageKind = "wrapper" | "writer" | "reader" | "go-between" | "other";

export function kindOfFileIn(name: string, path: string): PackageKind {
  const isOf = (names: ReadonlySet<string>, prefixes: readonly string[]): boolean =>
    names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
  if (isOf(WRITERS, WRITER_PREFIXES)) return "writer";
  if (named.has(name) || isOf(WRAPPERS, WRAPPER_PREFIXES)) {
    const own = path.slice(path.lastIndexOf("node_modules")).replaceAll("\\", "/");
    return WRITING_FILES.some((part) => own.includes(part)) ? "writer" : "wrapper";
  }
  if (isOf(READERS, READER_PREFIXES)) return "reader";
  return GO_BETWEENS.has(name) ? "go-between" : "other";
}

function isBystanderPackage(name: string): boolean {
  const kind = kindOfFileIn(name, "");
  return kind === "wrapper" || kind === "writer" || kind === "reader";
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
  if (globals.__SENTRY__ !== undefined || named.size > 0) return true;
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
