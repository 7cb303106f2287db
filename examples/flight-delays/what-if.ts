import { memoryStore, type Store } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { absentHistory } from "./airport-history.js";
import { Decision, type Features, type ScheduledFlight, type Score } from "./contracts.js";
import type { DelayModel } from "./model.js";
import type { FlightRecords } from "./records.js";
import { recordedDecision } from "./recorded-decision.js";
import { createService } from "./service.js";

/** One flight under the recorded model and under another. */
export interface Comparison {
  readonly flight: ScheduledFlight;
  readonly recorded: Decision;
  readonly instead: Decision;
}

/** Decides on every recorded flight again with another model in the place of the one that was used. */
export async function whatIf(
  store: Store,
  { model, other, data }: { model: DelayModel; other: DelayModel; data: FlightRecords["data"] },
  onProgress: (done: number) => void,
): Promise<Comparison[]> {
  const { decideOnFlight } = createService({ store: memoryStore(), model, data, history: absentHistory });
  const otherModel = (features: Features): Score => ({ chance: other.predict(features) });
  const comparisons: Comparison[] = [];
  for await (const stored of store.find({ pipeline: "flight-delay" })) {
    const capsule = readCapsule(stored);
    const { flight, decision } = recordedDecision(capsule);
    const { outcome } = await replay(capsule, decideOnFlight, { stages: { "delay-chance": otherModel } });
    if (outcome.status !== "ok")
      throw new Error(`with ${other.name}, capsule ${capsule.id} gives no decision`);
    comparisons.push({ flight, recorded: decision, instead: Decision.parse(outcome.value) });
    onProgress(comparisons.length);
  }
  return comparisons;
}

/** The decisions that would have been others. */
export function flipped(comparisons: readonly Comparison[]): Comparison[] {
  return comparisons.filter(({ recorded, instead }) => recorded.action !== instead.action);
}

/** The comparisons by how far the chance moved, farthest first. */
export function byChange(comparisons: readonly Comparison[]): Comparison[] {
  const change = ({ recorded, instead }: Comparison) => Math.abs(instead.chance - recorded.chance);
  return [...comparisons].sort((one, next) => change(next) - change(one));
}
