import fc from "fast-check";
import { hindcast, memoryStore } from "hindcast";
import { compareCapsules, explain, readCapsule, replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { countRequests, prepare, programs, type SentRequests, type Step } from "../programs/program.js";
import { type RandomServer, startRandomServer } from "../programs/random-server.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 4_000 : 400;
const AT_ONCE = 50;
/** Programs after which the long form says how far it is. */
const PROGRESS = 500;
/** Milliseconds after which a program is said to hang: one takes well below a second, also under load. */
const PATIENCE = 60_000;

interface Tally {
  exact: number;
  resultOnly: number;
  wrong: number;
  loud: number;
  /** Runs that the recording itself called not exactly replayable. */
  inexact: number;
}

/** Records a program against real timers, replays it without, and compares everything it saw. */
async function recordAndReplay(
  program: Step,
  index: number,
  server: RandomServer,
  tally: Tally,
): Promise<string | undefined> {
  // A quarter of them are roots that stream.
  const streams = index % 4 === 0;
  const logger = { warn: () => undefined };
  await using hc = hindcast({ service: "programs", store: memoryStore(), logger });
  const perform = async (name: string, delay: number, fails: boolean): Promise<string> => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
    if (fails) throw new RangeError(name);
    return name;
  };
  const runnable = prepare(hc, program, perform, `${server.url}/${index}`);
  const controller = new AbortController();
  setTimeout(() => controller.abort("enough"), Math.random() * 8);
  const outcome = await settle(
    streams
      ? consume(runnable.streaming(7, controller.signal), Math.random() < 0.5 ? 2 : 100)
      : runnable.entry(7, controller.signal),
  );
  // Losers of a race go on after the end: what they see then is no part of the run.
  const recorded = [...runnable.observations()];
  await hc.flush();
  runnable.live = false;
  for await (const stored of hc.store.find({ pipeline: streams ? "streaming" : "program" })) {
    if (!stored.summary.exact) tally.inexact += 1;
    const result = streams ? await replay(stored, runnable.streaming) : await replay(stored, runnable.entry);
    const replayed = runnable.observations();
    const again = await settle(
      result.outcome.status === "ok" && streams
        ? consume(result.outcome.value as AsyncGenerator<unknown>, 100)
        : asPromise(result.outcome),
    );
    const sameResult = JSON.stringify(again) === JSON.stringify(outcome);
    const sameOrder = JSON.stringify(replayed) === JSON.stringify(recorded);
    // The verdict is found as the replay goes on; that of the two capsules, when both are there, must be the same.
    const isSame = compareCapsules(stored, result.replayed) === undefined;
    if (isSame !== (result.verdict === "identical")) return `compared otherwise: ${explain(result)}`;
    if (result.verdict === "identical" && sameResult && sameOrder) tally.exact += 1;
    else if (result.verdict !== "identical") tally.loud += 1;
    else if (sameResult) tally.resultOnly += 1;
    else tally.wrong += 1;
    if (result.verdict === "identical" && sameResult && sameOrder) return undefined;
    const { reasons } = readCapsule(stored).replayable;
    return `${JSON.stringify(program)}\n${JSON.stringify([reasons, again, outcome])}\n${explain(result)}\nrecorded ${recorded.join("\n")}\nreplayed ${replayed.join("\n")}`;
  }
  return "nothing was recorded";
}

function told(done: number, tally: Tally, sent: SentRequests): string {
  return (
    `random programs: ${done} recorded and replayed, ${tally.exact} exact, ` +
    `${tally.resultOnly} result only, ${tally.wrong} wrong, ${tally.loud} loud; ${tally.inexact} false alarms; ` +
    `${sent.live} requests sent while recording, ${sent.replayed} while replaying`
  );
}

/** What came of a program; that it hangs, where nothing does. */
async function unlessHung(program: Step, trial: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`hangs: ${JSON.stringify(program)}`), PATIENCE);
  });
  try {
    return await Promise.race([trial, hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Reads as somebody outside does, who takes their time. */
async function consume(stream: AsyncIterable<unknown>, take: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const item of stream) {
    taken.push(item);
    if (taken.length === take) break;
    if (Math.random() < 0.5) await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
  }
  return taken;
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
  await using server = await startRandomServer();
  using sent = countRequests();
  const sample = fc.sample(programs, COUNT);
  const failures: string[] = [];
  for (let start = 0; start < sample.length; start += AT_ONCE) {
    const batch = sample
      .slice(start, start + AT_ONCE)
      .map((program, index) => unlessHung(program, recordAndReplay(program, start + index, server, tally)));
    for (const failure of await Promise.all(batch)) if (failure !== undefined) failures.push(failure);
    const done = start + batch.length;
    if (done % PROGRESS === 0 || done === COUNT) console.log(told(done, tally, sent));
  }
  expect(failures.slice(0, 2)).toEqual([]);
  expect(tally).toEqual({ exact: COUNT, resultOnly: 0, wrong: 0, loud: 0, inexact: 0 });
  expect(sent.live).toBeGreaterThan(0);
  expect(sent.replayed).toBe(0);
}, 600_000);
