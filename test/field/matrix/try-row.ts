/** Records a row in two processes, and replays it in a third, when its servers are gone. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { missing } from "../field.js";
import { startLoopbackServers } from "./loopback-servers.js";
import type { RecordReport, ReplayReport } from "./phase.js";
import type { Row } from "./row.js";

const MILLISECONDS = 120_000;

async function inProcess<Report>({ registered = false }: Row, ...input: string[]): Promise<Report> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "--conditions=hindcast-source",
      "--import",
      "tsx",
      ...(registered ? ["--import", "hindcast/register"] : []),
      join(import.meta.dirname, "matrix-process.ts"),
      ...input,
    ],
    { timeout: MILLISECONDS, maxBuffer: 64 * 1024 * 1024, cwd: join(import.meta.dirname, "..") },
  );
  const [, report] = /^REPORT (.*)$/m.exec(stdout) ?? [];
  if (report === undefined) throw new Error(`no report of ${input[0]} ${input[1]}: ${stdout}`);
  return JSON.parse(report) as Report;
}

/** What came of it, or what is missing here. */
export async function tryRow(row: Row): Promise<ReplayReport | { readonly missing: readonly string[] }> {
  const absent = await missing({ packages: row.packages, servers: row.servers ?? [] });
  if (absent.length > 0) return { missing: absent };
  const dir = await mkdtemp(join(tmpdir(), "hindcast-matrix-"));
  const store = join(dir, "store");
  try {
    await mkdir(store);
    const loopback = await startLoopbackServers();
    const servers = JSON.stringify(loopback.servers);
    const outcomes: Record<string, string> = {};
    try {
      await row.prepare?.();
      for (const mode of ["warm", "cold"]) {
        Object.assign(
          outcomes,
          (await inProcess<RecordReport>(row, mode, row.name, store, servers)).outcomes,
        );
      }
    } finally {
      await loopback.close();
    }
    const recorded = join(dir, "outcomes.json"); // too much for an argument
    await writeFile(recorded, JSON.stringify({ outcomes } satisfies RecordReport));
    return await inProcess<ReplayReport>(row, "replay", row.name, store, servers, recorded);
  } finally {
    await rm(dir, { recursive: true });
  }
}
