/**
 * Replays capsules in a process that has no network: `fetch`, sockets and name look-ups are broken before
 * anything else is loaded. Reads the capsules of a folder, and prints what came of each.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type NetworkWatch, watchNetwork } from "./network-watch.js";
import { noteInto } from "./program.js";

/** A capsule in a file, and what it is of. */
export interface RecordedProgram {
  readonly name: string;
  readonly url: string;
  readonly file: string;
}

/** What it prints. */
export interface ReplayReport {
  readonly results: Readonly<
    Record<string, { readonly explained: string; readonly seen: readonly unknown[] }>
  >;
  readonly network: NetworkWatch["counts"];
}

const watch = watchNetwork(true);
const { hindcast } = await import("hindcast");
const { explain, replay } = await import("hindcast/replay");
const { programs } = await import("./programs.js");

const [folder = ""] = process.argv.slice(2);
const recorded = JSON.parse(
  readFileSync(join(folder, "recorded.json"), "utf8"),
) as readonly RecordedProgram[];
const hc = hindcast({ service: "vendors" });
const results: Record<string, ReplayReport["results"][string]> = {};
for (const { name, url, file } of recorded) {
  const program = programs[name];
  if (program === undefined) throw new Error(`There is no program "${name}".`);
  const seen: unknown[] = [];
  const entry = hc.pipeline({ name }, program.make({ hc, url, see: noteInto(seen) }));
  const result = await replay(readFileSync(join(folder, file)), entry);
  results[name] = { explained: explain(result), seen };
}
await hc.close();
console.log(JSON.stringify({ results, network: watch.counts } satisfies ReplayReport));
