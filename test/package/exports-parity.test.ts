import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import buildConfig from "../../tsup.config.js";
import { entryPoints, packageManifest, repositoryRoot } from "../tools/entry-points.js";

const entries = entryPoints();
const built = existsSync(join(repositoryRoot, "dist"));

describe("package.json exports", () => {
  test.each(entries)(
    "$specifier names its source, types and built file",
    ({ specifier, output, conditions }) => {
      const subpath = specifier.split("/").slice(1);
      expect(output).toBe([...subpath, "index"].join("/"));
      // Order matters: a resolver takes the first condition that holds.
      expect(conditions).toEqual([
        ["hindcast-source", `./src/${output}.ts`],
        ["types", `./dist/${output}.d.ts`],
        ["import", `./dist/${output}.js`],
        ["default", `./dist/${output}.js`],
      ]);
    },
  );

  test.each(entries)("$specifier has its source", ({ source }) => {
    expect(existsSync(join(repositoryRoot, source)), `${source} exists`).toBe(true);
  });

  test("are closed: nothing but entry points and package.json, no wildcard", () => {
    const others = Object.entries(packageManifest().exports).filter(
      ([, target]) => typeof target === "string",
    );
    expect(others).toEqual([["./package.json", "./package.json"]]);
    expect(Object.keys(packageManifest().exports).filter((subpath) => subpath.includes("*"))).toEqual([]);
  });
});

test("the build has one entry for each export", () => {
  const { entry, splitting, format } = buildConfig as { entry: unknown; splitting: unknown; format: unknown };
  expect(entry).toEqual(Object.fromEntries(entries.map(({ output, source }) => [output, source])));
  expect({ splitting, format }).toEqual({ splitting: true, format: "esm" });
});

describe.skipIf(!built)("dist", () => {
  test.each(entries)("holds $output.js, its map and its declarations", ({ output }) => {
    for (const extension of ["js", "js.map", "d.ts"]) {
      expect(
        existsSync(join(repositoryRoot, "dist", `${output}.${extension}`)),
        `${output}.${extension}`,
      ).toBe(true);
    }
  });

  test("holds no module beside entries, shared chunks and what is loaded when it is first needed", () => {
    const modules = readdirSync(join(repositoryRoot, "dist"), { recursive: true, encoding: "utf8" })
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".js") && !/^[a-z-]+-[0-9A-Z]{8}\.js$/.test(file));
    expect(modules.sort()).toEqual(entries.map(({ output }) => `${output}.js`).sort());
  });
});
