/**
 * Makes a capsule of a recording: the part that costs, which is done later, and only for runs that
 * are kept. The library loads this file, and the encoder behind it, apart from the rest.
 */
import { crc32 } from "node:zlib";
import {
  CAPSULE_FORMAT,
  type CallRecord,
  type Capsule,
  type CapsuleEvent,
  type CapsuleSummary,
  type EffectRecord,
  type OutcomeRecord,
  type StageRecord,
} from "../capsule/capsule.js";
import { encodeCapsuleInSteps } from "../capsule/encode-capsule.js";
import { currentEnvironment } from "../capsule/environment.js";
import { encodeValueInSteps, releaseWriter, takeWriter } from "../capsule/encode-value.js";
import type { Snapshot } from "../capsule/snapshot.js";
import { unpackEvent } from "../capsule/wire.js";
import { identityOf } from "../contract/contract-identity.js";
import type { OutcomeSnapshot, Recording, RunSummary, StageEntry } from "./recording.js";

/** A recording as a capsule's bytes. Yields as `sealRecording` does. */
export function* encodeRecording(recording: Recording, kept: string): Generator<undefined, Uint8Array> {
  const slab = spareSlabs.pop() ?? new Uint8Array(LARGEST_SLAB);
  const bytes = yield* encodeCapsuleInSteps(yield* seal(recording, kept, new ValueTable(slab)));
  // The capsule's bytes are a copy, so that the next one's values can be written there.
  spareSlabs.push(slab);
  return bytes;
}

/**
 * The capsule of a recording. Yields after a fraction of a millisecond's work, so that whoever drives
 * it can let the event loop breathe. What it cannot cut in pieces is the making of a contract's JSON
 * Schema, which is done once for each contract.
 */
export function sealRecording(recording: Recording, kept: string): Generator<undefined, Capsule> {
  return seal(recording, kept, new ValueTable());
}

function* seal(recording: Recording, kept: string, values: ValueTable): Generator<undefined, Capsule> {
  const { run, options, ...contents } = recording.contents();
  const calls: CallRecord[] = [];
  for (const call of contents.calls) {
    calls.push({
      stage: call.stage,
      parent: call.parent,
      ordinal: call.ordinal,
      at: call.at,
      duration: call.duration,
      asynchronous: call.asynchronous,
      delivered: call.delivered,
      unprompted: call.unprompted,
      input: yield* values.addAll(call.input),
      outcome: yield* values.addOutcome(call.outcome),
    });
  }
  const effects: EffectRecord[] = [];
  for (const effect of contents.effects) {
    effects.push({
      name: effect.name,
      call: effect.call,
      ordinal: effect.ordinal,
      at: effect.at,
      duration: effect.duration,
      asynchronous: effect.asynchronous,
      delivered: effect.delivered,
      unprompted: effect.unprompted,
      item: effect.item,
      input: yield* values.addAll(effect.input),
      outcome: yield* values.addOutcome(effect.outcome),
    });
  }
  values.close();
  const events: CapsuleEvent[] = [];
  for (const packed of contents.events) {
    if (events.push(unpackEvent(packed)) % EVENTS_AT_ONCE === 0) yield;
  }
  const stages: StageRecord[] = [];
  for (const stage of contents.stages) {
    stages.push(stageRecord(stage));
    yield;
  }
  return {
    format: CAPSULE_FORMAT,
    id: run.id,
    writer: options.writer,
    service: options.service,
    pipeline: run.definition.name,
    startedAt: run.startedAt,
    seed: run.seed,
    trace: run.trace,
    environment: currentEnvironment(),
    limits: options.limits,
    replayable: { exact: contents.reasons.length === 0, reasons: contents.reasons },
    kept,
    stages,
    calls,
    effects,
    events,
    violations: contents.violations,
    values: values.bytes,
  };
}

/** The summary of a run that is kept. Written out: spreading takes fifty times as long. */
export function keptSummary(summary: RunSummary, kept: string): CapsuleSummary {
  return {
    id: summary.id,
    service: summary.service,
    pipeline: summary.pipeline,
    startedAt: summary.startedAt,
    duration: summary.duration,
    status: summary.status,
    violations: summary.violations,
    versions: summary.versions,
    exact: summary.exact,
    traceId: summary.traceId,
    kept,
  };
}

export function stageRecord({ definition, data, model }: StageEntry): StageRecord {
  const { name, kind, input, output } = definition;
  return { name, kind, data, model, input: input && identityOf(input), output: output && identityOf(output) };
}

// Intl takes 13 ms for its first answer, which no capsule is to wait for.
currentEnvironment();

const EVENTS_AT_ONCE = 256;
/** What a checksum is taken of in one go. */
const PIECE_BYTES = 256 * 1024;

