/**
 * From runs that are kept to a store: encodes them in slices between other work, and appends them
 * in batches.
 *
 * Invariants
 * 1. `add` never throws, and its work does not grow with what waits. A full queue loses what is worth
 *    least, be it waiting or the newcomer, and counts it (G2, G8).
 * 2. Encoding holds the event loop for less than 2 ms at a stretch, whatever the values; what a store
 *    does when it is called is in a stretch of its own.
 * 3. One append is under way at a time; what it does not acknowledge is counted as lost (G9).
 * 4. Each recording that was added ends up in exactly one counter.
 */
import {
  clearTimeoutOriginal,
  monotonicClock,
  setImmediateOriginal,
  setTimeoutOriginal,
} from "../originals.js";
import { detached } from "../stage/scopes.js";
import type { FailureSource } from "../stage/seam.js";
import type { Store, StoredCapsule } from "../stores/store.js";
import { watchExit, unwatchExit } from "./process-exit.js";
import type { Recording, RunSummary } from "./recording.js";
import { WaitingLine, type WaitingRun } from "./waiting-line.js";

/** Why a run that was kept is not in the store: the queue was full, the encoder or the store failed, the process ended. */
export type LossReason = "queue" | "codec" | "store" | "exit";

/** Runs that were to be kept, and are lost. */
export type Losses = Readonly<Record<LossReason, number>>;

/** Encoding gives way to the program after so long. */
const SLICE_MILLISECONDS = 0.5;
/** With the queue half full it is to be emptied, before runs are lost. */
const URGENT_SLICE_MILLISECONDS = 1.25;
/** Until a run has been encoded: each step runs code that is compiled first. */
const FIRST_SLICE_MILLISECONDS = 0.1;
const BATCH_BYTES = 1024 * 1024;
/** A store writes each of them down: that takes time too. */
const BATCH_CAPSULES = 256;
/**
 * So long a run waits for others. By itself it costs the main thread much more than among ten, whose encoding finds
 * warm code, and which go to the store, to its compression and its files together.
 */
const GATHER_MILLISECONDS = 50;
/** It does not wait when so many do, or these are so large. */
const GATHERED_RUNS = 64;
const GATHERED_BYTES = 512 * 1024;
/** Of the queue's bytes at the most this part is encoded: what is, can no longer give way to what is worth more. */
const BATCH_PART = 1 / 4;

type Encoder = typeof import("./seal-recording.js");

