/**
 * From runs that are kept to a store: encodes them in slices between other work, and appends them
 * in batches.
 *
 * Invariants
 * 1. `add` does constant work and never throws; a full queue loses the newcomer, and counts it (G2, G8).
 * 2. Encoding holds the event loop for about a slice's length at a time, or for one value.
 * 3. One append is under way at a time; what it does not acknowledge is counted as lost (G9).
 * 4. Each recording that was added ends up in exactly one counter.
 */
import type { CapsuleSummary } from "../capsule/capsule.js";
import { monotonicClock, setImmediateOriginal } from "../originals.js";
import { detached } from "../stage/scopes.js";
import type { FailureSource } from "../stage/seam.js";
import type { Store, StoredCapsule } from "../stores/store.js";
import type { Recording, RunSummary } from "./recording.js";

/** What became of the runs that were to be kept. */
export interface QueueCounters {
  /** Acknowledged by the store. */
  stored: number;
  /** Bytes of those. */
  storedBytes: number;
  /** Lost because the queue was full. */
  lostToFullQueue: number;
  /** Lost because they could not be encoded. */
  lostToCodec: number;
  /** Lost because the store refused them. */
  lostToStore: number;
}

/** Encoding gives way to the program after so long. */
const SLICE_MILLISECONDS = 0.5;
/** With the queue half full it is to be emptied, before runs are lost. */
const URGENT_SLICE_MILLISECONDS = 2;
const BATCH_BYTES = 1024 * 1024;

type Encoder = typeof import("./seal-recording.js");

interface Waiting {
  readonly recording: Recording;
  readonly summary: RunSummary;
  readonly kept: string;
}

export class CapsuleQueue {
  readonly counters: QueueCounters = {
    stored: 0,
    storedBytes: 0,
    lostToFullQueue: 0,
    lostToCodec: 0,
    lostToStore: 0,
  };
  readonly #store: Store;
  readonly #maximumBytes: number;
  readonly #report: (source: FailureSource, error: unknown) => void;
  readonly #waiting: Waiting[] = [];
  #sealing: { readonly steps: Generator<undefined, Uint8Array>; readonly waiting: Waiting } | undefined;
  #batch: StoredCapsule[] = [];
  #batchBytes = 0;
  /** Estimated bytes in all three. */
  #bytes = 0;
  #scheduled = false;
  /** The encoder; loaded when the first run is kept. */
  #encoder: Encoder | undefined;
  #appending = false;
  /** Capsules that are with the store. */
  #appendingCount = 0;
  /** Recordings added, and done with: what came first is done first. */
  #added = 0;
  #draining: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(store: Store, maximumBytes: number, report: (source: FailureSource, error: unknown) => void) {
    this.#store = store;
    this.#maximumBytes = maximumBytes;
    this.#report = report;
  }

  /** Recordings and capsules on their way. */
  get waiting(): number {
    return (
      this.#waiting.length + (this.#sealing === undefined ? 0 : 1) + this.#batch.length + this.#appendingCount
    );
  }

  add(recording: Recording, summary: RunSummary, kept: string): void {
    if (this.#bytes + recording.size > this.#maximumBytes) {
      this.counters.lostToFullQueue += 1;
      this.#report("queue", new Error(`${recording.size} bytes more than queueBytes leaves room for`));
      return;
    }
    this.#bytes += recording.size;
    this.#added += 1;
    this.#waiting.push({ recording, summary, kept });
    this.#schedule();
  }

  /** Resolves once nothing is on its way any more. */
  drain(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    const until = this.#added;
    return new Promise((resolve) => this.#draining.push({ until, resolve }));
  }

  #isIdle(): boolean {
    return !this.#appending && this.waiting === 0;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A run's end sets this off, but it is no part of the run, and must not keep its scope alive.
    detached(() => {
      if (this.#encoder !== undefined) setImmediateOriginal(this.#slice);
      else void this.#load();
    });
  }

  async #load(): Promise<void> {
    try {
      this.#encoder = await import("./seal-recording.js");
    } catch (error) {
      this.#report("codec", error);
      for (const { recording } of this.#waiting.splice(0)) {
        this.#bytes -= recording.size;
        this.counters.lostToCodec += 1;
      }
    }
    setImmediateOriginal(this.#slice);
  }

  readonly #slice = (): void => {
    this.#scheduled = false;
    const urgent = this.#bytes * 2 > this.#maximumBytes;
    const until = monotonicClock() + (urgent ? URGENT_SLICE_MILLISECONDS : SLICE_MILLISECONDS);
    while (this.#batchBytes < BATCH_BYTES && monotonicClock() < until) {
      if (!this.#step()) break;
    }
    if (!this.#appending && this.#batch.length > 0) void this.#append();
    const more = this.#sealing !== undefined || this.#waiting.length > 0;
    // While an append holds a full batch back, its end schedules the next slice.
    if (more && this.#batchBytes < BATCH_BYTES) this.#schedule();
    this.#tellDrained();
  };

  /** Encodes one value or one capsule; false where there is nothing to encode. */
  #step(): boolean {
    const encoder = this.#encoder;
    if (encoder === undefined) return false;
    if (this.#sealing === undefined) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return false;
      this.#sealing = { waiting, steps: encoder.encodeRecording(waiting.recording, waiting.kept) };
    }
    const { steps, waiting } = this.#sealing;
    try {
      const step = steps.next();
      if (step.done === true) {
        this.#sealing = undefined;
        const summary: CapsuleSummary = { ...waiting.summary, kept: waiting.kept };
        const bytes = step.value;
        this.#bytes += bytes.byteLength - waiting.recording.size;
        this.#batchBytes += bytes.byteLength;
        this.#batch.push({ summary, bytes });
      }
    } catch (error) {
      this.#sealing = undefined;
      this.#bytes -= waiting.recording.size;
      this.counters.lostToCodec += 1;
      this.#report("codec", error);
    }
    return true;
  }

  async #append(): Promise<void> {
    const batch = this.#batch;
    const bytes = this.#batchBytes;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#appending = true;
    this.#appendingCount = batch.length;
    try {
      await this.#store.append(batch);
      this.counters.stored += batch.length;
      this.counters.storedBytes += bytes;
    } catch (error) {
      this.counters.lostToStore += batch.length;
      this.#report("store", error);
    }
    this.#bytes -= bytes;
    this.#appending = false;
    this.#appendingCount = 0;
    if (this.waiting > 0) this.#schedule();
    this.#tellDrained();
  }

  #tellDrained(): void {
    const done = this.#added - this.waiting;
    while (this.#draining[0] !== undefined && this.#draining[0].until <= done) {
      this.#draining.shift()?.resolve();
    }
  }
}
