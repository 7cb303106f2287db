/** Runs the suites that depend on the runtime (values, replay, what is captured) on the other lines of Node. */
import { spawnSync } from "node:child_process";
import { repositoryRoot } from "../tools/entry-points.js";

const LINES = ["24", "26"] as const;
const SUITES = ["test/capsule", "test/golden", "test/replay", "test/ambient"];

for (const line of LINES) {
  console.log(`\ncompat: ${SUITES.join(", ")} on Node ${line}`);
  const args = [
    "--yes",
    "--package",
    `node@${line}`,
    "node",
    "node_modules/vitest/vitest.mjs",
    "run",
    ...SUITES,
  ];
  const { status } = spawnSync("npx", args, { cwd: repositoryRoot, stdio: "inherit" });
  if (status !== 0) {
    console.error(`compat: a suite fails on Node ${line}`);
    process.exit(1);
  }
}
