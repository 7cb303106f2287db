import { defineConfig } from "tsup";
import manifest from "./package.json" with { type: "json" };
import { entryPoints } from "./test/tools/entry-points.js";

// Declarations come from `tsc -p tsconfig.build.json`: the bundler's own writer needs the compiler API.
export default defineConfig({
  entry: Object.fromEntries(entryPoints(manifest).map((entry) => [entry.output, entry.source])),
  format: "esm",
  target: "node20",
  platform: "node",
  splitting: true, // module state (patched globals, the active scope) must exist once, whatever is imported
  sourcemap: true,
  treeshake: false,
  dts: false,
  removeNodeProtocol: false,
  clean: true,
  silent: true,
});
