/**
 * One span for each call, with its kind, versions and seed. Payloads never go on spans: the root
 * span carries the capsule's id instead. A replay has no listener of this kind, and so no spans.
 */
import {
  type Attributes,
  type Context,
  ProxyTracerProvider,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Version } from "../capsule/capsule.js";
import type { Definition, Outcome } from "../stage/definition.js";
import type { RunListener } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { ATTRIBUTES, SCOPE_NAME } from "./names.js";

/** A listener that makes spans, or undefined where no tracer provider is registered. */
export function createSpanListener(version: string): RunListener | undefined {
  const provider = trace.getTracerProvider();
  const absent =
    provider instanceof ProxyTracerProvider && provider.getDelegateTracer(SCOPE_NAME, version) === undefined;
  return absent ? undefined : spanListener(trace.getTracer(SCOPE_NAME, version));
}

function spanListener(tracer: Tracer): RunListener {
  const spans = new Map<StageCall, Span>();
  const violations = new Map<StageCall, number>();
  return {
    callStarted(call, _input, context): Context {
      const span = tracer.startSpan(spanName(call.definition), { attributes: attributesOf(call) }, context);
      spans.set(call, span);
      if (call.parent === undefined) call.run.trace = identityOf(span);
      return trace.setSpan(context, span);
    },
    callEnded(call, outcome) {
      const span = spans.get(call);
      if (span === undefined) return;
      spans.delete(call);
      const count = violations.get(call);
      if (count !== undefined) span.setAttribute(ATTRIBUTES.violations.name, count);
      if (outcome.status === "error") fail(span, outcome);
      span.end();
    },
    contractViolated(call) {
      violations.set(call, (violations.get(call) ?? 0) + 1);
    },
    runEnded() {
      // Calls that nobody waited for go on; their spans end with them.
      violations.clear();
    },
  };
}

function identityOf(span: Span): { traceId: string; spanId: string } {
  const { traceId, spanId } = span.spanContext();
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

function attributesOf(call: StageCall): Attributes {
  const { definition, run, data, model } = call;
  const attributes: Attributes = {
    [ATTRIBUTES.stageName.name]: definition.name,
    [ATTRIBUTES.stageKind.name]: definition.kind,
    [ATTRIBUTES.seed.name]: run.seed,
  };
  if (call.parent === undefined) attributes[ATTRIBUTES.capsuleId.name] = run.id;
  if (data !== undefined) {
    attributes[ATTRIBUTES.dataName.name] = data.name;
    attributes[ATTRIBUTES.dataVersion.name] = data.version;
    if (data.digest !== undefined) attributes[ATTRIBUTES.dataDigest.name] = data.digest;
  }
  if (model !== undefined) {
    attributes[ATTRIBUTES.modelName.name] = model.name;
    attributes[ATTRIBUTES.modelVersion.name] = model.version;
    if (model.digest !== undefined) attributes[ATTRIBUTES.modelDigest.name] = model.digest;
  }
  const artifact: Version | undefined = model ?? data;
  if (artifact !== undefined) {
    attributes[ATTRIBUTES.artifactVersion.name] = artifact.version;
    if (artifact.digest !== undefined) attributes[ATTRIBUTES.artifactHash.name] = artifact.digest;
  }
  if (definition.kind === "tool") {
    attributes[ATTRIBUTES.operation.name] = "execute_tool";
    attributes[ATTRIBUTES.toolName.name] = definition.name;
  } else if (definition.kind === "agent") {
    attributes[ATTRIBUTES.operation.name] = "invoke_agent";
    attributes[ATTRIBUTES.agentName.name] = definition.name;
  }
  return attributes;
}

/** Messages may quote data, so a span gets the error's type and no more. */
function fail(span: Span, outcome: Extract<Outcome, { status: "error" }>): void {
  const type = errorType(outcome.error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: type });
  span.setAttribute(ATTRIBUTES.errorType.name, type);
}

function errorType(error: unknown): string {
  try {
    const { code, name } = error as { code?: unknown; name?: unknown };
    if (typeof code === "string" && /^[\w.-]{1,64}$/.test(code)) return code;
    if (typeof name === "string" && /^[\w.$-]{1,64}$/.test(name)) return name;
    return "_OTHER";
  } catch {
    return "_OTHER"; // whatever was thrown does not let itself be looked at
  }
}
