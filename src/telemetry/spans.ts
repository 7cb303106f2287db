/**
 * One span for each call, with its kind, versions and seed. Payloads never go on spans: the root
 * span carries the capsule's id instead. A replay has a listener of this kind only where it is asked for spans.
 */
import {
  type Attributes,
  type Context,
  type ProxyTracerProvider,
  type Span,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { Version } from "../capsule/capsule.js";
import { consistsOf, WORD } from "../consists-of.js";
import type { Definition, Outcome } from "../stage/definition.js";
import type { ObservedCall, RunListener } from "../stage/seam.js";
import {
  AGENT_NAME,
  ARTIFACT_HASH,
  ARTIFACT_VERSION,
  CAPSULE_ID,
  DATA_DIGEST,
  DATA_NAME,
  DATA_VERSION,
  ERROR_TYPE,
  MODEL_DIGEST,
  MODEL_NAME,
  MODEL_VERSION,
  OPERATION,
  SCOPE_NAME,
  SEED,
  STAGE_KIND,
  STAGE_NAME,
  TOOL_NAME,
  VIOLATIONS,
} from "./names.js";
import { quietTracer } from "./quiet-tracer.js";

/** What is kept of a call on itself until it has ended. */
interface Traced {
  readonly span: Span;
  violations: number;
}

let known: { readonly provider: TracerProvider; readonly listener: RunListener } | undefined;

/** What makes spans, or undefined where no tracer provider is registered. The same one as long as the provider is. */
export function createSpanListener(version: string): RunListener | undefined {
  const registered = trace.getTracerProvider();
  // That of another copy of the API is of another class.
  const isProxy = "getDelegate" in registered && "getDelegateTracer" in registered;
  // Who has registered none has a delegate that does nothing.
  const provider = isProxy ? (registered as ProxyTracerProvider).getDelegate() : registered;
  if (known?.provider === provider) return known.listener;
  if (isProxy && (registered as ProxyTracerProvider).getDelegateTracer(SCOPE_NAME, version) === undefined) {
    return undefined;
  }
  const tracer = provider.getTracer(SCOPE_NAME, version);
  quietTracer(tracer);
  known = { provider, listener: spanListener(tracer) };
  return known.listener;
}

function spanListener(tracer: Tracer): RunListener {
  return {
    callStarted(call, _input, context): Context {
      const span = tracer.startSpan(spanName(call.definition), { attributes: attributesOf(call) }, context);
      call.telemetry = { span, violations: 0 } satisfies Traced;
      // A replay's is the recorded one: the program may ask for it.
      if (call.parent === undefined) call.run.trace ??= identityOf(span);
      return trace.setSpan(context, span);
    },
    // Calls that nobody waited for go on after their run; their spans end with them.
    callEnded(call, outcome) {
      const traced = call.telemetry as Traced | undefined;
      if (traced === undefined) return;
      const { span, violations } = traced;
      call.telemetry = undefined;
      if (violations > 0) span.setAttribute(VIOLATIONS, violations);
      if (outcome.status === "error") fail(span, outcome);
      span.end();
    },
    contractViolated(call) {
      const traced = call.telemetry as Traced | undefined;
      if (traced !== undefined) traced.violations += 1;
    },
    runEnded: () => undefined,
  };
}

function identityOf(span: Span): { traceId: string; spanId: string } {
  const { traceId, spanId } = span.spanContext();
  // Of a provider that is none of OpenTelemetry's own: it goes into the capsule, which must be readable.
  if (typeof traceId !== "string" || typeof spanId !== "string") {
    throw new TypeError("A span's context has no traceId and spanId.");
  }
  return { traceId, spanId };
}

/** The standard's span names where it has one, `<kind> <name>` elsewhere. */
function spanName({ kind, name }: Definition): string {
  switch (kind) {
    case "tool":
      return `execute_tool ${name}`;
    case "agent":
      return `invoke_agent ${name}`;
    default:
      return `${kind} ${name}`;
  }
}

function attributesOf(call: ObservedCall): Attributes {
  const { definition, run, data, model } = call;
  const attributes: Attributes = {
    [STAGE_NAME]: definition.name,
    [STAGE_KIND]: definition.kind,
    [SEED]: run.seed,
  };
  if (call.parent === undefined) attributes[CAPSULE_ID] = run.id;
  if (data !== undefined) {
    attributes[DATA_NAME] = data.name;
    attributes[DATA_VERSION] = data.version;
    if (data.digest !== undefined) attributes[DATA_DIGEST] = data.digest;
  }
  if (model !== undefined) {
    attributes[MODEL_NAME] = model.name;
    attributes[MODEL_VERSION] = model.version;
    if (model.digest !== undefined) attributes[MODEL_DIGEST] = model.digest;
  }
  const artifact: Version | undefined = model ?? data;
  if (artifact !== undefined) {
    attributes[ARTIFACT_VERSION] = artifact.version;
    if (artifact.digest !== undefined) attributes[ARTIFACT_HASH] = artifact.digest;
  }
  if (definition.kind === "tool") {
    attributes[OPERATION] = "execute_tool";
    attributes[TOOL_NAME] = definition.name;
  } else if (definition.kind === "agent") {
    attributes[OPERATION] = "invoke_agent";
    attributes[AGENT_NAME] = definition.name;
  }
  return attributes;
}

/** Messages may quote data, so a span gets the error's type and no more. */
function fail(span: Span, outcome: Extract<Outcome, { status: "error" }>): void {
  const type = errorType(outcome.error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: type });
  span.setAttribute(ERROR_TYPE, type);
}

function isName(text: string): boolean {
  return text.length > 0 && text.length <= 64 && consistsOf(text, `${WORD}.$-`);
}

function errorType(error: unknown): string {
  try {
    if (!(error instanceof Error)) return "_OTHER"; // what it calls its name or code may be data
    const { code, name } = error as { code?: unknown; name?: unknown };
    if (typeof code === "string" && isName(code)) return code;
    if (typeof name === "string" && isName(name)) return name;
    return "_OTHER";
  } catch {
    return "_OTHER"; // whatever was thrown does not let itself be looked at
  }
}
