import { value as zero } from "./module-0.mjs";

export const value = `one after ${zero}`;
export const loadedAt = [Date.now(), Math.random()];
