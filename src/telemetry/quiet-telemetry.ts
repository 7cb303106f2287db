/**
 * Keeps what is registered with the OpenTelemetry API out of runs: tracers, meters, loggers and propagators, of
 * whichever version and copy of the API. What nobody has registered is none of this file's business.
 */
import type { Attributes } from "@opentelemetry/api";
import { type Method, replaceMethod } from "./replace-method.js";
import { REPLAY } from "./names.js";
import { quietMethod, quietTracer } from "./quiet-tracer.js";
import { activeReplay } from "./replayed-telemetry.js";

/** Where every copy of version 1 of the API keeps what is registered. */
const API = Symbol.for("opentelemetry.js.api.1");
/** Where loggers are registered by the package that was the API's for them before version 1.10. */
const LOGS = Symbol.for("io.opentelemetry.js.api.logs");
const LOGS_VERSION = 1;

const SCOPE = "hindcast";
const INSTRUMENTS = ["createCounter", "createUpDownCounter", "createHistogram", "createGauge"] as const;
/** What the methods that measure are called. */
const MEASURES = ["add", "record"] as const;

type Part = "trace" | "metrics" | "logs" | "propagation";
type Registered = { readonly [name in Part]?: unknown };
type Table = Record<string, unknown>;

/** What has been looked at last. Not a map: it is looked for at the beginning of each run. */
const known: { [name in Part | "olderLogs"]: unknown } = {
  trace: undefined,
  metrics: undefined,
  logs: undefined,
  propagation: undefined,
  olderLogs: undefined,
};

/** Looks whether something else is registered than before. Of what has been, nothing is done again. */
export function keepTelemetryQuiet(): void {
  const globals = globalThis as { readonly [API]?: Registered; readonly [LOGS]?: unknown };
  const { [API]: api, [LOGS]: olderLogs } = globals;
  if (api !== undefined) {
    const { trace, metrics, logs, propagation } = api;
    if (trace !== known.trace) look("trace", trace, quietTracers);
    if (metrics !== known.metrics) look("metrics", metrics, quietMeters);
    if (logs !== known.logs) look("logs", logs, quietLoggers);
    if (propagation !== known.propagation) look("propagation", propagation, quietPropagator);
  }
  if (olderLogs !== known.olderLogs) look("olderLogs", olderLogs, (given) => quietLoggers(provided(given)));
}

function look(part: keyof typeof known, registered: unknown, quiet: (registered: Table) => void): void {
  // Before it is tried: what cannot be kept quiet is told once, and not for each run.
  known[part] = registered;
  if (typeof registered === "function") quiet(registered as unknown as Table);
  else if (typeof registered === "object" && registered !== null) quiet(delegateOf(registered) as Table);
}

/** Where the API hands on what is registered, the thing itself. */
function delegateOf(provider: unknown): unknown {
  const getDelegate: unknown = (provider as Table | null)?.["getDelegate"] ?? undefined;
  return typeof getDelegate === "function" ? (getDelegate.call(provider) as unknown) : provider;
}

function provided(given: unknown): Table {
  const provider: unknown = typeof given === "function" ? given(LOGS_VERSION) : undefined;
  return (typeof provider === "object" && provider !== null ? delegateOf(provider) : {}) as Table;
}

/** A method that gives something which is to be kept quiet. */
function giving(quiet: (given: unknown) => void): (original: Method) => Method {
  return (original) =>
    function (...input) {
      const given = Reflect.apply(original, this, input);
      quiet(given);
      return given;
    };
}

/** What `owner.method(…)` gives, or undefined where there is no such method. */
function call(owner: unknown, method: string, ...input: unknown[]): unknown {
  const body: unknown = (owner as Table | undefined)?.[method];
  return typeof body === "function" ? Reflect.apply(body as Method, owner, input) : undefined;
}

function quietTracers(provider: Table): void {
  quietTracer(call(provider, "getTracer", SCOPE));
  replaceMethod(provider, "getTracer", giving(quietTracer));
}

function quietMeters(provider: Table): void {
  // The SDK's instruments that there are already are of the same classes as those of another provider. On this
  // one it would be exported.
  if ("_sharedState" in provider) {
    const spare = Reflect.construct(provider["constructor"] as new () => object, []);
    const meter = call(spare, "getMeter", SCOPE);
    for (const create of INSTRUMENTS) quietInstrument(call(meter, create, SCOPE));
  }
  quietMeter(call(provider, "getMeter", SCOPE));
  replaceMethod(provider, "getMeter", giving(quietMeter));
}

function quietMeter(meter: unknown): void {
  if (typeof meter !== "object" || meter === null) return;
  for (const create of INSTRUMENTS) replaceMethod(meter, create, giving(quietInstrument));
}

function quietInstrument(instrument: unknown): void {
  if (typeof instrument !== "object" || instrument === null) return;
  for (const measure of MEASURES) replaceMethod(instrument, measure, quietMeasure);
}

function quietMeasure(original: Method): Method {
  const quiet = quietMethod(original);
  return function (...input) {
    const replay = activeReplay();
    if (replay === undefined) return Reflect.apply(quiet, this, input);
    if (!replay.metrics) return undefined;
    const [value, attributes, ...rest] = input;
    return Reflect.apply(quiet, this, [
      value,
      { ...(attributes as Attributes), [REPLAY]: replay.capsule },
      ...rest,
    ]);
  };
}

function quietLoggers(provider: Table): void {
  quietLogger(call(provider, "getLogger", SCOPE));
  replaceMethod(provider, "getLogger", giving(quietLogger));
}

function quietLogger(logger: unknown): void {
  if (typeof logger === "object" && logger !== null) replaceMethod(logger, "emit", quietEmit);
}

function quietEmit(original: Method): Method {
  const quiet = quietMethod(original);
  return function (...input) {
    const replay = activeReplay();
    if (replay === undefined) return Reflect.apply(quiet, this, input);
    if (!replay.logs) return undefined;
    const [record, ...rest] = input as [{ readonly attributes?: object } | undefined];
    const attributes = { ...record?.attributes, [REPLAY]: replay.capsule };
    return Reflect.apply(quiet, this, [{ ...record, attributes }, ...rest]);
  };
}

function quietPropagator(propagator: Table): void {
  for (const name of ["inject", "extract"]) replaceMethod(propagator, name, quietMethod);
}
