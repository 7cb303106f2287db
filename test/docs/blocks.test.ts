import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { packageManifest, repositoryRoot } from "../tools/entry-points.js";
import { runTypeScript } from "../tools/run-process.js";
import { type Diagnostic, typeCheck } from "../tools/type-check.js";
import { extract, type Program } from "./extract.js";

// Inside the repository, so that `hindcast` resolves to itself; not in node_modules, where Node forbids that.
const folder = join(repositoryRoot, ".cache/docs");

const chapters = existsSync(join(repositoryRoot, "docs"))
  ? readdirSync(join(repositoryRoot, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name.replaceAll("\\", "/")}`)
  : [];
const documents = ["README.md", "CONTRIBUTING.md", ...chapters.sort()].filter((name) =>
  existsSync(join(repositoryRoot, name)),
);
const extracted = documents.map((name) => extract(name, readFileSync(join(repositoryRoot, name), "utf8")));
const programs = extracted
  .flatMap((document) => document.programs)
  .map((program) => ({ ...program, ...place(program) }));
const commands = extracted.flatMap((document) => document.commands);

function place({ document, line }: Program): { at: string; file: string } {
  return { at: `${document}:${line}`, file: join(folder, `${document.replaceAll("/", "__")}-${line}.ts`) };
}

describe.skipIf(programs.length === 0)("ts blocks", () => {
  let diagnostics: Diagnostic[] = [];

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { file, source } of programs) writeFileSync(file, source);
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false };
    const project = {
      extends: "../../tsconfig.json",
      compilerOptions,
      include: ["*.ts", "../../src/**/*.d.ts"],
      exclude: [],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
    diagnostics = await typeCheck(folder);
  });

  test.each(programs)("$at has no type errors", ({ document, file }) => {
    const own = diagnostics.filter((diagnostic) => diagnostic.file === file);
    expect(own.map(({ line, message }) => `${document}:${line}: ${message}`)).toEqual([]);
  });

  test("what they import has no type errors", () => {
    const files = new Set(programs.map(({ file }) => file));
    expect(diagnostics.filter(({ file }) => !files.has(file))).toEqual([]);
  });

  describe.concurrent("run", () => {
    test.each(programs.filter(({ isRun }) => isRun))(
      "$at runs",
      async ({ at, document, file }) => {
        const cwd = `${file}.run`; // each has its own folder for what it writes
        mkdirSync(cwd, { recursive: true });
        const { exitCode, output } = await runTypeScript(file, { cwd });
        // The file's line numbers are the document's, so a stack trace only needs the document's name.
        expect(exitCode, `${at} failed:\n${output.replaceAll(file, document)}`).toBe(0);
      },
      70_000,
    );
  });
});

describe.skipIf(commands.length === 0)("sh blocks", () => {
  const scripts = Object.keys(packageManifest().scripts);
  test.each(commands)("$document:$line names a script that exists: $script", ({ script }) => {
    expect(scripts).toContain(script);
  });
});
