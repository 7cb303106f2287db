import fc from "fast-check";
import { hindcast, memoryStore } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { afterAll, expect, test } from "vitest";
import { prepare, programs, type Step } from "../programs/program.js";
import { startRandomServer } from "../programs/random-server.js";
import { openRawSources, RAW_SOURCES, rawPrograms } from "../programs/raw-sources.js";
import { repositoryRoot } from "../tools/entry-points.js";
import { runTypeScript } from "../tools/run-process.js";

const LONG = process.env["HINDCAST_LONG"] === "1";
const CHANGED_COUNT = LONG ? 1_000 : 200;
const CLEAN_COUNT = LONG ? 2_000 : 300;
const LOGGING_COUNT = LONG ? 500 : 50;
const AT_ONCE = 10;

const sources = await openRawSources();
const server = await startRandomServer();
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await sources.close();
});

interface Recorded {
  readonly exact: boolean;
  /** Whether a replay, in which what is raw answers otherwise, ends otherwise. */
  readonly changed: boolean;
  /** Whether a reason has the place in the code. */
  readonly placed: boolean;
  readonly reasons: readonly string[];
}

async function record(program: Step, replayed: boolean): Promise<Recorded> {
  const hc = hindcast({ service: "programs", store: memoryStore(), logger: { warn: () => undefined } });
  const runnable = prepare(
    hc,
    program,
    async (name, delay, fails) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
      if (fails) throw new RangeError(name);
      return name;
    },
    `${server.url}/undeclared`,
    (source) => sources.read(source),
  );
  // A program may fail; what it fails with is its outcome.
  const outcome = await runnable.entry(1, AbortSignal.timeout(5)).then(
    (value) => JSON.stringify({ status: "ok", value }),
    (error: unknown) => JSON.stringify({ status: "error", error: String(error) }),
  );
  await hc.flush();
  runnable.live = false;
  try {
    for await (const stored of hc.store.find({ pipeline: "program" })) {
      const { exact, reasons } = readCapsule(stored).replayable;
      const again = replayed ? (await replay(stored, runnable.entry, { patience: 100 })).outcome : undefined;
      const text =
        again?.status === "error"
          ? JSON.stringify({ status: "error", error: String(again.error) })
          : JSON.stringify(again);
      return {
        exact,
        changed: replayed && text !== outcome,
        placed: reasons.some(({ message }) => /raw-sources\.ts:\d+/.test(message)),
        reasons: reasons.map(({ code, message }) => `${code}: ${message}`),
      };
    }
    throw new Error("nothing was recorded");
  } finally {
    await hc.close();
  }
}

test(`G7: of ${CHANGED_COUNT} programs whose outcome something undeclared changes, 95 % and more are noticed while recording`, async () => {
  const tally = new Map(
    RAW_SOURCES.map((source) => [source as string, { changed: 0, noticed: 0, placed: 0 }]),
  );
  const missed: string[] = [];
  let changed = 0;
  let noticed = 0;
  while (changed < CHANGED_COUNT) {
    const sample = fc.sample(rawPrograms(RAW_SOURCES), AT_ONCE);
    const recorded = await Promise.all(sample.map(({ program }) => record(program, true)));
    for (const [index, one] of recorded.entries()) {
      if (!one.changed || changed === CHANGED_COUNT) continue;
      const { program, source } = sample[index] as (typeof sample)[number];
      const of = tally.get(source) as { changed: number; noticed: number; placed: number };
      changed += 1;
      of.changed += 1;
      if (one.placed) of.placed += 1;
      if (one.exact) {
        missed.push(`${source}: ${JSON.stringify(program)}`);
        continue;
      }
      noticed += 1;
      of.noticed += 1;
    }
  }
  console.log(`undeclared sources: ${changed} programs changed by one, ${noticed} noticed while recording`);
  for (const [source, of] of tally)
    console.log(`  ${source}: ${of.changed} changed, ${of.noticed} noticed, ${of.placed} with their place`);
  expect(noticed / changed, missed.join("\n")).toBeGreaterThanOrEqual(0.95);
}, 900_000);

test(`G7: no false alarm in ${CLEAN_COUNT} clean programs`, async () => {
  const sample = fc.sample(programs, CLEAN_COUNT);
  const alarms: string[] = [];
  for (let start = 0; start < sample.length; start += AT_ONCE) {
    const batch = await Promise.all(
      sample.slice(start, start + AT_ONCE).map((program) => record(program, false)),
    );
    for (const { exact, reasons } of batch) if (!exact) alarms.push(reasons.join());
  }
  console.log(`clean programs: ${CLEAN_COUNT} recorded, ${alarms.length} false alarms`);
  expect(alarms).toEqual([]);
}, 900_000);

test.each(["console", "stdout", "pino file", "pino transport", "log socket", "log worker", "spans"])(
  "G7: no false alarm in clean programs that log: %s",
  async (kind) => {
    const process = await runTypeScript("test/programs/logging-process.ts", {
      cwd: repositoryRoot,
      arguments: [kind, String(LOGGING_COUNT)],
      timeoutMilliseconds: 300_000,
    });
    const [said, runs, alarms] = /logging to .*: (\d+) runs, (\d+) false alarms/.exec(process.output) ?? [];
    console.log(said ?? process.output);
    expect(process.exitCode, process.output.slice(-2_000)).toBe(0);
    expect(Number(runs)).toBeGreaterThanOrEqual(LOGGING_COUNT);
    expect(alarms, process.output.slice(-2_000)).toBe("0");
  },
  300_000,
);
