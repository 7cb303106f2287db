import type { Condition } from "./conditions.js";
import { type Divergence, firstDivergence } from "./divergence.js";
import { type CapsuleSource, readCapsule } from "./read-capsule.js";
import { sameNumber, type Tolerance } from "./tolerance.js";

export interface CompareOptions {
  /** How far apart two numbers may be. Default: not at all. */
  readonly tolerance?: Tolerance;
  /** Stages whose inside is not compared, such as one that was stood in for in the run of either capsule. */
  readonly opaque?: readonly string[];
}

/**
 * The first point, in the recorded order, at which the run of `actual` differs from that of `expected`;
 * undefined where it does not. Ids, seeds, durations and stacks by themselves are no difference.
 *
 * Throws what `readCapsule` throws, and `invalid-options`.
 */
export function compareCapsules(
  expected: CapsuleSource,
  actual: CapsuleSource,
  options: CompareOptions = {},
): Divergence | undefined {
  const [was, is] = [readCapsule(expected), readCapsule(actual)];
  const opaque = new Set(options.opaque);
  const changed = new Set<Condition>(["input"]);
  if (was.seed !== is.seed) changed.add("seed");
  if (was.startedAt !== is.startedAt) changed.add("clock");
  return firstDivergence(was, is, {
    isStageReplaced: (stage) => opaque.has(stage),
    isEffectReplaced: () => false,
    isSame: sameNumber(options.tolerance, "compareCapsules({ tolerance })"),
    changed,
    isReplay: is.parent?.id === was.id,
    siteOf: () => undefined,
  });
}
