/** Libraries that keep state between runs: exact as they are, with `hindcast/register`, or declared in one line. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";
import { field } from "./field.js";

const packages = [
  "@faker-js/faker",
  "@paralleldrive/cuid2",
  "bson",
  "dataloader",
  "lodash",
  "lru-cache",
  "memoizee",
];
packages.push("nanoid", "p-limit", "p-queue", "ulid", "uuid");

await field("state that runs share", { packages }, () => {
  test("each library: alone, again, twenty at once, and in a fresh process", async () => {
    const program = join(import.meta.dirname, "shared-process.ts");
    const flags = ["--conditions=hindcast-source", "--import", "tsx", "--import", "hindcast/register"];
    const { output } = await runNode([...flags, program], {
      cwd: repositoryRoot,
      timeoutMilliseconds: 240_000,
    });
    const said = output
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { name: string; identical: boolean; found: string });
    expect(said.length, output).toBe(13);
    for (const { name, identical, found } of said) {
      console.log(`${name.padEnd(16)} ${identical ? "identical" : "differs"}`);
      expect([name, found]).toEqual([name, ""]);
    }
  }, 300_000);
});
