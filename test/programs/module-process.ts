/**
 * Records random programs that load modules for the first time, or replays them from another process, in which the modules
 * are loaded for the first time as well, or have been before. `module-loading.test.ts` bundles it, so that it runs without
 * hooks in the loader.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { fileStore, hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { MODULE_COUNT, modulesOf } from "./computations.js";
import { prepare, programs, type Step } from "./program.js";
import { insertStep } from "./raw-sources.js";

const [mode, dir, modules, count = "100", seed = "1"] = process.argv.slice(2) as [string, string, string];
const importing = fc.tuple(programs, fc.nat(), fc.nat(), fc.nat({ max: 3 }), fc.nat({ max: 3 }));
const sample: Step[] = fc
  .sample(importing, { numRuns: Number(count), seed: Number(seed) })
  .map(([program, first, second, one, other]) =>
    insertStep(
      insertStep(program, { do: "import", module: one }, first),
      { do: "import", module: other },
      second,
    ),
  );
const seenFile = join(dir, "seen.json");
const server = "http://127.0.0.1:9/nobody";
const load = (index: number) => modulesOf(join(modules, String(index)));

async function record(): Promise<void> {
  const warnings: string[] = [];
  const logger = { warn: (_fields: object, message: string) => void warnings.push(message) };
  await using hc = hindcast({ service: "modules", store: fileStore({ dir }), logger });
  const seen: (readonly string[])[] = [];
  for (const [index, program] of sample.entries()) {
    const perform = async (name: string, delay: number, fails: boolean): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
      if (fails) throw new RangeError(name);
      return name;
    };
    const runnable = prepare(hc, program, perform, server, () => undefined, load(index));
    await runnable.entry(1, AbortSignal.timeout(5)).catch(() => undefined);
    seen.push([...runnable.observations()]);
  }
  await hc.flush();
  writeFileSync(seenFile, JSON.stringify(seen));
  console.log(
    JSON.stringify({ recorded: seen.length, inexact: hc.stats().runs.inexact, warning: warnings[0] }),
  );
}

async function replayAll(warm: boolean): Promise<void> {
  const seen = JSON.parse(readFileSync(seenFile, "utf8")) as (readonly string[])[];
  const hc = hindcast({ service: "modules" });
  let [replayed, exact, silent] = [0, 0, 0];
  let failure: string | undefined;
  for await (const stored of fileStore({ dir }).find({ pipeline: "program" })) {
    const index = replayed++;
    if (warm) for (let module = 0; module < MODULE_COUNT; module++) await load(index)(module);
    const refuse = (): Promise<string> => Promise.reject(new Error("a replay touched the outside world"));
    const runnable = prepare(hc, sample[index] as Step, refuse, server, () => undefined, load(index));
    runnable.live = false;
    const result = await replay(stored, runnable.entry);
    const same = JSON.stringify(runnable.observations()) === JSON.stringify(seen[index]);
    if (result.verdict === "identical" && same) exact += 1;
    else
      failure ??= `${explain(result)}\n${runnable.observations().join("\n")}\n---\n${seen[index]?.join("\n")}`;
    if (!same && result.verdict === "identical" && readCapsule(stored).replayable.exact) silent += 1;
  }
  console.log(JSON.stringify({ replayed, exact, silent, failure }));
}

const alive = setInterval(() => undefined, 1_000);
await (mode === "record" ? record() : replayAll(mode === "warm"));
clearInterval(alive);
process.exit();
