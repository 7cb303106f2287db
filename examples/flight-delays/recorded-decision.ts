import { type Capsule, valueAt } from "hindcast/replay";
import { Decision, ScheduledFlight } from "./contracts.js";

/** What a capsule of the pipeline is about. */
export interface RecordedDecision {
  readonly flight: ScheduledFlight;
  readonly decision: Decision;
}

/** Reads the pipeline's input and its result; throws when the run did not end in a decision. */
export function recordedDecision(capsule: Capsule): RecordedDecision {
  const [root] = capsule.calls;
  const [flight] = root?.input ?? [];
  if (root?.outcome.status !== "ok" || flight === undefined) {
    throw new Error(`capsule ${capsule.id} holds no decision`);
  }
  return {
    flight: ScheduledFlight.parse(valueAt(capsule, flight)),
    decision: Decision.parse(valueAt(capsule, root.outcome.value)),
  };
}
