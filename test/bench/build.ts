/**
 * Bundles the library and the programs of the benchmark for plain Node: what is measured is the code as
 * users get it, and no loader in between. Packages are found beside the bundle, in `test/bench/packages/node_modules`.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { entryPoints, repositoryRoot } from "../tools/entry-points.js";

export const benchRoot: string = join(repositoryRoot, "test/bench");
/** For what is not to be committed; beside the packages that the programs use. */
export const cacheDirectory: string = join(benchRoot, "packages/.cache");

/** Builds everything into a directory that goes with this process, and gives the path of each program by its name. */
export async function buildPrograms(): Promise<(name: string) => string> {
  mkdirSync(cacheDirectory, { recursive: true });
  const output = mkdtempSync(join(cacheDirectory, "build-"));
  process.on("exit", () => rmSync(output, { recursive: true, force: true }));
  const programs = readdirSync(join(benchRoot, "processes")).map((file) => file.replace(/\.ts$/, ""));
  await build({
    absWorkingDir: repositoryRoot,
    entryPoints: [
      ...programs.map((name) => ({ in: join(benchRoot, "processes", `${name}.ts`), out: name })),
      // With the library as entry points its files are shared, as they are in the package.
      ...entryPoints()
        .filter(({ specifier }) => specifier !== "hindcast/vitest")
        .map(({ source, output: out }) => ({ in: source, out: `hindcast/${out}` })),
    ],
    outdir: output,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["hindcast-source"],
    external: ["@opentelemetry/*", "zod", "cborg", "cborg/*", "seedrandom", "seedrandom/*", "vitest"],
    logLevel: "warning",
  });
  return (name) => join(output, `${name}.js`);
}
