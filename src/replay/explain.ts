import { effectKey } from "./compared-run.js";
import type { Divergence, Thrown } from "./divergence.js";
import { formatDifference } from "./format-difference.js";
import { formatValue } from "./format-value.js";
import type { NearestEffect } from "./nearest-effect.js";
import type { ReplayResult } from "./replay.js";
import type { ReplayOutcome } from "./replay-outcome.js";
import { formatStale } from "./stale-answers.js";

/** Errors tell what went wrong at their end: there is to be room for it. */
const WIDTH = 400;

/** What a replay concluded, in lines for a person. */
export function explain(result: ReplayResult): string {
  const lines = [`verdict   ${result.verdict}`];
  // First of all: whatever follows may come of these.
  if (result.environment.length > 0) {
    lines.push(`runs on   another environment: ${result.environment.join(", ")}`);
  }
  lines.push(...result.given.map((given) => `given     ${given}`));
  switch (result.verdict) {
    case "identical":
      lines.push(`outcome   ${formatOutcome(result.outcome)}`);
      break;
    case "diverged":
      lines.push(...explainDivergence(result.divergence), ...bothOutcomes(result));
      break;
    case "unresolved":
      lines.push(`why       ${result.message}`);
      if (result.divergence !== undefined) lines.push(...explainDivergence(result.divergence));
      lines.push(...bothOutcomes(result));
      break;
    default:
      result satisfies never;
  }
  lines.push(...result.stale.map((answer) => `stale     ${formatStale(answer)}`));
  lines.push(...result.notes.map((note) => `note      ${note}`));
  const declared = result.changes.filter((change) => !result.environment.includes(change));
  lines.push(...declared.map((change) => `changed   ${change}`));
  return lines.join("\n");
}

function explainDivergence(divergence: Divergence): string[] {
  const { inJson, expected, actual } = formatDifference(divergence.expected, divergence.actual, WIDTH);
  const threw = (which: Thrown): string =>
    divergence.thrown === which || (divergence.thrown === "both" && divergence.path === "$") ? "threw " : "";
  return [
    `cause     ${divergence.cause}`,
    `at        ${divergence.call}${divergence.effect === undefined ? "" : `, effect ${divergence.effect}`}: ${divergence.point} ${divergence.path}`,
    ...(inJson === undefined ? [] : [`in JSON   ${inJson}`]),
    `expected  ${threw("recorded")}${expected}`,
    `actual    ${threw("replayed")}${actual}`,
    `why       ${divergence.message}`,
    ...(divergence.site === undefined ? [] : [`called at ${divergence.site}`]),
    ...(divergence.nearest === undefined ? [] : [`nearest   ${explainNearest(divergence.nearest)}`]),
  ];
}

function explainNearest({ effect, ordinal, call, difference }: NearestEffect): string {
  const which = `recorded in ${call} is ${effectKey({ name: effect, ordinal })}`;
  if (difference === undefined) return `${which}, with the same input`;
  const { path, expected, actual } = difference;
  const { inJson, expected: was, actual: is } = formatDifference(expected, actual, WIDTH);
  const where = inJson === undefined ? path : `${path}, in its JSON at ${inJson}`;
  return `${which}, with another input at ${where}: recorded ${was}, called with ${is}`;
}

function bothOutcomes(result: ReplayResult): string[] {
  return [`recorded  ${formatOutcome(result.recorded)}`, `replayed  ${formatOutcome(result.outcome)}`];
}

function formatOutcome(outcome: ReplayOutcome): string {
  switch (outcome.status) {
    case "ok":
      return formatValue(outcome.value, WIDTH);
    case "error":
      return `threw ${formatValue(outcome.error, WIDTH)}`;
    case "pending":
      return "did not end";
  }
}
