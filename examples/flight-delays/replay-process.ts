/**
 * The second process of the demo: `replay-process.ts DIR MODEL` knows nothing but the directory that the first
 * one recorded into. It has no history of any airport, and reports its counts over the IPC channel.
 */
import { fileStore } from "hindcast";
import { loadModel, modelNames } from "./model.js";
import { readRecords } from "./records.js";
import { replayAll } from "./replaying.js";

const [, , dir, wanted] = process.argv;
const name = modelNames.find((modelName) => modelName === wanted);
if (dir === undefined || name === undefined) {
  throw new Error(`usage: replay-process.ts DIR ${modelNames.join("|")}`);
}
const store = fileStore({ dir });
const versions = { model: loadModel(name), data: readRecords().data };
const counts = await replayAll(store, versions, (done) => process.send?.({ done }));
await store.close();
process.send?.({ counts });
process.disconnect?.();
