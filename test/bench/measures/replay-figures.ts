/** What the process that measures replay and scale tells; all in microseconds. */
export interface ScalePoint {
  /** Stages, effects, or runs at once. */
  readonly count: number;
  /** The function alone, a run that is recorded, and its replay: each the whole of one run. */
  readonly bare: number;
  readonly recorded: number;
  readonly replayed: number;
}

export interface ConcurrencyPoint {
  readonly runs: number;
  /** Main thread for each run, with and without recording. */
  readonly bare: number;
  readonly recorded: number;
}

export interface ReplayFigures {
  /** Sequential asynchronous stages in one run. */
  readonly stages: readonly ScalePoint[];
  /** Sequential asynchronous effects in one run. */
  readonly effects: readonly ScalePoint[];
  /** Synchronous effects in one run. */
  readonly synchronousEffects: readonly ScalePoint[];
  readonly concurrency: readonly ConcurrencyPoint[];
  /** Capsules a second: a pipeline of 4 stages and 2 effects, replayed to its verdict. */
  readonly replaysPerSecond: number;
}
