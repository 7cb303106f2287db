import { createRunId, timeOfRunId } from "../ids.js";
import { wallClock } from "../originals.js";

const SUFFIX = ".hindcast";

/** A name for a new segment: it sorts by time, and no other process makes the same. */
export function createSegmentName(after: string | undefined): string {
  // Two of one millisecond would sort by chance.
  const last = timeOfRunId((after ?? "").slice(0, -SUFFIX.length)) ?? 0;
  return createRunId(Math.max(wallClock(), last + 1)) + SUFFIX;
}

export function isSegmentName(name: string): boolean {
  return name.endsWith(SUFFIX);
}
