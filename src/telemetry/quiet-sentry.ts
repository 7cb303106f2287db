/**
 * What Sentry's SDK would send of a replay. It has spans and events of its own, beside those of OpenTelemetry, and a
 * client through which all of them leave; the client is found where every copy of the SDK keeps it.
 */
import { REPLAY } from "./names.js";
import { activeReplay } from "./replayed-telemetry.js";
import { replaceMethod } from "./replace-method.js";

interface Scope {
  readonly getClient?: () => unknown;
}

interface Carrier {
  readonly acs?: { readonly getCurrentScope?: () => Scope | undefined };
}

/** The headers of what is sent, and its items: each with a header and what it holds. */
type Envelope = readonly [unknown, readonly (readonly [unknown, unknown])[]];

/** What the client tells of a span that has ended. */
const SPAN_ENDS = new Set(["spanEnd", "afterSpanEnd", "afterSegmentSpanEnd"]);

/** Has Sentry's client send nothing of a replay that is not asked for spans. Looks again for each replay. */
export function keepSentryOutOfReplays(): void {
  const { __SENTRY__: sentry } = globalThis as {
    readonly __SENTRY__?: { readonly version?: string } & Readonly<Record<string, unknown>>;
  };
  const carrier = sentry?.[sentry.version ?? ""] as Carrier | undefined;
  const client = carrier?.acs?.getCurrentScope?.()?.getClient?.();
  if (typeof client !== "object" || client === null) return;
  // Spans wait in a buffer that knows of no replay: it is not told of them.
  replaceMethod(client, "emit", (original) => {
    return function (...input) {
      const isOfSpan = typeof input[0] === "string" && SPAN_ENDS.has(input[0]);
      return isOfSpan && activeReplay()?.spans === false ? undefined : Reflect.apply(original, this, input);
    };
  });
  replaceMethod(client, "sendEnvelope", (original) => {
    return function (...input) {
      const replay = activeReplay();
      if (replay !== undefined && !replay.spans) return Promise.resolve({});
      if (replay !== undefined) mark(input[0] as Envelope, replay.capsule);
      return Reflect.apply(original, this, input);
    };
  });
}

function mark([, items]: Envelope, capsule: string): void {
  for (const [, held] of items) {
    if (typeof held !== "object" || held === null) continue;
    const { items: batch } = held as { readonly items?: unknown };
    if (!Array.isArray(batch)) Object.assign(held, { tags: { ...tagsOf(held), [REPLAY]: capsule } });
    else {
      for (const one of batch as { attributes?: object }[]) {
        one.attributes = { ...one.attributes, [REPLAY]: { value: capsule, type: "string" } };
      }
    }
  }
}

function tagsOf(held: object): object | undefined {
  return (held as { readonly tags?: object }).tags;
}
