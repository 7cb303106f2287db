/** What a module takes at its import is captured: of one behind the library always, of one before it with `--import`. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

async function run(order: string, ...execArgv: readonly string[]): Promise<unknown> {
  const program = join(import.meta.dirname, "taken-process.ts");
  const args = ["--conditions=hindcast-source", "--import", "tsx", ...execArgv, program, order];
  const { output } = await runNode(args, { cwd: repositoryRoot });
  return JSON.parse(output) as unknown;
}

describe("references to the platform that a module takes at its import", () => {
  const captured = { identical: 5, effects: true, exact: 5 };

  test("behind the library: captured", async () => {
    expect(await run("library first")).toEqual(captured);
  });

  test("before the library: not captured without the flag", async () => {
    expect(await run("module first")).toMatchObject({ effects: false, identical: 0 });
  });

  test("before the library, with --import hindcast/register: captured", async () => {
    expect(await run("module first", "--import", "hindcast/register")).toEqual(captured);
  });
});
