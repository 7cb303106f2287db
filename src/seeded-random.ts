/**
 * The chance of a run: one stream for each stage call, all derived from the run's seed, so that a
 * draw costs no log entry and one stage's draws never shift another's.
 */
import alea from "seedrandom/lib/alea.js";

/** A function that gives floats in [0, 1) with 53 random bits, the same ones for the same seed and stream. */
export function seededRandom(seed: number, stream: string): () => number {
  const generator = alea(`${seed}/${stream}`);
  return () => generator.double();
}