const TABLES = 32;
/** Encoded up to this, a value is known by its bytes; it is found without a copy of them. */
const SHORT_BYTES = 128;
/** Of an estimated size up to this, a value is encoded at once, and so many of them between two pauses. */
const SMALL_SIZE = 1024;
const SMALL_VALUES = 8;
const SMALLEST_SLAB = 512;
const LARGEST_SLAB = 8192;
/** Those of capsules that have been written: making one takes as long as encoding a small value. */
const spareSlabs: Uint8Array<ArrayBuffer>[] = [];

/** The values of a capsule: those of equal content once. */
class ValueTable {
  readonly bytes: Uint8Array[] = [];
  readonly #writer = takeWriter();
  /** Several, since a Map that grows is made anew at once: one of a hundred thousand takes some milliseconds. */
  readonly #short: (Map<string, number> | undefined)[] = [];
  readonly #byChecksum: (Map<number, number[]> | undefined)[] = [];
  /** Holds short values, one behind the other. */
  #slab: Uint8Array<ArrayBuffer>;
  #used = 0;
  #sincePause = 0;

  /** A capsule that is kept as it is, as a replay's, holds its slabs: they begin small. */
  constructor(slab = new Uint8Array(SMALLEST_SLAB)) {
    this.#slab = slab;
  }

  *addAll(snapshots: readonly Snapshot[]): Generator<undefined, readonly number[]> {
    const references: number[] = [];
    for (const snapshot of snapshots) {
      if (snapshot.size > SMALL_SIZE) references.push(yield* this.#add(snapshot));
      else {
        references.push(this.#addSmall(snapshot));
        if (this.#isPauseDue()) yield;
      }
    }
    return references;
  }

  *addOutcome(outcome: OutcomeSnapshot): Generator<undefined, OutcomeRecord> {
    if (outcome.status === "pending") return outcome;
    const isSmall = outcome.value.size <= SMALL_SIZE;
    const value = isSmall ? this.#addSmall(outcome.value) : yield* this.#add(outcome.value);
    if (isSmall && this.#isPauseDue()) yield;
    return outcome.status === "ok"
      ? { status: "ok", value }
      : { status: "error", value, stack: outcome.stack };
  }

  /** Nothing more is added. */
  close(): void {
    releaseWriter(this.#writer);
  }

  #isPauseDue(): boolean {
    this.#sincePause += 1;
    if (this.#sincePause < SMALL_VALUES) return false;
    this.#sincePause = 0;
    return true;
  }

  #addSmall(snapshot: Snapshot): number {
    const writer = this.#writer;
    writer.reset();
    writer.snapshot(snapshot);
    if (writer.length <= SHORT_BYTES) return this.#enterShort();
    const bytes = writer.bytes();
    return this.#enter(bytes, crc32(bytes));
  }

  *#add(snapshot: Snapshot): Generator<undefined, number> {
    const bytes = yield* encodeValueInSteps(snapshot, this.#writer);
    if (bytes.byteLength <= SHORT_BYTES) return this.#enterShort();
    yield;
    let checksum = crc32(bytes.byteLength <= PIECE_BYTES ? bytes : bytes.subarray(0, PIECE_BYTES));
    for (let offset = PIECE_BYTES; offset < bytes.byteLength; offset += PIECE_BYTES) {
      yield;
      checksum = crc32(bytes.subarray(offset, offset + PIECE_BYTES), checksum);
    }
    return this.#enter(bytes, checksum);
  }

  /** Enters what has just been written, which is short. */
  #enterShort(): number {
    const key = this.#writer.latin1();
    const table = (this.#short[key.charCodeAt(key.length - 1) % TABLES] ??= new Map<string, number>());
    const known = table.get(key);
    if (known !== undefined) return known;
    if (this.#used + key.length > this.#slab.length) {
      this.#slab = new Uint8Array(Math.min(2 * this.#slab.length, LARGEST_SLAB));
      this.#used = 0;
    }
    const bytes = this.#slab.subarray(this.#used, this.#used + key.length);
    this.#used += key.length;
    this.#writer.copyTo(bytes);
    const reference = this.bytes.push(bytes) - 1;
    table.set(key, reference);
    return reference;
  }

  #enter(bytes: Uint8Array, checksum: number): number {
    const table = (this.#byChecksum[checksum % TABLES] ??= new Map<number, number[]>());
    const alike = table.get(checksum) ?? [];
    const known = alike.find((reference) => Buffer.compare(this.bytes[reference] as Uint8Array, bytes) === 0);
    if (known !== undefined) return known;
    const reference = this.bytes.push(bytes) - 1;
    table.set(checksum, [...alike, reference]);
    return reference;
  }
}
