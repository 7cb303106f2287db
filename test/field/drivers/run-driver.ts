/**
 * Runs the programs of a driver's fixture: `record` against the real server, cold, warm and many at once; `replay` in a
 * process of its own, where the server is not to be reached and every connection is counted.
 */
import { Socket } from "node:net";
import { inspect } from "node:util";
import { fileStore, hindcast } from "hindcast";
import type { Capture } from "hindcast/capture";
import { readCapsule, replay } from "hindcast/replay";

export interface DriverFixture {
  readonly captures: Readonly<Record<string, Capture>>;
  /** Made once before the first recording. */
  readonly prepare?: () => Promise<void>;
  readonly programs: Readonly<Record<string, (input: number) => Promise<unknown>>>;
  readonly close?: () => Promise<void>;
}

export interface ProgramReport {
  runs: number;
  exact: number;
  verdicts: Record<string, number>;
  /** The first of what is not as it should be. */
  why?: string | undefined;
}

export interface DriverReport {
  programs: Record<string, ProgramReport>;
  /** Connections that were begun. */
  connections: number;
}

const CONCURRENT = 20;
const SEQUENTIAL = 3;

const [mode, file, dir] = process.argv.slice(2) as [string, string, string];
const changed = process.env["CHANGED"] === "1";

let connections = 0;
const { connect } = Socket.prototype as unknown as { connect: (...input: unknown[]) => unknown };
if (mode === "replay") {
  Object.assign(Socket.prototype, {
    connect(this: Socket, ...input: unknown[]) {
      connections += 1;
      return connect.apply(this, input);
    },
  });
}

const { fixture } = (await import(file)) as { fixture: DriverFixture };
const hc = hindcast({
  service: "drivers",
  store: fileStore({ dir }),
  capture: fixture.captures,
  logger: { warn: () => undefined },
});
const decide = hc.decide({ name: "decide" }, (value: unknown) => (changed ? { changed: value } : value));
const entries = new Map(
  Object.entries(fixture.programs).map(([name, program]) => {
    const load = hc.ingest({ name: `load ${name}`, data: { name: "d", version: "1" } }, program);
    return [name, hc.pipeline({ name }, async (input: number) => decide(await load(input)))];
  }),
);
const report: DriverReport = { programs: {}, connections: 0 };

if (mode === "record") {
  await fixture.prepare?.();
  for (const [name, entry] of entries) {
    for (let run = 0; run < SEQUENTIAL; run++) await entry(run + 1);
    await Promise.all(Array.from({ length: CONCURRENT }, (_, run) => entry(run + 10)));
    report.programs[name] = { runs: SEQUENTIAL + CONCURRENT, exact: 0, verdicts: {} };
  }
} else {
  for await (const stored of hc.store.find({ limit: 100_000 })) {
    const capsule = readCapsule(stored);
    const entry = entries.get(capsule.pipeline);
    if (entry === undefined) continue;
    const result = await replay(stored, entry, { timeout: "5s", patience: "300ms" });
    const of = (report.programs[capsule.pipeline] ??= { runs: 0, exact: 0, verdicts: {} });
    of.runs += 1;
    if (capsule.replayable.exact) of.exact += 1;
    else of.why ??= capsule.replayable.reasons.map(({ message }) => message).join(" ");
    const where = result.verdict === "diverged" ? `diverged ${result.divergence.stage}` : result.verdict;
    of.verdicts[where] = (of.verdicts[where] ?? 0) + 1;
    if (result.verdict === "diverged") of.why ??= inspect(result.divergence, { depth: 9 });
    if (result.verdict === "unresolved") of.why ??= result.message;
  }
}
report.connections = connections;
await hc.close();
if (mode === "record") await fixture.close?.();
process.stdout.write(`\nREPORT ${JSON.stringify(report)}\n`, () => process.exit(0));
