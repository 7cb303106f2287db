/** What becomes of telemetry in a replay, by its options. */
import { type Capsule, runIdOf } from "../capsule/capsule.js";
import type { FailureSource, RunListener } from "../stage/seam.js";
import { keepSentryOutOfReplays } from "../telemetry/quiet-sentry.js";
import { keepTelemetryQuiet } from "../telemetry/quiet-telemetry.js";
import { inReplay } from "../telemetry/replayed-telemetry.js";
import { createSpanListener } from "../telemetry/spans.js";
import { LIBRARY_VERSION } from "../version.js";

export interface TelemetryOptions {
  /**
   * Whether spans of the replay are exported: the library's and the program's, each with `hindcast.replay`, the
   * capsule's id, and in the trace of the recorded run. Default: none is started.
   */
  readonly spans?: boolean;
  /** The same of what the program measures with OpenTelemetry's meters. Default: nothing is measured. */
  readonly metrics?: boolean;
  /** The same of log records that it emits through OpenTelemetry. Default: none is emitted. */
  readonly logs?: boolean;
}

export interface TelemetryOfReplay {
  /** Makes the library's own spans, where they are asked for. */
  readonly listeners: readonly RunListener[];
  /** Calls `body` as part of the replay. */
  readonly within: <T>(body: () => T) => T;
}

export function telemetryOfReplay(
  capsule: Capsule,
  { spans = false, metrics = false, logs = false }: TelemetryOptions,
  report: (source: FailureSource, error: unknown) => void,
): TelemetryOfReplay {
  const listeners: RunListener[] = [];
  try {
    keepTelemetryQuiet();
    keepSentryOutOfReplays();
    const listener = spans ? createSpanListener(LIBRARY_VERSION) : undefined;
    if (listener !== undefined) listeners.push(listener);
  } catch (error) {
    report("listener", error);
  }
  const replay = { capsule: runIdOf(capsule), spans, metrics, logs };
  return { listeners, within: (body) => inReplay(replay, capsule.trace, body) };
}
