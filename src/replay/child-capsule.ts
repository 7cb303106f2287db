/** The capsule of a replay: one of its own, that can be stored, replayed and compared as any other. */
import { type Capsule, callPath, type ReplayabilityReason, runIdOf } from "../capsule/capsule.js";
import { createRunId } from "../ids.js";
import type { Recording } from "../record/recording.js";
import { sealNow } from "./record-run.js";
import { effectKey } from "./compared-run.js";

/** `changes`: what was otherwise than in the run of `parent`, in lines. */
export function childCapsule(
  parent: Capsule,
  recording: Recording,
  isReplaced: (stage: string) => boolean,
  changes: readonly string[],
): Capsule {
  const sealed = sealNow(recording, "replay");
  const reasons = reasonsOf(parent, sealed, isReplaced);
  return {
    ...withPrompting(parent, sealed),
    id: createRunId(),
    parent: { id: parent.id, run: runIdOf(parent), changes },
    // A replay that was given up is over, though its program may go on, and into the same recording.
    events: [...sealed.events],
    violations: [...sealed.violations],
    replayable: { exact: reasons.length === 0, reasons },
  };
}

/** What was noticed while recording holds for a replay too, in which nothing can be noticed. */
function reasonsOf(
  parent: Capsule,
  sealed: Capsule,
  isReplaced: (stage: string) => boolean,
): readonly ReplayabilityReason[] {
  const isUncontrolled = ({ code }: ReplayabilityReason): boolean => code === "uncontrolled";
  return [
    ...sealed.replayable.reasons.filter((reason) => !isUncontrolled(reason)),
    ...parent.replayable.reasons.filter((reason) => isUncontrolled(reason) && !isReplaced(reason.name)),
  ];
}

/** What began unprompted in the recorded run does so whenever it begins: a replay waits for it. */
function withPrompting(parent: Capsule, sealed: Capsule): Capsule {
  const keys = (capsule: Capsule): { calls: string[]; effects: string[] } => ({
    calls: capsule.calls.map((_, index) => callPath(capsule, index)),
    effects: capsule.effects.map((effect) => `${callPath(capsule, effect.call)} ${effectKey(effect)}`),
  });
  const isUnprompted = ({ unprompted }: { readonly unprompted: boolean }): boolean => unprompted;
  if (!parent.calls.some(isUnprompted) && !parent.effects.some(isUnprompted)) return sealed;
  const [was, is] = [keys(parent), keys(sealed)];
  const calls = new Set(was.calls.filter((_, index) => parent.calls[index]?.unprompted));
  const effects = new Set(was.effects.filter((_, index) => parent.effects[index]?.unprompted));
  return {
    ...sealed,
    calls: sealed.calls.map((call, index) => ({ ...call, unprompted: calls.has(is.calls[index] ?? "") })),
    effects: sealed.effects.map((effect, index) => ({
      ...effect,
      unprompted: effects.has(is.effects[index] ?? ""),
    })),
  };
}
