/**
 * Records random programs into a directory, or replays them from it, in whichever Node runs this.
 * `run.ts` bundles it and calls it with several of them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { fileStore, hindcast } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { prepare, programs } from "../programs/program.js";
import { startRandomServer } from "../programs/random-server.js";

/** What one process saw of each program, for another to compare. */
interface Seen {
  readonly server: string;
  readonly outcome: string;
  readonly observations: readonly string[];
}

const [mode, dir, count = "100", seed = "1"] = process.argv.slice(2);
if ((mode !== "record" && mode !== "replay") || dir === undefined) {
  throw new Error("usage: programs record|replay DIR [COUNT] [SEED]");
}
// Node 20 does not tell of `import()`, so what loads modules is only exact between lines that do (docs/sources.md).
const sameOnAll = programs.filter((program) => !JSON.stringify(program).includes('"do":"import"'));
const sample = fc.sample(sameOnAll, { numRuns: Number(count), seed: Number(seed) });
const seenFile = join(dir, "seen.json");

async function record(into: string): Promise<void> {
  await using hc = hindcast({ service: "compat", store: fileStore({ dir: into }) });
  await using server = await startRandomServer();
  const seen: Seen[] = [];
  for (const program of sample) {
    const perform = async (name: string, delay: number, fails: boolean): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
      if (fails) throw new RangeError(name);
      return name;
    };
    const runnable = prepare(hc, program, perform, `${server.url}/compat`);
    const outcome = await outcomeOf(runnable.entry(seen.length, AbortSignal.timeout(5)));
    seen.push({ server: `${server.url}/compat`, outcome, observations: [...runnable.observations()] });
  }
  await hc.flush();
  writeFileSync(seenFile, JSON.stringify(seen));
  console.log(JSON.stringify({ node: process.versions.node, recorded: seen.length }));
}

async function replayAll(from: string): Promise<void> {
  const seen = JSON.parse(readFileSync(seenFile, "utf8")) as Seen[];
  const hc = hindcast({ service: "compat" });
  let [replayed, exact] = [0, 0];
  const failures: string[] = [];
  // A stage that a loser of a race calls after the end is a root of its own, and no program.
  for await (const stored of fileStore({ dir: from }).find({ pipeline: "program" })) {
    const program = sample[replayed];
    const recorded = seen[replayed];
    if (program === undefined || recorded === undefined) throw new Error("more capsules than programs");
    replayed += 1;
    const refuse = (): Promise<string> => Promise.reject(new Error("a replay touched the outside world"));
    const runnable = prepare(hc, program, refuse, recorded.server);
    runnable.live = false;
    const result = await replay(stored, runnable.entry);
    const { outcome } = result;
    const ended = await outcomeOf(
      outcome.status === "ok"
        ? Promise.resolve(outcome.value)
        : Promise.reject(outcome.status === "error" ? outcome.error : outcome),
    );
    const same = JSON.stringify({
      server: recorded.server,
      outcome: ended,
      observations: runnable.observations(),
    });
    if (result.verdict === "identical" && same === JSON.stringify(recorded)) exact += 1;
    else failures.push(`${explain(result)}\n${same}\n${JSON.stringify(recorded)}`);
  }
  console.log(JSON.stringify({ node: process.versions.node, replayed, exact, failure: failures[0] }));
}

async function outcomeOf(run: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify({ value: await run }) ?? "undefined";
  } catch (error) {
    return String(error);
  }
}

// A program may wait for nothing but the timer of a signal, which keeps no process alive.
const alive = setInterval(() => undefined, 1_000);
await (mode === "record" ? record(dir) : replayAll(dir));
clearInterval(alive);
