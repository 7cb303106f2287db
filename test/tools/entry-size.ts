/**
 * What importing the library costs: minified and compressed with brotli, dependencies included, peers
 * not. Only what is loaded at start counts; what is loaded when it is first needed is told beside it.
 */
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { repositoryRoot } from "./entry-points.js";

interface Sizes {
  readonly atStart: number;
  readonly later: number;
}

/** Bytes that importing these names of the core entry costs. */
export async function sizesOf(imports: string): Promise<Sizes> {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `export { ${imports} } from "hindcast";`,
      resolveDir: repositoryRoot,
      sourcefile: "entry.ts",
    },
    absWorkingDir: repositoryRoot,
    outdir: "out",
    conditions: ["hindcast-source"],
    external: ["@opentelemetry/api", "zod"],
    platform: "node",
    format: "esm",
    bundle: true,
    minify: true,
    splitting: true,
    metafile: true,
    write: false,
    legalComments: "none",
  });
  const atStart = new Set<string>();
  const follow = (output: string): void => {
    if (atStart.has(output)) return;
    atStart.add(output);
    for (const { path, kind, external } of metafile.outputs[output]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) follow(path);
    }
  };
  for (const [output, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint === "entry.ts") follow(output);
  }
  const compressed = (loadedAtStart: boolean): number => {
    const chosen = outputFiles.filter(
      ({ path }) => [...atStart].some((output) => path.endsWith(output)) === loadedAtStart,
    );
    return brotliCompressSync(Buffer.concat(chosen.map(({ contents }) => contents))).length;
  };
  return { atStart: compressed(true), later: compressed(false) };
}
