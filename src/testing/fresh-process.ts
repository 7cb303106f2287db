/** Replays a capsule in a process of its own, in which nothing of what runs share has been made yet. */
import { spawn } from "node:child_process";
import { extname } from "node:path";
import type { StoredCapsule } from "../stores/store.js";

/** What a fresh process says of a replay. */
export interface FreshReplay {
  readonly verdict: "identical" | "diverged" | "unresolved";
  readonly stage: string | undefined;
  readonly cause: string | undefined;
  readonly site: string | undefined;
  readonly explanation: string;
}

/** An exported function, as another process can find it. */
export interface NamedEntry {
  /** A file URL, such as `import.meta.url`. */
  readonly module: string | URL;
  /** Its name there; `services.approve` where it is a property of what is exported. */
  readonly export: string;
}

interface Order {
  readonly replay: string;
  readonly module: string;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly options: { readonly timeout: number; readonly patience: number };
}

/** The module first, as the service imports it. */
const SCRIPT = `
process.once("message", async ({ replay: at, module, name, bytes, options }) => {
  const entry = name.split(".").reduce((owner, key) => owner?.[key], await import(module));
  const { explain, replay } = await import(at);
  const result = await replay(bytes, entry, options);
  const { verdict, divergence } = result;
  const said = { stage: divergence?.origin, cause: divergence?.cause, site: divergence?.site };
  process.send({ verdict, ...said, explanation: explain(result) }, () => process.exit());
});
`;

/** Rejects where the process ends without an answer, with what it wrote. */
export function replayInFreshProcess(
  { bytes }: StoredCapsule,
  entry: NamedEntry,
  execArgv: readonly string[],
  options: Order["options"],
): Promise<FreshReplay> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...execArgv, "--input-type=module", "--eval", SCRIPT], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
    });
    let written = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      written = (written + text).slice(-4096);
    });
    child.once("message", (answer) => resolve(answer as FreshReplay));
    child.once("error", reject);
    child.once("close", (code) => {
      reject(
        new Error(`The fresh process ended with ${String(code)} and without an answer. ${written.trim()}`),
      );
    });
    // The other entry points lie beside this one, whether as sources or bundled.
    const replay = new URL(`../replay/index${extname(import.meta.url)}`, import.meta.url).href;
    const order: Order = { replay, module: String(entry.module), name: entry.export, bytes, options };
    child.send(order, (error) => {
      if (error !== null) reject(error);
    });
  });
}
