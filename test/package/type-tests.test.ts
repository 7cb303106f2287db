import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";
import { type Diagnostic, typeCheck } from "../tools/type-check.js";

const root = join(repositoryRoot, "test");
const typeTests = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".test-d.ts"),
);

/** A `*.test-d.ts` file is never run: it compiles, and each `@ts-expect-error` in it meets an error. */
describe.skipIf(typeTests.length === 0)("type tests", () => {
  let diagnostics: Diagnostic[] = [];

  beforeAll(async () => {
    diagnostics = await typeCheck(join(root, "type-tests.tsconfig.json"));
  });

  test.each(typeTests)("%s", (name) => {
    const own = diagnostics.filter(({ file }) => file === join(root, name));
    expect(own.map(({ line, message }) => `test/${name}:${line}: ${message}`)).toEqual([]);
  });
});
