/** Finds capsules by their summaries. Loaded by the first `find`: a service writes, and does not ask. */
import type { CapsuleSummary } from "../capsule/capsule.js";
import { milliseconds } from "../duration.js";
import { HindcastError } from "../errors.js";
import type { CapsuleQuery } from "./store.js";

/** A test for summaries. Throws `invalid-options` for a query that makes no sense. */
export function matcherOf(query: CapsuleQuery = {}): (summary: CapsuleSummary) => boolean {
  const since = timeOf(query.since, "since");
  const until = timeOf(query.until, "until");
  const slower =
    query.slowerThan === undefined ? undefined : milliseconds(query.slowerThan, "find({ slowerThan })");
  return (summary) =>
    (query.service === undefined || summary.service === query.service) &&
    (query.pipeline === undefined || summary.pipeline === query.pipeline) &&
    (query.status === undefined || summary.status === query.status) &&
    (query.violations === undefined || summary.violations > 0 === query.violations) &&
    (query.traceId === undefined || summary.traceId === query.traceId) &&
    (query.version === undefined || summary.versions.includes(query.version)) &&
    (slower === undefined || summary.duration > slower) &&
    (since === undefined || summary.startedAt >= since) &&
    (until === undefined || summary.startedAt < until);
}

/** How many a query asks for. Throws `invalid-options` for what is not a count. */
export function limitOf(query: CapsuleQuery = {}): number {
  const { limit = Infinity } = query;
  if (limit !== Infinity && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new HindcastError("invalid-options", `find({ limit: ${limit} }): give a count, 0 or more.`);
  }
  return limit;
}

function timeOf(time: number | Date | undefined, option: string): number | undefined {
  if (time === undefined) return undefined;
  const milliseconds = typeof time === "number" ? time : time.getTime();
  if (Number.isNaN(milliseconds)) {
    throw new HindcastError(
      "invalid-options",
      `find({ ${option} }) is not a time: give a valid Date or milliseconds.`,
    );
  }
  return milliseconds;
}
