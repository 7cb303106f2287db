/** The recorded effect that comes nearest to one that the record does not have, or has with another input. */
import type { EffectRecord } from "../capsule/capsule.js";
import { formatPath } from "../json-path.js";
import { textCloseness, valueCloseness } from "./closeness.js";
import type { ComparedRun } from "./compared-run.js";
import { firstDifference } from "./difference.js";
import type { SameNumber } from "./tolerance.js";

export interface NearestEffect {
  readonly effect: string;
  /** How many effects of that name the call had begun before. */
  readonly ordinal: number;
  /** The call it was recorded in, such as `approve-loan > load`. */
  readonly call: string;
  /** The arguments that are recorded. */
  readonly input: readonly unknown[];
  /** The first place at which they differ from those of the replay, as a path into the list of arguments; undefined where they are the same. */
  readonly difference:
    | { readonly path: string; readonly expected: unknown; readonly actual: unknown }
    | undefined;
}

/** Names that have less than this in common are no candidates. */
const SIMILAR_NAME = 0.3;
/** Of so many the inputs are looked at. */
const MAXIMUM_CANDIDATES = 200;

/**
 * Of the recorded effects of the same name the one of the closest input; where there is none, of those
 * with the closest name. In the same call before in another, and the earlier one, where they are alike.
 */
export function nearestEffect(
  recorded: ComparedRun,
  replayed: ComparedRun,
  effect: EffectRecord,
  isSame: SameNumber,
): NearestEffect | undefined {
  const input = replayed.values(effect.input);
  const path = replayed.path(effect.call);
  const candidates = candidatesFor(recorded, effect.name)
    .map((candidate) => ({ candidate, here: recorded.path(candidate.call) === path }))
    .toSorted((a, b) => Number(b.here) - Number(a.here))
    .slice(0, MAXIMUM_CANDIDATES);
  let best: { candidate: EffectRecord; closeness: number } | undefined;
  for (const { candidate } of candidates) {
    const closeness = valueCloseness(recorded.values(candidate.input), input);
    if (best === undefined || closeness > best.closeness) best = { candidate, closeness };
  }
  if (best === undefined) return undefined;
  const { candidate } = best;
  const was = recorded.values(candidate.input);
  const difference = firstDifference(was, input, isSame);
  return {
    effect: candidate.name,
    ordinal: candidate.ordinal,
    call: recorded.path(candidate.call),
    input: was,
    difference: difference && {
      path: formatPath(difference.path),
      expected: difference.expected,
      actual: difference.actual,
    },
  };
}

function candidatesFor(recorded: ComparedRun, name: string): readonly EffectRecord[] {
  const { effects } = recorded.capsule;
  const same = effects.filter((candidate) => candidate.name === name);
  if (same.length > 0) return same;
  let [nearest, closest] = ["", SIMILAR_NAME];
  for (const candidate of new Set(effects.map((one) => one.name))) {
    const closeness = textCloseness(candidate, name);
    if (closeness > closest) [nearest, closest] = [candidate, closeness];
  }
  return effects.filter((candidate) => candidate.name === nearest);
}
