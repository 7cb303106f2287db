export { type StoreCase, type StoreTestOptions, testStore } from "./test-store.js";
