/** Every row of the matrix, by group. */
import { databases } from "./databases.js";
import { httpClients } from "./http-clients.js";
import { idsAndCaches } from "./ids-and-caches.js";
import { modelClients } from "./model-clients.js";
import { queues } from "./queues.js";
import type { Row } from "./row.js";
import { tokensAndCompression } from "./tokens-and-compression.js";
import { valuesAndLogs } from "./values-and-logs.js";

export const groups: Readonly<Record<string, readonly Row[]>> = {
  Databases: databases,
  "HTTP clients": httpClients,
  "Model clients": modelClients,
  "Ids, caches and memoised functions": idsAndCaches,
  "Queues, retries and processes": queues,
  "Tokens, hashes and compression": tokensAndCompression,
  "Values, logs and metrics": valuesAndLogs,
};

export const rows: readonly Row[] = Object.values(groups).flat();

export function rowOf(name: string): Row {
  const row = rows.find((one) => one.name === name);
  if (row === undefined) throw new Error(`The matrix has no row "${name}".`);
  return row;
}
