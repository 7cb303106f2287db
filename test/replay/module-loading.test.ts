import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 1_000 : 100;
const dir = mkdtempSync(join(tmpdir(), "hindcast-modules-"));
const bundle = join(dir, "process.mjs");

beforeAll(async () => {
  await build({
    entryPoints: [join(repositoryRoot, "test/programs/module-process.ts")],
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
  const modules = join(repositoryRoot, "test/programs/modules");
  for (const folder of ["modules", ...Array.from({ length: COUNT }, (_, index) => `sets/${index}`)]) {
    cpSync(modules, join(dir, folder), { recursive: true });
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(mode: "record" | "cold" | "warm"): Promise<Record<string, unknown>> {
  const given = [bundle, mode, join(dir, "store"), join(dir, "sets"), String(COUNT), "1"];
  const { output } = await runNode(given, { cwd: dir, timeoutMilliseconds: 300_000 });
  const line = output.split("\n").find((one) => one.startsWith("{"));
  expect(line, output).toBeDefined();
  return JSON.parse(line as string) as Record<string, unknown>;
}

// Node 20 does not tell of `import()`: there it takes more microtasks to load a module than to have it.
const isFollowed = Number(process.versions.node.split(".")[0]) >= 22;

test(`G4, G7: ${COUNT} programs that load modules for the first time are exact, replayed by a process that has them or has not`, async () => {
  expect(await run("record")).toEqual({ recorded: COUNT, inexact: 0 });
  const cold = await run("cold");
  console.log(`modules: ${COUNT} recorded cold, replayed cold: ${String(cold["exact"])} exact`);
  expect(cold, String(cold["failure"])).toEqual({ replayed: COUNT, exact: COUNT, silent: 0 });
  const warm = await run("warm");
  console.log(`modules: ${COUNT} recorded cold, replayed warm: ${String(warm["exact"])} exact`);
  if (isFollowed) expect(warm, String(warm["failure"])).toEqual({ replayed: COUNT, exact: COUNT, silent: 0 });
  else expect(warm["exact"]).toBeGreaterThan(0.6 * COUNT);
}, 600_000);
