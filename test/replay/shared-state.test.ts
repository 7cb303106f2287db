/**
 * Random programs over state that runs share. Declared, they are identical; undeclared, what is not is never blamed on
 * the code, and is found by running and replaying in a test. Prints which kinds are noticed while recording.
 */
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { checkDeterminism } from "hindcast/testing";
import { afterAll, expect, test } from "vitest";
import {
  type Kind,
  KINDS,
  prepareShared,
  type SharedProgram,
  sharedPrograms,
} from "../programs/shared-state.js";

const COUNT = Math.ceil((process.env["HINDCAST_LONG"] ? 2_000 : 96) / (2 * KINDS.length));

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider());
afterAll(() => {
  trace.disable();
  context.disable();
});

interface Tally {
  programs: number;
  runs: number;
  /** Of the runs: whose replay, with state that nobody has used, was not identical. */
  wrong: number;
  /** Of those: whose capsules said that they were exact. */
  silent: number;
  code: number;
  /** Of the programs with a wrong run: in which `checkDeterminism` found something. */
  wrongPrograms: number;
  found: number;
  /** Inexact, and all the same identical. */
  alarms: number;
}

async function tryOut(program: SharedProgram, declared: boolean, tally: Tally): Promise<void> {
  const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
  const entry = prepareShared(hc, program, declared, true);
  for (let count = 0; count < program.sequential; count++) await entry();
  await Promise.all(Array.from({ length: program.concurrent }, () => entry()));
  await hc.flush();
  let wrong = false;
  for await (const stored of hc.store.find()) {
    const fresh = prepareShared(hc, program, declared, false);
    const { exact } = readCapsule(stored).replayable;
    const result = await replay(stored, fresh, { timeout: 400, patience: 20 });
    tally.runs += 1;
    if (result.verdict === "identical") {
      if (!exact) tally.alarms += 1;
      continue;
    }
    wrong = true;
    tally.wrong += 1;
    if (exact) tally.silent += 1;
    if (result.divergence?.cause === "code") tally.code += 1;
  }
  tally.programs += 1;
  if (wrong) {
    tally.wrongPrograms += 1;
    const anew = prepareShared(hc, program, declared, true);
    const report = await checkDeterminism(anew, [[]], { concurrency: 4, timeout: 400 });
    if (!report.deterministic || report.noticed.length > 0) tally.found += 1;
  }
  await hc.close();
}

test("state that runs share: identical where declared, and told where not", async () => {
  const rows: [Kind, boolean, Tally][] = [];
  for (const kind of KINDS) {
    for (const declared of [true, false]) {
      const tally: Tally = {
        programs: 0,
        runs: 0,
        wrong: 0,
        silent: 0,
        code: 0,
        wrongPrograms: 0,
        found: 0,
        alarms: 0,
      };
      for (const program of fc.sample(sharedPrograms(kind), COUNT)) await tryOut(program, declared, tally);
      rows.push([kind, declared, tally]);
    }
  }
  console.log(
    "kind     declared  programs  runs  wrong  called exact  cause code  found by checkDeterminism",
  );
  for (const [kind, declared, { programs, runs, wrong, silent, code, wrongPrograms, found }] of rows) {
    const cells = [programs, runs, wrong, silent, code, `${found} of ${wrongPrograms}`].map(String);
    const widths = [8, 4, 5, 12, 10, 25];
    const line = cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ");
    console.log(`${kind.padEnd(8)} ${String(declared).padEnd(8)}  ${line}`);
  }
  for (const [kind, declared, tally] of rows) {
    expect([kind, declared, "blamed on the code", tally.code]).toEqual([
      kind,
      declared,
      "blamed on the code",
      0,
    ]);
    if (declared) expect([kind, tally.wrong, tally.alarms]).toEqual([kind, 0, 0]);
    expect([kind, tally.wrongPrograms - tally.found]).toEqual([kind, 0]);
  }
}, 900_000);
