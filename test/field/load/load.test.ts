/** The short form of the load; `npm run test:field:load` is the long one. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runNode } from "../../tools/run-process.js";
import { field } from "../field.js";

const SECONDS = 2;
const packages = ["express", "fastify", "hono", "@hono/node-server", "@trpc/server"];

await field("under load", { packages }, () => {
  test("G2: every request ends, and every run is identical", { timeout: 240_000 }, async () => {
    const file = fileURLToPath(new URL("load.ts", import.meta.url));
    const args = ["--expose-gc", "--conditions=hindcast-source", "--import", "tsx", file, String(SECONDS)];
    const cwd = fileURLToPath(new URL(".", import.meta.url));
    const { exitCode, output } = await runNode(args, { cwd, timeoutMilliseconds: 230_000 });
    expect(output).toContain("load: passed");
    expect(exitCode).toBe(0);
  });
});
