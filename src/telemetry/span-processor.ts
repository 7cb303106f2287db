/**
 * What an OpenTelemetry SDK does with a span that has ended (batches, timers, exports) is no part of the
 * run in which it ended. There is no public way to come between the two: tracers of the SDK hold their
 * processor in a private field. Where there is no such field nothing is changed.
 */
import type { Tracer } from "@opentelemetry/api";
import { activeCall, detached } from "../stage/scopes.js";

type End = (this: object, span: unknown) => void;

const kept = new WeakSet<object>();

/** Makes the processor of an SDK's `tracer` work outside of every run. */
export function keepProcessorOutOfRuns(tracer: Tracer & { readonly _spanProcessor?: { onEnd?: End } }): void {
  const processor = tracer._spanProcessor;
  if (typeof processor !== "object" || processor === null || kept.has(processor)) return;
  kept.add(processor);
  const { onEnd } = processor;
  if (typeof onEnd !== "function") return;
  processor.onEnd = function (this: object, span: unknown): void {
    if (activeCall() === undefined) onEnd.call(this, span);
    else detached(() => onEnd.call(this, span));
  };
}
