import { transform } from "esbuild";
import { defineConfig, type Plugin } from "vitest/config";

// `hindcast` means its sources. Not the `module` condition: Node itself, which loads packages here, has none.
const conditions = ["hindcast-source", "node", "development|production"];
const legacyDecorators = "/test/decorators-legacy/";

/**
 * TypeScript through esbuild, as the build does it: Vite's own transformer leaves standard decorators and
 * `using` as they are, and Node 20 knows neither. One folder is compiled with the older decorator dialect.
 */
function typescript(): Plugin {
  return {
    name: "typescript",
    enforce: "pre",
    async transform(source, id) {
      const file = id.split("?", 1)[0] ?? id;
      if (!/\.[cm]?ts$/.test(file) || file.includes("/node_modules/")) return null;
      const { code, map } = await transform(source, {
        loader: "ts",
        format: "esm",
        target: "node20",
        sourcefile: file,
        sourcemap: "external",
        tsconfigRaw: {
          compilerOptions: {
            target: "ES2022",
            verbatimModuleSyntax: true,
            useDefineForClassFields: true,
            experimentalDecorators: file.includes(legacyDecorators),
          },
        },
      });
      return { code, map };
    },
  };
}

export default defineConfig({
  plugins: [typescript()],
  oxc: false,
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/reporter.ts"],
    exclude: ["**/node_modules/**"],
    testTimeout: process.env["HINDCAST_LONG"] ? 600_000 : 20_000,
    hookTimeout: 60_000,
  },
});
