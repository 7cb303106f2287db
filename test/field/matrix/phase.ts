/** The conditions in which each row is recorded. The input of a run says which it belongs to. */
export type Phase = "first call" | "one after another" | "20 at once, warm" | "20 at once, cold";

interface Conditions {
  /** Which process records it: in one the first calls come one by one, in the other all at once. */
  readonly process: "warm" | "cold";
  readonly first: number;
  readonly runs: number;
  readonly atOnce: boolean;
}

export const PHASES: Readonly<Record<Phase, Conditions>> = {
  "first call": { process: "warm", first: 0, runs: 1, atOnce: false },
  "one after another": { process: "warm", first: 1, runs: 5, atOnce: false },
  "20 at once, warm": { process: "warm", first: 100, runs: 20, atOnce: true },
  "20 at once, cold": { process: "cold", first: 200, runs: 20, atOnce: true },
};

export function phaseOf(input: number): Phase {
  for (const [phase, { first, runs }] of Object.entries(PHASES)) {
    if (input >= first && input < first + runs) return phase as Phase;
  }
  throw new Error(`No phase has the input ${input}.`);
}

export interface RecordReport {
  /** What each run gave, by its input. */
  readonly outcomes: Readonly<Record<string, string>>;
}

/** What came of the runs of a phase. Each run is one of identical, inexact, diverged and wrong. */
export interface PhaseReport {
  runs: number;
  identical: number;
  /** The capsule says that it cannot be replayed exactly, and why. */
  inexact: number;
  /** The capsule says that it can, and the replay was another. */
  diverged: number;
  /** The verdict is `identical`, and the outcome another. */
  wrong: number;
  /** Of divergences, by how often. */
  readonly causes: Record<string, number>;
  readonly reasons: string[];
}

export interface ReplayReport {
  readonly phases: Readonly<Partial<Record<Phase, PhaseReport>>>;
  /** Attempts to connect, or to begin a process, while replaying. */
  readonly connections: number;
}
