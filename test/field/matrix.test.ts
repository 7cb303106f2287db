/** The short form of the matrix (docs/compatibility.md): one row of each kind, as `npm run test:field:matrix` tries them all. */
import { expect, test } from "vitest";
import { field } from "./field.js";
import type { PhaseReport } from "./matrix/phase.js";
import { rowOf } from "./matrix/rows.js";
import { tryRow } from "./matrix/try-row.js";

const EXACT = [
  "pg: queries and a transaction",
  "ioredis: commands, a pipeline, a transaction",
  "axios",
  "openai: an answer, a stream",
  "dataloader",
];
/** What it reads is not declared: a replay may be another, and the code is not blamed. */
const UNDECLARED = ["lru-cache: undeclared"];
const MILLISECONDS = 60_000;

async function phasesOf(name: string): Promise<readonly PhaseReport[]> {
  const result = await tryRow(rowOf(name));
  if ("missing" in result) throw new Error(`${name} needs ${result.missing.join(", ")}`);
  expect(result.connections).toBe(0);
  const phases = Object.values(result.phases);
  expect(phases.map(({ runs }) => runs).sort((a, b) => a - b)).toEqual([1, 5, 20, 20]);
  return phases;
}

for (const name of EXACT) {
  const { packages, servers = [] } = rowOf(name);
  await field(`matrix: ${name}`, { packages, servers }, () => {
    test(
      "identical one by one, at once, cold and warm, with the servers gone",
      async () => {
        for (const { reasons, runs, identical, wrong, causes } of await phasesOf(name)) {
          expect(reasons).toEqual([]);
          expect([identical, wrong, causes]).toEqual([runs, 0, {}]);
        }
      },
      MILLISECONDS,
    );
  });
}

for (const name of UNDECLARED) {
  const { packages, servers = [] } = rowOf(name);
  await field(`matrix: ${name}`, { packages, servers }, () => {
    test(
      "never wrong, and never blamed on the code",
      async () => {
        const phases = await phasesOf(name);
        for (const { wrong, causes } of phases) {
          expect(wrong).toBe(0);
          expect(Object.keys(causes).filter((cause) => cause !== "uncontrolled")).toEqual([]);
        }
        expect(phases.some(({ diverged }) => diverged > 0)).toBe(true);
      },
      MILLISECONDS,
    );
  });
}
