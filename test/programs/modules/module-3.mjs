import { randomUUID } from "node:crypto";
import { value as one } from "./module-1.mjs";
import { value as two } from "./module-2.cjs";

export const value = `three after ${one} and ${two}`;
export const id = randomUUID();
setInterval(() => Date.now(), 1_000).unref();
