/** The short form of the soak; `npm run soak` is the long one. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

const RUNS = 20_000;

test("G2, G8, G9: after many runs with a failing store nothing is unhandled, uncounted or held on to", async () => {
  const file = fileURLToPath(new URL("soak.ts", import.meta.url));
  const args = ["--expose-gc", "--conditions=hindcast-source", "--import", "tsx", file, String(RUNS)];
  const { exitCode, output } = await runNode(args, { cwd: repositoryRoot, timeoutMilliseconds: 110_000 });
  expect(output).toContain("soak: passed");
  expect(exitCode).toBe(0);
}, 120_000);
