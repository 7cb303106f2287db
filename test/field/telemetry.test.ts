/** Programs that trace, log and measure, recorded with one kind of telemetry and replayed with another, or none. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { field } from "./field.js";
import type { TelemetryReport } from "./telemetry/telemetry-process.js";

const MILLISECONDS = 120_000;
const RUNS = 8;
const PROGRAMS = ["spans", "logs", "sentry", "metrics", "http", "fetch", "ai"];
/** `-late`: set up when there is an instance already. */
const SETUPS = ["none", "sdk", "sdk-late", "sentry", "sentry-late"];

async function run(
  mode: "record" | "replay",
  setup: string,
  dir: string,
  port = "",
): Promise<{ report: TelemetryReport; port: string }> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "--conditions=hindcast-source",
      "--import",
      "tsx",
      join(import.meta.dirname, "telemetry/telemetry-process.ts"),
      mode,
      setup,
      dir,
    ],
    { env: { ...process.env, SERVER_PORT: port }, timeout: MILLISECONDS, maxBuffer: 64 * 1024 * 1024 },
  );
  const [, report, used] = /^REPORT (.*) (\d+)$/m.exec(stdout) ?? [];
  if (report === undefined || used === undefined) throw new Error(`no report of ${mode} ${setup}: ${stdout}`);
  return { report: JSON.parse(report) as TelemetryReport, port: used };
}

function mustBeIdentical({ programs, connections, exported, warnings }: TelemetryReport): void {
  const why = Object.values(programs).map((program) => program.why);
  expect(why.filter((one) => one !== undefined)).toEqual([]);
  const verdicts = Object.entries(programs).map(([name, program]) => [name, program.verdicts]);
  expect(Object.fromEntries(verdicts)).toEqual(
    Object.fromEntries(PROGRAMS.map((name) => [name, { identical: RUNS }])),
  );
  expect({ connections, exported, warnings }).toEqual({ connections: 0, exported: 0, warnings: [] });
}

await field(
  "telemetry",
  {
    packages: [
      "@opentelemetry/sdk-node",
      "@opentelemetry/instrumentation-http",
      "@opentelemetry/instrumentation-undici",
      "@opentelemetry/instrumentation-pino",
      "@sentry/node",
      "pino",
      "winston",
      "prom-client",
      "ai",
      "@ai-sdk/openai",
    ],
  },
  () => {
    for (const recorded of SETUPS) {
      const long = process.env["HINDCAST_FIELD"] === "1";
      test.runIf(long || recorded === "sdk")(
        `G4, G5, G7: recorded with ${recorded}`,
        async () => {
          const dir = await mkdtemp(join(tmpdir(), "hindcast-telemetry-"));
          try {
            const { report, port } = await run("record", recorded, dir);
            mustBeIdentical(report);
            for (const replayed of long ? SETUPS : ["none", "sentry"]) {
              mustBeIdentical((await run("replay", replayed, dir, port)).report);
            }
          } finally {
            await rm(dir, { recursive: true });
          }
        },
        6 * MILLISECONDS,
      );
    }
  },
);
