import { spawn } from "node:child_process";

export interface ProcessResult {
  exitCode: number | null;
  /** Standard output and standard error, in the order in which they arrived. */
  output: string;
}

/** Runs this Node with the given arguments, and kills it after `timeoutMilliseconds`. */
export function runNode(
  args: readonly string[],
  { cwd, timeoutMilliseconds = 60_000 }: { cwd: string; timeoutMilliseconds?: number },
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const timer = setTimeout(() => {
      output += `\n(killed after ${timeoutMilliseconds} ms)`;
      child.kill("SIGKILL");
    }, timeoutMilliseconds);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    child.once("error", reject);
    child.once("close", (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, output });
    });
  });
}

/** Runs a TypeScript file in which `hindcast` resolves to the sources. `cwd` lies inside the repository. */
export function runTypeScript(
  file: string,
  {
    arguments: given = [],
    ...options
  }: { cwd: string; arguments?: readonly string[]; timeoutMilliseconds?: number },
): Promise<ProcessResult> {
  return runNode(["--conditions=hindcast-source", "--import", "tsx", file, ...given], options);
}
