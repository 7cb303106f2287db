/** The matrix as Markdown. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Phase, PHASES, type PhaseReport, type ReplayReport } from "./phase.js";
import type { Row } from "./row.js";

export type RowResult = ReplayReport | { readonly missing: readonly string[] } | { readonly failed: string };

const LONGEST_REASON = 240;
const MOST_REASONS = 2;
const ALIKE = 24;
/** Where the repository is on this machine is nobody's business. */
const ROOT = join(import.meta.dirname, "../../../");

/** The first of each phase, those that begin alike once. In a cell there are no bars and no line breaks. */
function reasonsOf(phases: readonly PhaseReport[]): string {
  const kinds = new Map<string, string>();
  for (const { reasons } of phases) {
    const [reason] = reasons;
    if (reason === undefined) continue;
    const text = reason
      .replaceAll(ROOT, "")
      .replaceAll(/\s+/g, " ")
      .replaceAll("|", "\\|")
      .replaceAll("<", "&lt;");
    const kind = text.slice(0, ALIKE);
    if (!kinds.has(kind)) {
      kinds.set(kind, text.length > LONGEST_REASON ? `${text.slice(0, LONGEST_REASON)}…` : text);
    }
  }
  return [...kinds.values()].slice(0, MOST_REASONS).join(" / ");
}

function cellOf(report: PhaseReport | undefined, runs: number): string {
  if (report === undefined) return `0 of ${runs} recorded`;
  const { identical, inexact, diverged, wrong, causes } = report;
  const parts: string[] = [];
  if (identical > 0) parts.push(identical === runs ? "identical" : `identical ${identical}`);
  if (inexact > 0) parts.push(inexact === runs ? "inexact" : `inexact ${inexact}`);
  if (diverged > 0) parts.push(`diverged ${diverged} (${Object.keys(causes).join(", ")})`);
  if (wrong > 0) parts.push(`WRONG ${wrong}`);
  if (report.runs !== runs) parts.push(`recorded ${report.runs} of ${runs}`);
  return parts.join(", ");
}

/** With versions, as they are installed. */
function packagesOf({ packages }: Row): string {
  const [first] = packages;
  if (first === undefined) return `Node ${process.versions.node}`;
  const file = join(import.meta.dirname, "../packages/node_modules", first, "package.json");
  if (!existsSync(file)) return first;
  return `${first} ${(JSON.parse(readFileSync(file, "utf8")) as { version: string }).version}`;
}

export function lineOf(row: Row, result: RowResult): string {
  const cells = ((): string[] => {
    if ("missing" in result)
      return [...Object.keys(PHASES).map(() => "–"), `no ${result.missing.join(", ")}`];
    if ("failed" in result) return [...Object.keys(PHASES).map(() => "failed"), result.failed];
    const reason = reasonsOf(Object.values(result.phases));
    const connected = result.connections > 0 ? `connections in the replay: ${result.connections}. ` : "";
    return [
      ...Object.entries(PHASES).map(([phase, { runs }]) => cellOf(result.phases[phase as Phase], runs)),
      connected + reason,
    ];
  })();
  return `| ${[row.name, packagesOf(row), row.madeExact, ...cells].join(" | ")} |`;
}

const HEAD = ["program", "package", "made exact by", ...Object.keys(PHASES), "why not identical"];

export function tableOf(lines: readonly string[]): string {
  return [`| ${HEAD.join(" | ")} |`, `|${HEAD.map(() => "---").join("|")}|`, ...lines].join("\n");
}
