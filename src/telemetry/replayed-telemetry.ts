/**
 * What becomes of a program's own telemetry in a replay. Spans, measurements and log records of a replay are
 * made and exported only where `replay` is asked for them; the program is given the recorded run's trace.
 */
import {
  type Context,
  INVALID_SPAN_CONTEXT,
  type Span,
  type SpanContext,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { randomHex } from "../originals.js";
import { activeContext, runIn } from "../stage/scopes.js";

/** A replay, as its telemetry knows it. */
export interface ReplayedTelemetry {
  /** The id of the capsule that is replayed. */
  readonly capsule: string;
  readonly spans: boolean;
  readonly metrics: boolean;
  readonly logs: boolean;
}

const KEY = Symbol("hindcast replay");

/** Until the first replay of a process there is nothing to look for. */
let hasReplayed = false;

/** The replay that the current code is part of. */
export function activeReplay(): ReplayedTelemetry | undefined {
  return hasReplayed ? (activeContext().getValue(KEY) as ReplayedTelemetry | undefined) : undefined;
}

/** Calls `body` as part of a replay of a run that was `recorded` as the root of such a trace, or of none. */
export function inReplay<T>(
  replay: ReplayedTelemetry,
  recorded: { readonly traceId: string; readonly spanId: string } | undefined,
  body: () => T,
): T {
  hasReplayed = true;
  const active = activeContext();
  // Whoever replays may do so in a span of their own, and that is not the program's.
  const traced =
    recorded === undefined
      ? trace.deleteSpan(active)
      : trace.setSpanContext(active, { ...recorded, traceFlags: TraceFlags.SAMPLED });
  return runIn(traced.setValue(KEY, replay), body);
}

/** A span that is exported nowhere: of the trace that it would have been of. */
export function unexportedSpan(parentContext: Context): Span {
  const parent = trace.getSpanContext(parentContext);
  return trace.wrapSpanContext(
    parent === undefined || !trace.isSpanContextValid(parent)
      ? INVALID_SPAN_CONTEXT
      : ({ ...parent, spanId: randomHex(16), isRemote: false } satisfies SpanContext),
  );
}
