export { checkDeterminism, type DeterminismReport } from "./check-determinism.js";
export { type StoreCase, type StoreTestOptions, testStore } from "./test-store.js";
