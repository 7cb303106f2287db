/** Runs every check in order, stops at the first that fails, and says how long each took. */
import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";

const steps: readonly (readonly [title: string, script: string])[] = [
  ["formatting", "format:check"],
  ["lint", "lint"],
  ["types", "types"],
  ["build", "build"],
  ["package: exports, types, files", "check:package"],
  ["size of the core entry", "check:size"],
  ["unused files, exports, dependencies", "check:unused"],
  ["guard of the path of a call", "bench:guard"],
  ["record and replay across Node lines", "test:compat"],
  ["tests", "test"],
];

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const timings: string[] = [];
const start = performance.now();

for (const [index, [title, script]] of steps.entries()) {
  if (script === "test") {
    console.log(`\n${timings.join("\n")}`);
    if (process.env["HINDCAST_TESTS_DONE"] === "1") {
      console.log("tests: already run");
      break;
    }
  }
  console.log(`\n== ${index + 1}/${steps.length} ${title} (npm run ${script})`);
  const stepStart = performance.now();
  const { status, error } = spawnSync("npm", ["run", "--silent", script], { stdio: "inherit" });
  if (error || status !== 0) {
    console.error(
      `\nverify: "${title}" failed after ${seconds(stepStart)}${error ? `: ${error.message}` : ""}`,
    );
    console.error(`verify: repeat it alone with: npm run ${script}`);
    process.exit(status ?? 1);
  }
  timings.push(`${title}: ${seconds(stepStart)}`);
}

if (process.env["HINDCAST_TESTS_DONE"] === "1") console.log(`verify: all checks passed in ${seconds(start)}`);
