/**
 * Code blocks of a Markdown document. Pure: it reads no disk.
 *
 * 1. `ts` is type-checked and run; `ts no-run` is type-checked only; `ts continues` is appended to the block
 *    before it. Any other word after `ts`, and any other name for the language, is an error: no code escapes.
 * 2. In the text made of a block every line keeps the number it has in the document, so that a place reported
 *    by the compiler or a stack trace is a place in the document.
 */

export interface Program {
  /** From the repository root: `docs/replay.md`. */
  document: string;
  /** Line of the first block's first line of code; lines count from 1. */
  line: number;
  source: string;
  isRun: boolean;
}

interface ShellCommand {
  document: string;
  line: number;
  /** The package script that it runs: `test` for `npm test`. */
  script: string;
}

interface Extracted {
  programs: Program[];
  commands: ShellCommand[];
}

interface Block {
  language: string;
  words: string[];
  /** Line number of the first line of code. */
  line: number;
  code: string[];
}

const shells = new Set(["sh", "bash", "shell", "console"]);
const otherNamesOfTypeScript = new Set([
  "typescript",
  "tsx",
  "mts",
  "cts",
  "js",
  "jsx",
  "mjs",
  "cjs",
  "javascript",
]);

function blocksOf(document: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; block: Block } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const [, indent = "", fence = "", info = ""] = /^([ \t>]*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open) {
      if (fence.startsWith(open.fence) && info.trim() === "") {
        blocks.push(open.block);
        open = undefined;
      } else {
        const lead = /^[ \t>]*/.exec(line)?.[0].length ?? 0;
        open.block.code.push(line.slice(Math.min(open.indent, lead)));
      }
    } else if (fence !== "") {
      const [language = "", ...words] = info.trim().split(/\s+/);
      open = { fence, indent: indent.length, block: { language, words, line: index + 2, code: [] } };
    }
  }
  if (open) throw new Error(`${document}:${open.block.line - 1}: this code block is never closed`);
  return blocks;
}

export function extract(document: string, markdown: string): Extracted {
  const programs: Program[] = [];
  const commands: ShellCommand[] = [];
  for (const { language, words, line, code } of blocksOf(document, markdown)) {
    const fail = (problem: string): never => {
      throw new Error(`${document}:${line - 1}: ${problem}`);
    };
    if (otherNamesOfTypeScript.has(language))
      fail(`write \`ts\`, not \`${language}\`, so that the code is checked`);
    if (shells.has(language)) {
      for (const [index, text] of code.entries()) {
        for (const [, run, script = ""] of text.matchAll(
          /\bnpm (run(?:-script)? (?:--?\S+ )*)?([\w:.-]+)/g,
        )) {
          const isRun = run !== undefined || script === "test" || script === "start";
          if (isRun) commands.push({ document, line: line + index, script });
        }
      }
    }
    if (language !== "ts") continue;

    const unknown = words.filter((word) => word !== "no-run" && word !== "continues");
    if (unknown.length > 0)
      fail(`unknown: \`ts ${unknown.join(" ")}\`; known are \`ts no-run\` and \`ts continues\``);
    const isRun = !words.includes("no-run");
    if (words.includes("continues")) {
      const before = programs.at(-1) ?? fail("there is no block before it to continue");
      if (!isRun && before.isRun) fail("a `no-run` block cannot continue one that runs");
      const blank = line - 1 - before.source.split("\n").length;
      before.source += "\n".repeat(blank + 1) + code.join("\n");
    } else {
      programs.push({ document, line, source: "\n".repeat(line - 1) + code.join("\n"), isRun });
    }
  }
  return { programs, commands };
}
