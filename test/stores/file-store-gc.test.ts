import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

test("G2: a store that nobody closes warns of nothing when it is let go", async () => {
  const dir = mkdtempSync(join(tmpdir(), "hindcast-gc-"));
  const program = `
    import { fileStore, hindcast } from "hindcast";
    async function once() {
      const hc = hindcast({ service: "gc", store: fileStore({ dir: ${JSON.stringify(dir)} }) });
      hc.decide({ name: "one" }, () => 1)();
      await hc.flush();
      return hc.stats().capsules.stored;
    }
    console.log(await once());
    for (let round = 0; round < 5; round++) {
      globalThis.gc();
      await new Promise((done) => setTimeout(done, 5));
    }`;
  try {
    const args = [
      "--expose-gc",
      "--conditions=hindcast-source",
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      program,
    ];
    expect(await runNode(args, { cwd: repositoryRoot })).toEqual({ exitCode: 0, output: "1\n" });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
