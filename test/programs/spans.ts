/** Spans around the steps of a program, in all the ways in which programs and instrumentations start and end them. */
import { context, propagation, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Around } from "./program.js";

const WAYS: readonly Around[] = [
  (_place, body) => body(),
  // Started around it, with what was thrown.
  (place, body) =>
    trace.getTracer("program").startActiveSpan(place, async (span) => {
      try {
        return await body();
      } catch (error) {
        span.recordException(error as Error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
        throw error;
      } finally {
        span.end();
      }
    }),
  // Ended when it has settled, which nobody waits for.
  (place, body) => {
    const span = trace.getTracer("program").startSpan(place, { attributes: { place } });
    const end = (): void => span.addEvent("settled").end();
    const settling = body();
    settling.then(end, end);
    return settling;
  },
  // Made active by hand, ended from a callback, beside others that are nested and never end.
  async (place, body) => {
    const tracer = trace.getTracer("program", "1");
    const outer = tracer.startSpan(place);
    const active = trace.setSpan(context.active(), outer);
    const inner = tracer.startSpan(`${place} inner`, { root: place.length % 2 === 0 }, active);
    inner.addEvent("begun", { place }, Date.UTC(2026, 0)).setAttribute("place", place);
    queueMicrotask(() => inner.end());
    tracer.startSpan("never ended", { links: [{ context: outer.spanContext() }] }, active);
    return await context.with(active, body).finally(() => outer.end(new Date(Date.UTC(2026, 1))));
  },
  // What is propagated, and read again.
  async (place, body) => {
    const carrier: Record<string, string> = {};
    const baggage = propagation.createBaggage({ place: { value: place } });
    propagation.inject(propagation.setBaggage(context.active(), baggage), carrier);
    return await context.with(propagation.extract(context.active(), carrier), () =>
      trace
        .getTracer("program")
        .startActiveSpan(place, {}, context.active(), async (span: Span) => body().finally(() => span.end())),
    );
  },
  // A span of whoever is above, and one that has ended too early and too often.
  async (place, body) => {
    trace.getActiveSpan()?.addEvent(place).updateName(place);
    const span = trace.getTracer("program").startSpan(place);
    span.end();
    const result = await body();
    span.setAttribute("late", true);
    span.end();
    return result;
  },
];

/** The way is chosen by the place of the step, and so is the same each time. */
export const spansAround: Around = (place, body) => {
  const chosen = Array.from(place).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_521, 7);
  return (WAYS[chosen % WAYS.length] as Around)(place, body);
};
