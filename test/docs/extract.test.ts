import { describe, expect, test } from "vitest";
import { extract } from "./extract.js";

const markdown = (...lines: string[]): string =>
  lines.join("\n").replace(/'{3,}/g, (fence) => "`".repeat(fence.length));

describe("extract", () => {
  test("keeps every line where it stands in the document, over continued blocks too", () => {
    const text = markdown(
      "# Title",
      "'''ts",
      "const a = 1;",
      "'''",
      "prose",
      "'''ts continues",
      "use(a);",
      "'''",
    );
    const { programs } = extract("README.md", text);
    expect(programs).toEqual([
      { document: "README.md", line: 3, source: "\n\nconst a = 1;\n\n\n\nuse(a);", isRun: true },
    ]);
  });

  test("knows no-run, indented fences and longer fences", () => {
    const text = markdown(
      "- item",
      "  '''ts no-run",
      "  if (x) {",
      "    y();",
      "  }",
      "  '''",
      "''''md",
      "'''ts",
      "''''",
    );
    const { programs } = extract("docs/a.md", text);
    expect(programs).toEqual([
      { document: "docs/a.md", line: 3, source: "\n\nif (x) {\n  y();\n}", isRun: false },
    ]);
  });

  test("finds the scripts named in shell blocks", () => {
    const text = markdown(
      "'''sh",
      "npm ci",
      "npm test -- --run",
      "npm run check:size && npm run --silent lint",
      "'''",
    );
    expect(extract("a.md", text).commands.map(({ line, script }) => [line, script])).toEqual([
      [3, "test"],
      [4, "check:size"],
      [4, "lint"],
    ]);
  });

  test.each([
    ["another name of the language", ["'''typescript", "'''"], "a.md:1: write `ts`, not `typescript`"],
    ["an unknown word", ["", "'''ts norun", "'''"], "a.md:2: unknown: `ts norun`"],
    ["a continuation of nothing", ["'''ts continues", "'''"], "a.md:1: there is no block before"],
    ["types only after a run", ["'''ts", "'''", "'''ts continues no-run", "'''"], "a.md:3: a `no-run` block"],
    ["a block without end", ["x", "'''ts", "y"], "a.md:2: this code block is never closed"],
  ])("rejects %s", (_title, lines, message) => {
    expect(() => extract("a.md", markdown(...lines))).toThrow(message);
  });
});
