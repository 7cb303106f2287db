import { isDeepStrictEqual } from "node:util";
import { memoryStore, type Store } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { z } from "zod";
import { absentHistory } from "./airport-history.js";
import type { DelayModel } from "./model.js";
import type { FlightRecords } from "./records.js";
import { createService } from "./service.js";

export const ReplayCounts = z.object({
  replayed: z.number().int(),
  identical: z.number().int(),
  diverged: z.number().int(),
  unresolved: z.number().int(),
  /** Verdicts of `identical` whose decision is not deeply equal to the recorded one: must stay zero. */
  contradicted: z.number().int(),
  /** The explanation of the first replay that was not identical. */
  firstProblem: z.string().optional(),
});
export type ReplayCounts = z.infer<typeof ReplayCounts>;

/** Replays every capsule of a store on a service that has no history, and counts the verdicts. */
export async function replayAll(
  store: Store,
  { model, data }: { model: DelayModel; data: FlightRecords["data"] },
  onProgress: (done: number) => void,
): Promise<ReplayCounts> {
  const { decideOnFlight } = createService({ store: memoryStore(), model, data, history: absentHistory });
  const counts = { replayed: 0, identical: 0, diverged: 0, unresolved: 0, contradicted: 0 };
  let firstProblem: string | undefined;
  for await (const stored of store.find({ pipeline: "flight-delay" })) {
    const result = await replay(stored, decideOnFlight);
    counts.replayed++;
    counts[result.verdict]++;
    if (result.verdict !== "identical") firstProblem ??= explain(result);
    else if (!isDeepStrictEqual(result.outcome, result.recorded)) counts.contradicted++;
    onProgress(counts.replayed);
  }
  return firstProblem === undefined ? counts : { ...counts, firstProblem };
}
