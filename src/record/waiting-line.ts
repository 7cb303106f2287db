/**
 * Runs that wait to be encoded, first come first served; when there is no room for one more, those
 * that are worth less give way, the newest of them first.
 *
 * Invariants
 * 1. `next` gives them in the order in which they came, whatever they are worth.
 * 2. `makeRoom` drops nothing unless that makes room enough, and nothing worth as much as the newcomer.
 * 3. Work at each call grows with the number of different worths (of rules), not of runs.
 */
import type { Recording, RunSummary } from "./recording.js";

export interface WaitingRun {
  /** Counts up, over all runs of one queue. */
  readonly sequence: number;
  readonly recording: Recording;
  readonly summary: RunSummary;
  /** The rule that kept it, by name. */
  readonly kept: string;
  readonly worth: number;
}

/** Runs of equal worth: those from `head` on; the ones before it are gone. */
interface Rank {
  readonly worth: number;
  runs: WaitingRun[];
  head: number;
  bytes: number;
}

/** Of a list whose first half and more is gone, and not before it is this long. */
const WORTH_COMPACTING = 1024;

export class WaitingLine {
  /** From the least worth up. */
  readonly #ranks: Rank[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The one that has waited longest. */
  get first(): WaitingRun | undefined {
    return firstOf(this.#oldestRank());
  }

  add(run: WaitingRun): void {
    let rank = this.#ranks.find(({ worth }) => worth === run.worth);
    if (rank === undefined) {
      rank = { worth: run.worth, runs: [], head: 0, bytes: 0 };
      this.#ranks.push(rank);
      this.#ranks.sort((a, b) => a.worth - b.worth);
    }
    rank.runs.push(run);
    rank.bytes += run.recording.size;
    this.#length += 1;
  }

  /** Takes the one that has waited longest. */
  next(): WaitingRun | undefined {
    const rank = this.#oldestRank();
    const run = firstOf(rank);
    if (rank === undefined || run === undefined) return undefined;
    rank.head += 1;
    rank.bytes -= run.recording.size;
    this.#length -= 1;
    if (
      rank.head === rank.runs.length ||
      (rank.head > WORTH_COMPACTING && rank.head * 2 > rank.runs.length)
    ) {
      rank.runs = rank.runs.slice(rank.head);
      rank.head = 0;
    }
    return run;
  }

  /** Drops runs worth less than `worth` until so many bytes are free; returns them, or none where they would not do. */
  makeRoom(bytes: number, worth: number): readonly WaitingRun[] {
    const lesser = this.#ranks.filter((rank) => rank.worth < worth);
    if (lesser.reduce((sum, rank) => sum + rank.bytes, 0) < bytes) return [];
    const dropped: WaitingRun[] = [];
    let freed = 0;
    for (const rank of lesser) {
      while (freed < bytes && rank.runs.length > rank.head) {
        const run = rank.runs.pop() as WaitingRun;
        rank.bytes -= run.recording.size;
        freed += run.recording.size;
        this.#length -= 1;
        dropped.push(run);
      }
    }
    return dropped;
  }

  #oldestRank(): Rank | undefined {
    let oldest: Rank | undefined;
    for (const rank of this.#ranks) {
      const run = firstOf(rank);
      if (run !== undefined && run.sequence < (firstOf(oldest)?.sequence ?? Infinity)) oldest = rank;
    }
    return oldest;
  }
}

function firstOf(rank: Rank | undefined): WaitingRun | undefined {
  return rank?.runs[rank.head];
}
