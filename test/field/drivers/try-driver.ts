/** Records the programs of a driver's fixture, and replays them in processes of their own with the server unreachable. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { DriverReport } from "./run-driver.js";

/** Nobody listens there. */
const CLOSED_PORT = "1";
const MILLISECONDS = 120_000;

async function run(
  mode: "record" | "replay",
  fixture: string,
  dir: string,
  environment: Record<string, string>,
): Promise<DriverReport> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "--conditions=hindcast-source",
      "--import",
      "tsx",
      join(import.meta.dirname, "run-driver.ts"),
      mode,
      join(import.meta.dirname, `${fixture}.ts`),
      dir,
    ],
    { env: { ...process.env, ...environment }, timeout: MILLISECONDS, maxBuffer: 64 * 1024 * 1024 },
  );
  const [, report] = /^REPORT (.*)$/m.exec(stdout) ?? [];
  if (report === undefined) throw new Error(`no report of ${mode} ${fixture}: ${stdout}`);
  return JSON.parse(report) as DriverReport;
}

/** A test of a fixture of this folder: each program exact, identical, and diverged where its code was changed. */
export function tryDriver(fixture: string): void {
  test(
    `G4, G5, G6: ${fixture}: recorded cold, warm and many at once; replayed with the server gone`,
    async () => {
      const dir = await mkdtemp(join(tmpdir(), "hindcast-driver-"));
      try {
        const recorded = await run("record", fixture, dir, {});
        const unreachable = { SERVER_PORT: CLOSED_PORT };
        const same = await run("replay", fixture, dir, unreachable);
        const other = await run("replay", fixture, dir, { ...unreachable, CHANGED: "1" });
        const expected = (verdict: string): unknown =>
          Object.fromEntries(
            Object.entries(recorded.programs).map(([name, { runs }]) => [
              name,
              { runs, exact: runs, verdicts: { [verdict]: runs } },
            ]),
          );
        expect(same.programs).toEqual(expected("identical"));
        expect(same.connections).toBe(0);
        for (const program of Object.values(other.programs)) delete program.why;
        expect(other.programs).toEqual(expected("diverged decide"));
        expect(other.connections).toBe(0);
      } finally {
        await rm(dir, { recursive: true });
      }
    },
    3 * MILLISECONDS,
  );
}
