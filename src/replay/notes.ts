/** What else there is to know of a replay that diverged. */
import { callPath, type Capsule, type EffectRecord } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { formatPath } from "../json-path.js";
import { effectKey } from "./compared-run.js";
import { firstDifference } from "./difference.js";
import { formatValue } from "./format-value.js";
import type { SameNumber } from "./tolerance.js";

/** What these give does not depend on what they are given. */
const TIMERS = /^(set(Timeout|Interval|Immediate)|timers\/promises\..*|AbortSignal\.timeout)$/;
const MAXIMUM_NOTES = 16;
const WIDTH = 60;

/**
 * Effects that were called with another input than recorded, and were given what is recorded for them
 * all the same: what was answered there was another question.
 */
export function notesOf(
  recorded: Capsule,
  replayed: Capsule,
  isReplaced: (effect: string) => boolean,
  isSame: SameNumber,
): readonly string[] {
  const keyOf = (capsule: Capsule, effect: EffectRecord): string =>
    `${effectKey(effect)} in ${callPath(capsule, effect.call)}`;
  const known = new Map(recorded.effects.map((effect) => [keyOf(recorded, effect), effect]));
  const notes: string[] = [];
  for (const effect of replayed.effects) {
    if (notes.length >= MAXIMUM_NOTES) break;
    const key = keyOf(replayed, effect);
    const was = known.get(key);
    if (was === undefined || isReplaced(effect.name) || effect.outcome.status === "pending") continue;
    if (TIMERS.test(effect.name)) continue;
    const values = (capsule: Capsule, { input }: EffectRecord): unknown[] =>
      input.map((reference) => valueAt(capsule, reference));
    const difference = firstDifference(values(recorded, was), values(replayed, effect), isSame);
    if (difference === undefined) continue;
    const { path, expected, actual } = difference;
    notes.push(
      `effect ${key} was called with ${formatValue(actual, WIDTH)} at ${formatPath(path)}, recorded is ` +
        `${formatValue(expected, WIDTH)}; it was given what is recorded`,
    );
  }
  return notes;
}
