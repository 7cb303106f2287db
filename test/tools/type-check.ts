import { join, resolve } from "node:path";
import { repositoryRoot } from "./entry-points.js";
import { runNode } from "./run-process.js";

export interface Diagnostic {
  /** Absolute. */
  file: string;
  line: number;
  /** `TS2345: …`, with the indented lines that follow it. */
  message: string;
}

/** One run of the TypeScript compiler over a project. Throws if the compiler fails without naming a place. */
export async function typeCheck(project: string): Promise<Diagnostic[]> {
  const compiler = join(repositoryRoot, "node_modules/typescript/bin/tsc");
  const args = [compiler, "--project", project, "--noEmit", "--pretty", "false"];
  const { exitCode, output } = await runNode(args, { cwd: repositoryRoot });
  const diagnostics: Diagnostic[] = [];
  for (const line of output.split("\n")) {
    const found = /^(.+?)\((\d+),\d+\): error (TS\d+: .*)$/.exec(line);
    const last = diagnostics.at(-1);
    if (found) {
      const [, file = "", at = "0", message = ""] = found;
      diagnostics.push({ file: resolve(repositoryRoot, file), line: Number(at), message });
    } else if (last && line.startsWith(" ")) {
      last.message += `\n${line}`;
    }
  }
  if (exitCode !== 0 && diagnostics.length === 0) throw new Error(`tsc --project ${project}:\n${output}`);
  return diagnostics;
}
