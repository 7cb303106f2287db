/** G2: encoding gives way to the program. `test/capsule/steps.test.ts` shows the same of one large value or capsule. */
import { expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runTypeScript } from "../tools/run-process.js";

const ATTEMPTS = 12;

test("G2: runs of 10,000 events are encoded without holding the event loop for 2 ms, from the first on", async () => {
  let longest: readonly number[] = [Infinity];
  // Other work on the machine makes a stretch longer, and nothing makes it shorter.
  for (let attempt = 0; attempt < ATTEMPTS && Math.max(...longest) >= 2; attempt++) {
    const { exitCode, output } = await runTypeScript("test/record/flush-process.ts", { cwd: repositoryRoot });
    expect(exitCode, output).toBe(0);
    const stretches = JSON.parse(output) as readonly number[];
    longest = stretches.map((milliseconds, round) => Math.min(milliseconds, longest[round] ?? Infinity));
  }
  console.log(`longest stretch of a flush, by round: ${longest.map((one) => one.toFixed(2)).join()} ms`);
  expect(Math.max(...longest)).toBeLessThan(2);
}, 120_000);
