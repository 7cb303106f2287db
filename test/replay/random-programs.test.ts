import fc from "fast-check";
import { hindcast, memoryStore } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { prepare, programs, type Step } from "../programs/program.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 4_000 : 400;
const AT_ONCE = 20;

interface Tally {
  exact: number;
  resultOnly: number;
  wrong: number;
  loud: number;
  /** Runs that the recording itself called not exactly replayable. */
  inexact: number;
}

/** Records a program against real timers, replays it without, and compares everything it saw. */
async function recordAndReplay(program: Step, tally: Tally): Promise<string | undefined> {
  const hc = hindcast({ service: "programs", store: memoryStore() });
  const runnable = prepare(hc, program, async (name, delay, fails) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
    if (fails) throw new RangeError(name);
    return name;
  });
  const outcome = await settle(runnable.entry(7));
  // Losers of a race go on after the end: what they see then is no part of the run.
  const recorded = [...runnable.observations()];
  await hc.flush();
  runnable.live = false;
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    if (!stored.summary.exact) tally.inexact += 1;
    const result = await replay(stored, runnable.entry);
    const replayed = runnable.observations();
    const sameResult = JSON.stringify(await settle(asPromise(result.outcome))) === JSON.stringify(outcome);
    const sameOrder = JSON.stringify(replayed) === JSON.stringify(recorded);
    if (result.verdict === "identical" && sameResult && sameOrder) tally.exact += 1;
    else if (result.verdict !== "identical") tally.loud += 1;
    else if (sameResult) tally.resultOnly += 1;
    else tally.wrong += 1;
    if (result.verdict === "identical" && sameResult && sameOrder) return undefined;
    return `${JSON.stringify(program)}\n${explain(result)}\nrecorded ${recorded.join("\n")}\nreplayed ${replayed.join("\n")}`;
  }
  return "nothing was recorded";
}

function asPromise(outcome: { status: string; value?: unknown; error?: unknown }): Promise<unknown> {
  return outcome.status === "ok" ? Promise.resolve(outcome.value) : Promise.reject(outcome.error);
}

async function settle(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: String(error) };
  }
}

test(`G4: ${COUNT} random programs replay exactly, in result and in the order of everything they saw`, async () => {
  const tally: Tally = { exact: 0, resultOnly: 0, wrong: 0, loud: 0, inexact: 0 };
  const sample = fc.sample(programs, COUNT);
  const failures: string[] = [];
  for (let start = 0; start < sample.length; start += AT_ONCE) {
    const batch = sample.slice(start, start + AT_ONCE).map((program) => recordAndReplay(program, tally));
    for (const failure of await Promise.all(batch)) if (failure !== undefined) failures.push(failure);
  }
  console.log(
    `random programs: ${COUNT} recorded and replayed, ${tally.exact} exact, ` +
      `${tally.resultOnly} result only, ${tally.wrong} wrong, ${tally.loud} loud; ${tally.inexact} false alarms`,
  );
  expect(failures.slice(0, 2)).toEqual([]);
  expect(tally).toEqual({ exact: COUNT, resultOnly: 0, wrong: 0, loud: 0, inexact: 0 });
}, 600_000);
