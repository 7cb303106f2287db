/**
 * Records a thousand decisions on real flights, replays them in another process, looks into one of them, and
 * asks what another model would have decided. `npm run demo -- --help` tells the options.
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { fileStore, type Store } from "hindcast";
import { type Capsule, describeCapsule, readCapsule } from "hindcast/replay";
import { AirportHistory } from "./airport-history.js";
import type { Decision } from "./contracts.js";
import { loadModel, type ModelName } from "./model.js";
import { progress } from "./progress.js";
import { recordedDecision } from "./recorded-decision.js";
import { readRecords } from "./records.js";
import { recordFlights } from "./recording.js";
import { replayInSecondProcess } from "./second-process.js";
import { createService } from "./service.js";
import { holdOutStart } from "./split.js";
import { byChange, type Comparison, flipped, whatIf } from "./what-if.js";

const help = `usage: npm run demo -- [--flights N] [--keep DIR]

  --flights N   decide on N flights (default 1000, at most 6000)
  --keep DIR    record into DIR, which must be empty or not there yet, and leave it
  --help        this text`;

const usedModel: ModelName = "delay-logistic";
const otherModel: ModelName = "delay-forest";

const options = readOptions();

if (options.help) {
  console.log(help);
  process.exit(0);
}

const { flights, data } = readRecords();
const wanted = Number(options.flights);
if (!Number.isInteger(wanted) || wanted < 1 || wanted > flights.length - holdOutStart) {
  console.error(
    `--flights ${options.flights} is not a number from 1 to ${flights.length - holdOutStart}\n\n${help}`,
  );
  process.exit(2);
}
if (options.keep !== undefined) {
  await mkdir(options.keep, { recursive: true });
  if ((await readdir(options.keep)).length > 0) {
    console.error(`--keep ${options.keep} is not empty; the counts would include what is there already`);
    process.exit(2);
  }
}
const dir =
  options.keep === undefined ? await mkdtemp(join(tmpdir(), "flight-delays-")) : resolve(options.keep);

try {
  process.exitCode = (await demonstrate(dir, wanted)) ? 0 : 1;
} finally {
  if (options.keep === undefined) await rm(dir, { recursive: true, force: true });
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        flights: { type: "string", default: "1000" },
        keep: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

/** Runs the four parts; true when every decision was recorded and every replay was identical. */
async function demonstrate(dir: string, count: number): Promise<boolean> {
  const model = loadModel(usedModel);
  const other = loadModel(otherModel);

  section(`1. Decide on ${count} flights of March 2001, with ${model.name} ${model.version}, and record`);
  const history = new AirportHistory();
  // What was known when the first of them left; the history needs no more than its last days.
  for (const flight of flights.slice(holdOutStart - 2_000, holdOutStart)) history.learn(flight);
  const store = fileStore({ dir });
  const service = createService({ store, model, history, data });
  const recording = progress("recorded", count);
  const recordingStarted = performance.now();
  const batch = flights.slice(holdOutStart, holdOutStart + count);
  await recordFlights(service, history, batch, recording.update);
  recording.finish(`${count} in ${secondsSince(recordingStarted)} into ${dir}`);

  section("2. Replay them in a second process, which has no history of any airport");
  const replaying = progress("replayed", count);
  const replayStarted = performance.now();
  const counts = await replayInSecondProcess(dir, usedModel, replaying.update);
  replaying.finish(
    `${counts.replayed} in ${secondsSince(replayStarted)}: ${counts.identical} identical, ` +
      `${counts.diverged} diverged, ${counts.unresolved} unresolved`,
  );
  if (counts.firstProblem !== undefined) console.log(`\n${counts.firstProblem}`);

  section("3. One decision in full");
  const { recorded, description } = await inspect(store);
  console.log(description);

  section(
    `4. What if ${other.name} ${other.version} had been in the place of ${model.name} ${model.version}?`,
  );
  const asking = progress("asked", count);
  const askingStarted = performance.now();
  const comparisons = await whatIf(store, { model, other, data }, asking.update);
  const flips = flipped(comparisons);
  asking.finish(`${comparisons.length} in ${secondsSince(askingStarted)}`);
  console.log(`  ${flips.length} of ${comparisons.length} decisions would have been others.`);
  console.log("  The three largest changes of the chance of a delay:");
  for (const comparison of byChange(comparisons).slice(0, 3)) console.log(`    ${lineOf(comparison)}`);

  await service.hc.close();
  console.log(`\ndemo: recorded ${recorded}, replayed ${counts.replayed}, identical ${counts.identical}`);
  return (
    recorded === count &&
    counts.replayed === count &&
    counts.identical === count &&
    counts.contradicted === 0 &&
    comparisons.length === count
  );
}

/** Counts what is really in the store, and describes the first decision to tell passengers something. */
async function inspect(store: Store): Promise<{ recorded: number; description: string }> {
  let recorded = 0;
  let chosen: Capsule | undefined;
  for await (const stored of store.find({ pipeline: "flight-delay" })) {
    recorded++;
    const capsule = readCapsule(stored);
    if (chosen === undefined || actionOf(chosen) === "ignore") chosen = capsule;
  }
  return { recorded, description: chosen === undefined ? "" : describeCapsule(chosen) };
}

function actionOf(capsule: Capsule): Decision["action"] {
  return recordedDecision(capsule).decision.action;
}

function lineOf({ flight, recorded, instead }: Comparison): string {
  const route = `${flight.date} ${flight.origin}-${flight.destination}`;
  const chances = `${recorded.chance.toFixed(3)} -> ${instead.chance.toFixed(3)}`;
  return `${route}  chance ${chances}  action ${recorded.action} -> ${instead.action}`;
}

function secondsSince(started: number): string {
  return `${((performance.now() - started) / 1_000).toFixed(1)} s`;
}

function section(title: string): void {
  console.log(`\n${title}`);
}
