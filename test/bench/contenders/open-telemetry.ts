import { type Span, SpanStatusCode } from "@opentelemetry/api";
import type { CreateContender } from "./contender.js";
import { versionOf } from "./installed.js";
import { registerTracing } from "./tracing.js";

/** A span for each call, and nothing on it. */
export const openTelemetry: CreateContender = create(() => undefined);

/** Input and output as attributes in JSON, as an application does it by hand. */
export const openTelemetryJson: CreateContender = create((span, key, value) => {
  span.setAttribute(key, JSON.stringify(value));
});

function create(note: (span: Span, key: string, value: unknown) => void): CreateContender {
  return () => {
    const { tracer, flush, lost } = registerTracing();
    return Promise.resolve({
      version: versionOf("@opentelemetry/sdk-trace-base"),
      flush,
      lost,
      wrap(name, _role, body) {
        const wrapped = (value: unknown): Promise<unknown> =>
          tracer.startActiveSpan(name, async (span) => {
            note(span, "input", value);
            try {
              const result = await body(value);
              note(span, "output", result);
              return result;
            } catch (error) {
              span.setStatus({ code: SpanStatusCode.ERROR });
              throw error;
            } finally {
              span.end();
            }
          });
        return wrapped as typeof body;
      },
    });
  };
}
