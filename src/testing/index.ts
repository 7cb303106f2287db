export {
  checkDeterminism,
  type DeterminismFinding,
  type DeterminismOptions,
  type DeterminismReport,
} from "./check-determinism.js";
export type { NamedEntry } from "./fresh-process.js";
export { type StoreCase, type StoreTestOptions, testStore } from "./test-store.js";