export class CapsuleQueue {
  readonly #store: Store;
  readonly #maximumBytes: number;
  readonly #batchBytesLimit: number;
  readonly #report: (source: FailureSource, error: unknown) => void;
  readonly #line = new WaitingLine();
  readonly #lost = new Map<string, Record<LossReason, number>>();
  #stored = 0;
  #storedBytes = 0;
  #sealing: { readonly steps: Generator<undefined, Uint8Array>; readonly run: WaitingRun } | undefined;
  #batch: StoredCapsule[] = [];
  #batchBytes = 0;
  /** Sequence of the first run of the batch. */
  #batchFrom = 0;
  /** Estimated bytes of all that is on its way. */
  #bytes = 0;
  #scheduled = false;
  /** Until the runs that wait are encoded, if no more of them come. */
  #gathering: NodeJS.Timeout | undefined;
  /** Whether the runs that wait are to be encoded now. */
  #gathered = false;
  /** The encoder; loaded by `prepare`, or when the first run is kept. */
  #encoder: Encoder | undefined;
  /** What is with the store: the rules that kept it, and the sequence of its first run. */
  #appending: { readonly kept: readonly string[]; readonly from: number } | undefined;
  #added = 0;
  #draining: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(store: Store, maximumBytes: number, report: (source: FailureSource, error: unknown) => void) {
    this.#store = store;
    this.#maximumBytes = maximumBytes;
    this.#batchBytesLimit = Math.min(BATCH_BYTES, maximumBytes * BATCH_PART);
    this.#report = report;
  }

  /**
   * Loads the encoder at the start of the program: it would hold up the event loop for some 17 ms when the
   * first run is kept.
   */
  prepare(): void {
    detached(() => void this.#load());
  }

  /** Recordings and capsules on their way. */
  get waiting(): number {
    const appending = this.#appending?.kept.length ?? 0;
    return this.#line.length + (this.#sealing === undefined ? 0 : 1) + this.#batch.length + appending;
  }

  /** Acknowledged by the store. */
  get stored(): { readonly count: number; readonly bytes: number } {
    return { count: this.#stored, bytes: this.#storedBytes };
  }

  /** By the rule that kept them. */
  get lost(): ReadonlyMap<string, Losses> {
    return this.#lost;
  }

  /** Takes a run that `kept` keeps; whether there was room for it. `worth` says which of two gives way to the other. */
  add(recording: Recording, summary: RunSummary, kept: string, worth: number): boolean {
    const missing = this.#bytes + recording.size - this.#maximumBytes;
    if (missing > 0) {
      const dropped = this.#line.makeRoom(missing, worth);
      for (const run of dropped) this.#letGo(run, "queue");
      if (dropped.length === 0) this.#lose(kept, "queue");
      this.#report("queue", new Error(`${missing} bytes more than queueBytes leaves room for`));
      if (dropped.length === 0) return false;
    }
    this.#bytes += recording.size;
    this.#line.add({ sequence: this.#added++, recording, summary, kept, worth });
    watchExit(this);
    // What has failed may be what the process ends of.
    if (summary.status === "error") this.#gathered = true;
    this.#schedule();
    return true;
  }

  /** Resolves once nothing that has been added so far is on its way any more. */
  drain(): Promise<void> {
    const until = this.#added;
    if (this.#oldest() >= until) return Promise.resolve();
    this.#gathered = true;
    this.#schedule();
    return new Promise((resolve) => this.#draining.push({ until, resolve }));
  }

  /** The process ends: what is on its way, and not acknowledged, is lost. */
  abandon(): void {
    const count = this.waiting;
    if (count === 0) return;
    for (let run = this.#line.next(); run !== undefined; run = this.#line.next()) this.#letGo(run, "exit");
    if (this.#sealing !== undefined) this.#letGo(this.#sealing.run, "exit");
    for (const { summary } of this.#batch) this.#lose(summary.kept, "exit");
    for (const kept of this.#appending?.kept ?? []) this.#lose(kept, "exit");
    this.#sealing = undefined;
    this.#batch = [];
    this.#bytes -= this.#batchBytes;
    this.#batchBytes = 0;
    this.#appending = undefined;
    this.#report("exit", new Error(`${count} capsules were on their way`));
    this.#tellDrained();
  }

  /** Of all runs on their way, the first one's sequence. */
  #oldest(): number {
    return Math.min(
      this.#line.first?.sequence ?? this.#added,
      this.#sealing?.run.sequence ?? this.#added,
      this.#batch.length === 0 ? this.#added : this.#batchFrom,
      this.#appending?.from ?? this.#added,
    );
  }

  #schedule(): void {
    if (this.#scheduled) return;
    if (!this.#isDue()) return this.#gather();
    this.#gathered = true;
    clearTimeoutOriginal(this.#gathering);
    this.#gathering = undefined;
    // A run's end sets this off, but it is no part of the run, and must not keep its scope alive.
    detached(() => {
      if (this.#encoder !== undefined) setImmediateOriginal(this.#slice);
      else void this.#load().then(() => setImmediateOriginal(this.#slice));
    });
    // Not before: where no stack is left for it, it is the next run that sets it off.
    this.#scheduled = true;
  }

  /** Whether there is something to be done now, and not when more has come. */
  #isDue(): boolean {
    if (this.#gathered || this.#sealing !== undefined || this.#batch.length > 0) return true;
    return this.#line.length >= GATHERED_RUNS || this.#bytes >= GATHERED_BYTES;
  }

  #gather(): void {
    if (this.#gathering !== undefined || this.#line.length === 0) return;
    // It keeps no process alive: one that has nothing left to do asks for what is on its way.
    this.#gathering = detached(() => setTimeoutOriginal(this.#gatherNoMore, GATHER_MILLISECONDS).unref());
  }

  readonly #gatherNoMore = (): void => {
    this.#gathering = undefined;
    this.#gathered = true;
    this.#schedule();
  };

  async #load(): Promise<void> {
    try {
      this.#encoder = await import("./seal-recording.js");
    } catch (error) {
      this.#report("codec", error);
    }
  }

  readonly #slice = (): void => {
    this.#scheduled = false;
    if (this.#isAppendable()) void this.#append();
    else this.#encode();
    if (!this.#isEncodable()) this.#gathered = false;
    // While an append holds a full batch back, its end schedules the next slice.
    if (this.#isAppendable() || (this.#isEncodable() && !this.#isBatchFull())) this.#schedule();
    this.#tellDrained();
  };

  #isEncodable(): boolean {
    return this.#sealing !== undefined || this.#line.length > 0;
  }

  /** Whether there is a batch for the store: as much as there is room for, or all there is. */
  #isAppendable(): boolean {
    if (this.#appending !== undefined || this.#batch.length === 0) return false;
    return this.#isBatchFull() || !this.#isEncodable();
  }

  #isBatchFull(): boolean {
    return this.#batchBytes >= this.#batchBytesLimit || this.#batch.length >= BATCH_CAPSULES;
  }

  #encode(): void {
    if (this.#encoder === undefined) {
      for (let run = this.#line.next(); run !== undefined; run = this.#line.next()) this.#letGo(run, "codec");
      return;
    }
    const urgent = this.#bytes * 2 > this.#maximumBytes;
    const slice = urgent
      ? URGENT_SLICE_MILLISECONDS
      : this.#encoder.isCompiled()
        ? SLICE_MILLISECONDS
        : FIRST_SLICE_MILLISECONDS;
    const until = monotonicClock() + slice;
    while (!this.#isBatchFull() && monotonicClock() < until) {
      if (!this.#step(this.#encoder)) return;
    }
  }

  /** Encodes a little of a run; false where there is nothing to encode. */
  #step(encoder: Encoder): boolean {
    if (this.#sealing === undefined) {
      const run = this.#line.next();
      if (run === undefined) return false;
      this.#sealing = { run, steps: encoder.encodeRecording(run.recording, run.kept) };
      return true;
    }
    const { steps, run } = this.#sealing;
    try {
      const step = steps.next();
      if (step.done === true) this.#encoded(encoder, run, step.value);
    } catch (error) {
      this.#sealing = undefined;
      this.#letGo(run, "codec");
      this.#report("codec", error);
    }
    return true;
  }

  #encoded(encoder: Encoder, run: WaitingRun, bytes: Uint8Array): void {
    this.#sealing = undefined;
    const summary = encoder.keptSummary(run.summary, run.kept, run.recording.exact);
    this.#bytes += bytes.byteLength - run.recording.size;
    this.#batchBytes += bytes.byteLength;
    if (this.#batch.length === 0) this.#batchFrom = run.sequence;
    this.#batch.push({ summary, bytes });
  }

  async #append(): Promise<void> {
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    const appending = { kept: batch.map(({ summary }) => summary.kept), from: this.#batchFrom };
    this.#batch = [];
    this.#batchBytes = 0;
    this.#appending = appending;
    try {
      await this.#store.append(batch);
      if (this.#appending === appending) {
        this.#stored += appending.kept.length;
        this.#storedBytes += bytes;
      }
    } catch (error) {
      if (this.#appending === appending) for (const kept of appending.kept) this.#lose(kept, "store");
      this.#report("store", error);
    }
    this.#bytes -= bytes;
    // Otherwise the process is ending, and has been told that these are lost.
    if (this.#appending === appending) this.#appending = undefined;
    if (this.waiting > 0) this.#schedule();
    this.#tellDrained();
  }

  #letGo(run: WaitingRun, reason: LossReason): void {
    this.#bytes -= run.recording.size;
    this.#lose(run.kept, reason);
  }

  #lose(kept: string, reason: LossReason): void {
    const losses = this.#lost.get(kept) ?? { queue: 0, codec: 0, store: 0, exit: 0 };
    losses[reason] += 1;
    this.#lost.set(kept, losses);
  }

  #tellDrained(): void {
    const done = this.#oldest();
    while (this.#draining[0] !== undefined && this.#draining[0].until <= done) {
      this.#draining.shift()?.resolve();
    }
    if (this.waiting === 0) unwatchExit(this);
  }
}
