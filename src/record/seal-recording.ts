/**
 * Makes a capsule of a recording: the part that costs, which is done later, and only for runs that
 * are kept. The library loads this file, and the encoder behind it, when the first run is kept.
 */
import { crc32 } from "node:zlib";
import {
  CAPSULE_FORMAT,
  type CallRecord,
  type Capsule,
  type EffectRecord,
  type OutcomeRecord,
  type StageRecord,
} from "../capsule/capsule.js";
import { encodeCapsuleInSteps } from "../capsule/encode-capsule.js";
import { CborWriter, encodeValueInSteps } from "../capsule/encode-value.js";
import { currentEnvironment } from "../capsule/environment.js";
import type { Snapshot } from "../capsule/snapshot.js";
import { identityOf } from "../contract/contract-identity.js";
import type { OutcomeSnapshot, Recording, StageEntry } from "./recording.js";

/** A recording as a capsule's bytes. Yields as `sealRecording` does. */
export function* encodeRecording(recording: Recording, kept: string): Generator<undefined, Uint8Array> {
  return yield* encodeCapsuleInSteps(yield* sealRecording(recording, kept));
}

/**
 * The capsule of a recording. Yields after a fraction of a millisecond's work, so that whoever drives
 * it can let the event loop breathe. What it cannot cut in pieces is the making of a contract's JSON
 * Schema, which is done once for each contract.
 */
export function* sealRecording(recording: Recording, kept: string): Generator<undefined, Capsule> {
  const { run, options, ...contents } = recording.contents();
  const values = new ValueTable();
  const calls: CallRecord[] = [];
  for (const { input, outcome, ...call } of contents.calls) {
    calls.push({ ...call, input: yield* values.addAll(input), outcome: yield* values.addOutcome(outcome) });
  }
  const effects: EffectRecord[] = [];
  for (const { input, outcome, ...effect } of contents.effects) {
    effects.push({
      ...effect,
      input: yield* values.addAll(input),
      outcome: yield* values.addOutcome(outcome),
    });
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
    events: contents.events,
    violations: contents.violations,
    values: values.bytes,
  };
}

function stageRecord({ definition, data, model }: StageEntry): StageRecord {
  const { name, kind, input, output } = definition;
  return { name, kind, data, model, input: input && identityOf(input), output: output && identityOf(output) };
}

/** What a checksum is taken of in one go. */
const PIECE_BYTES = 256 * 1024;

const TABLES = 32;

/** The values of a capsule: those of equal content once. */
class ValueTable {
  readonly bytes: Uint8Array[] = [];
  readonly #writer = new CborWriter(4096);
  /** Several, since a Map that grows is made anew at once: one of a hundred thousand takes some milliseconds. */
  readonly #byChecksum = Array.from({ length: TABLES }, () => new Map<number, number[]>());

  *addAll(snapshots: readonly Snapshot[]): Generator<undefined, readonly number[]> {
    const references: number[] = [];
    for (const snapshot of snapshots) references.push(yield* this.#add(snapshot));
    return references;
  }

  *addOutcome(outcome: OutcomeSnapshot): Generator<undefined, OutcomeRecord> {
    if (outcome.status === "pending") return outcome;
    const value = yield* this.#add(outcome.value);
    return outcome.status === "ok"
      ? { status: "ok", value }
      : { status: "error", value, stack: outcome.stack };
  }

  *#add(snapshot: Snapshot): Generator<undefined, number> {
    const bytes = yield* encodeValueInSteps(snapshot, this.#writer);
    yield;
    let checksum = crc32(bytes.byteLength <= PIECE_BYTES ? bytes : bytes.subarray(0, PIECE_BYTES));
    for (let offset = PIECE_BYTES; offset < bytes.byteLength; offset += PIECE_BYTES) {
      yield;
      checksum = crc32(bytes.subarray(offset, offset + PIECE_BYTES), checksum);
    }
    const table = this.#byChecksum[checksum % TABLES] as Map<number, number[]>;
    const alike = table.get(checksum) ?? [];
    const known = alike.find((reference) => Buffer.compare(this.bytes[reference] as Uint8Array, bytes) === 0);
    if (known !== undefined) return known;
    const reference = this.bytes.push(bytes) - 1;
    table.set(checksum, [...alike, reference]);
    return reference;
  }
}
