/**
 * One row in a process of its own: `record warm`, `record cold`, or `replay` of both, where no server is to be reached and each
 * attempt is counted. The last line that it prints is its report.
 */
import { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { inspect } from "node:util";
import { fileStore, hindcast, type StoredCapsule } from "hindcast";
import { readCapsule, replay, valueAt } from "hindcast/replay";
import { phaseOf, PHASES, type PhaseReport, type RecordReport, type ReplayReport } from "./phase.js";
import type { Servers } from "./row.js";
import { rowOf } from "./rows.js";

const [mode, name = "", dir = "", servers = "{}", recorded = ""] = process.argv.slice(2);
const row = rowOf(name);

let connections = 0;
if (mode === "replay") {
  const refuse = (what: string) => (): never => {
    connections += 1;
    throw new Error(`${what}: there is nothing outside of a replay`);
  };
  Object.assign(Socket.prototype, { connect: refuse("connect") });
  Object.assign(ChildProcess.prototype, { spawn: refuse("spawn") });
}

const hc = hindcast({
  service: "matrix",
  revision: "matrix",
  store: fileStore({ dir }),
  capture: (await row.captures?.()) ?? true,
  logger: { warn: () => undefined },
});
const program = await row.make(hc, JSON.parse(servers) as Servers);
const entry = hc.pipeline({ name }, program.run);
const shown = (value: unknown): string =>
  inspect(value, { depth: 12, maxStringLength: null, breakLength: 160 });

/** What the program gave, seen from outside of the library. */
const outcomeOf = (settled: PromiseSettledResult<unknown>): string =>
  settled.status === "fulfilled" ? shown(settled.value) : `threw ${String(settled.reason)}`;

if (mode === "replay") {
  const { outcomes } = JSON.parse(readFileSync(recorded, "utf8")) as RecordReport;
  const phases: Record<string, PhaseReport> = {};
  const found: StoredCapsule[] = [];
  for await (const stored of hc.store.find({ limit: 100_000 })) found.push(stored);
  // From the last to the first: else each replay would find what runs share as the recording has found it.
  for (const stored of found.reverse()) {
    const capsule = readCapsule(stored);
    const result = await replay(stored, entry, { timeout: "10s", patience: "300ms" });
    const { outcome } = result;
    const input = valueAt(capsule, capsule.calls[0]?.input[0] as number) as number;
    const report = (phases[phaseOf(input)] ??= {
      runs: 0,
      identical: 0,
      inexact: 0,
      diverged: 0,
      wrong: 0,
      causes: {},
      reasons: [],
    });
    const note = (reason: string): void => {
      if (!report.reasons.includes(reason)) report.reasons.push(reason);
    };
    report.runs += 1;
    if (result.verdict !== "identical" && result.divergence !== undefined) {
      const { cause } = result.divergence;
      report.causes[cause] = (report.causes[cause] ?? 0) + 1;
    }
    const seen =
      outcome.status === "ok"
        ? shown(outcome.value)
        : outcome.status === "error"
          ? `threw ${String(outcome.error)}`
          : "pending";
    if (result.verdict === "identical" && seen !== outcomes[input]) {
      report.wrong += 1;
      note(`identical, and gave ${seen} for ${outcomes[input]}`);
    } else if (!capsule.replayable.exact) {
      report.inexact += 1;
      for (const { message } of capsule.replayable.reasons) note(message);
    } else if (result.verdict === "identical") {
      report.identical += 1;
    } else {
      report.diverged += 1;
      note(result.divergence?.message ?? (result.verdict === "unresolved" ? result.message : "diverged"));
    }
  }
  await report({ phases, connections });
} else {
  const outcomes: Record<string, string> = {};
  const once = async (input: number): Promise<void> => {
    const [settled] = await Promise.allSettled([entry(input)]);
    outcomes[input] = outcomeOf(settled as PromiseSettledResult<unknown>);
  };
  for (const { process: of, first, runs, atOnce } of Object.values(PHASES)) {
    if (of !== mode) continue;
    const inputs = Array.from({ length: runs }, (_, index) => first + index);
    if (atOnce) await Promise.all(inputs.map(once));
    else for (const input of inputs) await once(input);
  }
  await program.close?.();
  await report({ outcomes });
}

async function report(what: RecordReport | ReplayReport): Promise<never> {
  await hc.close();
  process.stdout.write(`\nREPORT ${JSON.stringify(what)}\n`, () => process.exit(0));
  return new Promise<never>(() => undefined);
}
