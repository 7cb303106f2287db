import { createRunId } from "../ids.js";

const SUFFIX = ".hindcast";

/** A name for a new segment: it sorts by time, and no other process makes the same. */
export function createSegmentName(): string {
  return createRunId() + SUFFIX;
}

export function isSegmentName(name: string): boolean {
  return name.endsWith(SUFFIX);
}
