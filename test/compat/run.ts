/**
 * Records on one Node and replays on another, in every combination of the lines that are supported.
 * This Node is one of them; the others come from npm.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { repositoryRoot } from "../tools/entry-points.js";

const LINES = ["20", "22", "24", "26"] as const;
const COUNT = process.env["HINDCAST_LONG"] === "1" ? 2_000 : 100;
const own = process.versions.node.split(".")[0];
const run = promisify(execFile);

const dir = mkdtempSync(join(tmpdir(), "hindcast-compat-"));
const bundle = join(dir, "programs.mjs");

/** One JSON line, from the given line of Node. */
async function runOn(line: string, ...args: string[]): Promise<Record<string, unknown>> {
  const command: [string, string[]] =
    line === own
      ? [process.execPath, [bundle, ...args]]
      : ["npx", ["--yes", "--package", `node@${line}`, "node", bundle, ...args]];
  const { stdout } = await run(command[0], command[1], { cwd: dir, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}") as Record<string, unknown>;
}

let failed = 0;
let passed = 0;
try {
  await build({
    entryPoints: [join(repositoryRoot, "test/compat/programs.ts")],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["hindcast-source"],
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
  });
  cpSync(join(repositoryRoot, "test/programs/modules"), join(dir, "modules"), { recursive: true });
  for (const recorder of LINES) {
    const capsules = join(dir, recorder);
    const recorded = await runOn(recorder, "record", capsules, String(COUNT), recorder);
    for (const replayer of LINES) {
      const replayed = await runOn(replayer, "replay", capsules, String(COUNT), recorder);
      const exact =
        recorded["recorded"] === COUNT && replayed["replayed"] === COUNT && replayed["exact"] === COUNT;
      if (exact) passed += 1;
      else failed += 1;
      console.log(
        `compat: ${COUNT} programs recorded on Node ${String(recorded["node"])}, ` +
          `replayed on ${String(replayed["node"])}: ${String(replayed["exact"])} exact`,
      );
      if (!exact) console.log(replayed["failure"]);
    }
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
