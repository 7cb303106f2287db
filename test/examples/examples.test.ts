import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { runTypeScript } from "../tools/run-process.js";

const root = join(repositoryRoot, "examples");
const examples = existsSync(root)
  ? readdirSync(root, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  : [];

describe.skipIf(examples.length === 0)("examples", () => {
  test.concurrent.each(examples)(
    "%s: smoke.ts ends with exit code 0",
    async (name) => {
      const smoke = join(root, name, "smoke.ts");
      expect(existsSync(smoke), `examples/${name}/smoke.ts exists`).toBe(true);
      const cwd = join(repositoryRoot, ".cache/examples", name); // whatever it writes stays out of the tree
      mkdirSync(cwd, { recursive: true });
      const { exitCode, output } = await runTypeScript(smoke, { cwd, timeoutMilliseconds: 120_000 });
      expect(exitCode, output).toBe(0);
    },
    130_000,
  );
});
