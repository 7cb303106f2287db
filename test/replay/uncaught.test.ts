/** An error that nobody catches is part of what a run did, and does not end the process that replays it. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

const KINDS = [
  "a timer",
  "an interval",
  "a promise",
  "a promise of a stage",
  "a microtask",
  "a tick",
  "an emitter",
];

test("G4: uncaught errors and unhandled rejections are recorded, compared, and end no replay", {
  timeout: 60_000,
}, async () => {
  const file = fileURLToPath(new URL("uncaught-program.ts", import.meta.url));
  const { exitCode, output } = await runNode(["--conditions=hindcast-source", "--import", "tsx", file], {
    cwd: repositoryRoot,
    timeoutMilliseconds: 50_000,
  });
  const lines = output.trim().split("\n");
  // As often as without the library: each once, the interval three times, two after the end.
  expect(lines).toContain("recorded: 11");
  for (const kind of KINDS) {
    expect(lines).toContain(`same: ${kind}: identical`);
    expect(lines).toContain(`harmless: ${kind}: diverged`);
  }
  expect(lines).toContain("same: after the end: identical");
  expect(lines).toContain("fails now: diverged");
  expect(lines.at(-1)).toBe("end");
  expect(exitCode).toBe(0);
});
