/**
 * What a tracer and its spans do is no part of the run in which they are used: no number that they draw, no
 * clock that they read, no timer that their processor starts. It is done to their classes, so that it holds for
 * whoever starts a span: the program, an instrumentation, a vendor's SDK.
 *
 * Invariants
 * 1. What a span is started around (`startActiveSpan(name, body)`) is the program, and as loud as before.
 * 2. Outside of runs everything is as it was, but for a counter.
 * 3. In a replay no span is started, unless it is asked for; then it carries the capsule's id.
 */
import { type Context, context as contexts, type Span, type SpanOptions, trace } from "@opentelemetry/api";
import { asLoudAsNow, quiet } from "../stage/quiet.js";
import { activeCall, activeContext, detached } from "../stage/scopes.js";
import { REPLAY } from "./names.js";
import { activeReplay, type ReplayedTelemetry, unexportedSpan } from "./replayed-telemetry.js";
import { type Method, replaceMethod } from "./replace-method.js";

/** What changes a span; each of them may read the clock. */
const CHANGES = [
  "setAttribute",
  "setAttributes",
  "addEvent",
  "addLink",
  "addLinks",
  "setStatus",
  "updateName",
  "recordException",
] as const;

/** Classes of spans that have been seen. The API's own spans do nothing at all. */
const seen = new WeakSet<object>([Object.getPrototypeOf(trace.wrapSpanContext({} as never)) as object]);

/** Keeps a tracer, and all of its class, out of runs. */
export function quietTracer(tracer: unknown): void {
  if (typeof tracer !== "object" || tracer === null) return;
  replaceMethod(tracer, "startSpan", quietStart);
  replaceMethod(tracer, "startActiveSpan", quietActiveStart);
}

/** `original`, of which nothing is captured. */
export function quietMethod(original: Method): Method {
  return function (...input) {
    const counter = quiet;
    counter.depth += 1;
    try {
      return Reflect.apply(original, this, input);
    } finally {
      counter.depth -= 1;
    }
  };
}

function quietStart(original: Method): Method {
  return function (...input) {
    const replay = activeReplay();
    const [name, options, parent] = input as [string, SpanOptions | undefined, Context | undefined];
    if (replay !== undefined && !replay.spans) return unexportedSpan(parent ?? activeContext());
    const counter = quiet;
    counter.depth += 1;
    try {
      const span =
        replay === undefined
          ? Reflect.apply(original, this, input)
          : Reflect.apply(original, this, [name, marked(options, replay), parent ?? activeContext()]);
      quietSpan(span);
      return span;
    } finally {
      counter.depth -= 1;
    }
  };
}

function quietActiveStart(original: Method): Method {
  return function (...input) {
    const body: unknown = input.at(-1);
    if (typeof body !== "function") return quietMethod(original).apply(this, input);
    const replay = activeReplay();
    if (replay !== undefined && !replay.spans) {
      const parent = (input.length > 3 ? (input[2] as Context | undefined) : undefined) ?? activeContext();
      const span = unexportedSpan(parent);
      return contexts.with(trace.setSpan(parent, span), body as Method, undefined, span);
    }
    const loudly = asLoudAsNow();
    input[input.length - 1] = function (this: unknown, ...given: unknown[]): unknown {
      const [span] = given;
      quietSpan(span);
      if (replay !== undefined) (span as Span).setAttribute(REPLAY, replay.capsule);
      return loudly(() => Reflect.apply(body as Method, this, given));
    };
    return quietMethod(original).apply(this, input);
  };
}

function marked(options: SpanOptions | undefined, replay: ReplayedTelemetry): SpanOptions {
  return { ...options, attributes: { ...options?.attributes, [REPLAY]: replay.capsule } };
}

function quietSpan(span: unknown): void {
  if (typeof span !== "object" || span === null) return;
  const kind = Object.getPrototypeOf(span) as object | null;
  // One that is no instance of a class has its methods for itself.
  if (kind !== null && kind !== Object.prototype) {
    if (seen.has(kind)) return;
    seen.add(kind);
  }
  for (const name of CHANGES) replaceMethod(span, name, quietMethod);
  replaceMethod(span, "end", quietEnd);
}

/** What an SDK does with a span that has ended (batches, timers, exports) goes on for longer, and belongs to no run. */
function quietEnd(original: Method): Method {
  return function (...input) {
    const counter = quiet;
    counter.depth += 1;
    try {
      if (activeCall() === undefined) return Reflect.apply(original, this, input);
      return detached(() => Reflect.apply(original, this, input));
    } finally {
      counter.depth -= 1;
    }
  };
}
