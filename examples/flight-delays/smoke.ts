/** The demo in short, with assertions: fifty flights, every part of it, in a few seconds. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileStore } from "hindcast";
import { describeCapsule, readCapsule } from "hindcast/replay";
import { AirportHistory } from "./airport-history.js";
import { loadModel } from "./model.js";
import { readRecords } from "./records.js";
import { recordFlights } from "./recording.js";
import { replayInSecondProcess } from "./second-process.js";
import { createService } from "./service.js";
import { holdOutStart } from "./split.js";
import { whatIf } from "./what-if.js";

const count = 50;
const { flights, data } = readRecords();
const model = loadModel("delay-logistic");
const other = loadModel("delay-forest");
const history = new AirportHistory();
for (const flight of flights.slice(holdOutStart - 2_000, holdOutStart)) history.learn(flight);

const dir = await mkdtemp(join(tmpdir(), "flight-delays-smoke-"));
try {
  const store = fileStore({ dir });
  const service = createService({ store, model, history, data });
  await recordFlights(service, history, flights.slice(holdOutStart, holdOutStart + count), () => {});

  const counts = await replayInSecondProcess(dir, "delay-logistic", () => {});
  assert.deepEqual(
    counts,
    { replayed: count, identical: count, diverged: 0, unresolved: 0, contradicted: 0 },
    counts.firstProblem,
  );

  const swapped = await replayInSecondProcess(dir, "delay-forest", () => {});
  assert.equal(swapped.replayed, count);
  assert.equal(swapped.identical, 0, "a service with another model must not replay as identical");
  assert.match(swapped.firstProblem ?? "", /delay-chance/, "the explanation names the stage that differs");

  const comparisons = await whatIf(store, { model, other, data }, () => {});
  assert.equal(comparisons.length, count);
  for (const { recorded, instead } of comparisons) assert.notEqual(recorded.chance, instead.chance);

  for await (const stored of store.find({ pipeline: "flight-delay" })) {
    const description = describeCapsule(readCapsule(stored));
    for (const part of ["read-flight", "airport-features", "delay-chance", "choose-action", model.version]) {
      assert.ok(description.includes(part), `the description of a capsule names ${part}:\n${description}`);
    }
    break;
  }
  await service.hc.close();
} finally {
  await rm(dir, { recursive: true, force: true });
}
console.log(`smoke: ${count} flights recorded, replayed and compared`);
