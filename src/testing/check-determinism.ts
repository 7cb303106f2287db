import { HindcastError } from "../errors.js";
import { replayHostOf } from "../hindcast.js";
import { explain } from "../replay/explain.js";
import { recordRun } from "../replay/record-run.js";
import { replay, type ReplayResult } from "../replay/replay.js";
import type { AnyFunction } from "../stage/stage.js";
import { entryOf } from "../stage/wrap.js";

/** What `checkDeterminism` found. */
export type DeterminismReport =
  | {
      readonly deterministic: true;
      /** What was noticed while recording, and did no harm in these replays: it may do some in another. */
      readonly noticed: readonly string[];
    }
  | {
      readonly deterministic: false;
      /** The first stage whose own code did otherwise in a replay; undefined where none was seen to. */
      readonly stage: string | undefined;
      /** For a person. */
      readonly explanation: string;
      readonly result: ReplayResult;
    };

const REPLAYS = 2;

/**
 * Runs `entry` once for real, with `input` as its arguments, and replays that run twice: whatever
 * differs was read from somewhere that is neither captured nor declared. For use in a test.
 *
 * Throws `replay-entry` where `entry` is not a wrapped function.
 */
export async function checkDeterminism<F extends AnyFunction>(
  entry: F,
  ...input: Parameters<F>
): Promise<DeterminismReport> {
  const found = entryOf(entry);
  if (found === undefined) {
    throw new HindcastError(
      "replay-entry",
      "checkDeterminism(entry, …input): the entry is not a wrapped function; give what hc.pipeline() or a stage returned.",
    );
  }
  const capsule = await recordRun(replayHostOf(found.host), found, input);
  for (let count = 0; count < REPLAYS; count++) {
    const result: ReplayResult = await replay(capsule, entry);
    if (result.verdict === "identical") continue;
    return { deterministic: false, stage: result.divergence?.origin, explanation: explain(result), result };
  }
  return { deterministic: true, noticed: capsule.replayable.reasons.map((reason) => reason.message) };
}
