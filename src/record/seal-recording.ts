/**
 * Makes a capsule of a recording: the part that costs, which is done later, and only for runs that
 * are kept. The library loads this file, and the encoder behind it, apart from the rest.
 */
import {
  CAPSULE_FORMAT,
  type CallRecord,
  type Capsule,
  type CapsuleEvent,
  type CapsuleSummary,
  type EffectRecord,
  type OutcomeRecord,
  sameVersion,
  type StageRecord,
} from "../capsule/capsule.js";
import {
  beginCall,
  beginEffect,
  beginTable,
  encodeCapsule,
  endRow,
  flagsOfCall,
  flagsOfEffect,
  seal,
  type SharedFields,
  sharedFields,
  writeFields,
  writeStage,
  writeViolation,
} from "../capsule/encode-capsule.js";
import { type CborWriter, releaseWriter, takeWriter } from "../capsule/encode-value.js";
import type { BuilderLog } from "../capsule/recorded-handle.js";
import { currentEnvironment } from "../capsule/environment.js";
import { type Held, heldSize } from "../capsule/snapshot.js";
import { ValueTable } from "../capsule/value-table.js";
import { unpackEvent } from "../capsule/wire.js";
import { identityOf } from "../contract/contract-identity.js";
import type { Definition } from "../stage/definition.js";
import { sourceHashOf } from "../stage/source-hash.js";
import { presentRevision } from "./code-revision.js";
import type {
  CallEntry,
  EffectEntry,
  OutcomeSnapshot,
  Recording,
  RecordingOptions,
  RunSummary,
  StageEntry,
} from "./recording.js";

// Intl takes 13 ms for its first answer, and what is run for the first time is compiled then: no capsule is to wait for
// that, nor is the program.
encodeCapsule({
  format: CAPSULE_FORMAT,
  id: "",
  writer: "",
  service: { name: "", version: undefined },
  pipeline: "",
  startedAt: 0,
  seed: 0,
  trace: undefined,
  environment: currentEnvironment(),
  limits: { depth: 1, entries: 1, valueBytes: 1, capsuleBytes: 1 },
  // Read now: whoever pulls into the folder of a service that runs does not change what that was started from.
  revision: presentRevision(),
  captures: [],
  replayable: { exact: true, reasons: [] },
  kept: "",
  stages: [],
  calls: [],
  effects: [],
  events: [],
  violations: [],
  values: [],
});

/** What is written between two pauses. So few, since code that is run for the first time takes 25 µs for a value. */
const ENTRIES_AT_ONCE = 4;
const EVENTS_AT_ONCE = 256;
/** Values of a larger estimated size are followed by a pause. */
const SMALL_SIZE = 1024;
/** Values of fewer bytes are copied behind the rest of the body: that takes less time than to look at them apart. */
const APPENDED_BYTES = 4096;

/** Code that is run for the first time is compiled then, which takes more than a millisecond: the first capsule has pauses between. */
let isWarm = false;

/** Whether what encodes a recording has been run. */
export function isCompiled(): boolean {
  return isWarm;
}

/**
 * A recording as a capsule's bytes: those of `encodeCapsule(sealRecording(…))`, without the capsule in between. Yields
 * as `sealRecording` does.
 */
export function* encodeRecording(recording: Recording, kept: string): Generator<undefined, Uint8Array> {
  const { run, options, stages, calls, effects, events, violations, reasons } = recording.contents();
  const body = takeWriter();
  const shared = fieldsOf(options);
  if (!isWarm) yield;
  writeFields(
    body,
    {
      id: run.id,
      pipeline: run.definition.name,
      startedAt: run.startedAt,
      seed: run.seed,
      trace: run.trace,
      replayable: { exact: reasons.length === 0, reasons },
      kept,
    },
    shared,
  );
  if (!isWarm) yield;
  beginTable(body, "stages", stages.length);
  for (const stage of stages) {
    body.raw(bytesOfStage(stage));
    if (!isWarm || stages.length > 1) yield;
  }
  const values = new ValueTable();
  beginTable(body, "calls", calls.length);
  for (const [index, call] of calls.entries()) {
    beginCall(body, call);
    if (isSmall(call)) endEntry(body, values, call, flagsOfCall(call));
    else yield* endEntryInSteps(body, values, call, flagsOfCall(call));
    if (!isWarm || isLastAtOnce(index, ENTRIES_AT_ONCE)) yield;
  }
  beginTable(body, "effects", effects.length);
  for (const [index, effect] of effects.entries()) {
    beginEffect(body, effect);
    if (isSmall(effect)) endEntry(body, values, effect, flagsOfEffect(effect));
    else yield* endEntryInSteps(body, values, effect, flagsOfEffect(effect));
    if (!isWarm || isLastAtOnce(index, ENTRIES_AT_ONCE)) yield;
  }
  beginTable(body, "events", events.length);
  for (let index = 0; index < events.length; index++) {
    body.number(events[index] as number);
    if (isLastAtOnce(index, EVENTS_AT_ONCE)) yield;
  }
  beginTable(body, "violations", violations.length);
  for (const violation of violations) {
    writeViolation(body, violation);
    yield;
  }
  beginTable(body, "values", values.count);
  const { area } = values;
  const isShort = area.length <= APPENDED_BYTES;
  if (isShort) body.append(area);
  if (!isWarm) yield;
  const bytes = yield* seal(isShort ? [body] : [body, area]);
  // In this order, since the next capsule takes the same ones for the same.
  values.close();
  releaseWriter(body);
  isWarm = true;
  return bytes;
}

function isLastAtOnce(index: number, atOnce: number): boolean {
  return index % atOnce === atOnce - 1;
}

function isSmall({ input, outcome }: CallEntry | EffectEntry): boolean {
  if (outcome.status !== "pending" && heldSize(outcome.value) > SMALL_SIZE) return false;
  for (const held of input) if (heldSize(held) > SMALL_SIZE) return false;
  return true;
}

/** Writes what comes behind the beginning of a row. */
function endEntry(body: CborWriter, values: ValueTable, entry: CallEntry | EffectEntry, flags: number): void {
  const { input, outcome } = entry;
  for (const snapshot of input) body.number(values.add(snapshot));
  if ("builder" in entry && entry.builder !== undefined) body.number(values.add(logOf(entry.builder)));
  endRow(body, flags, outcome, outcome.status === "pending" ? undefined : values.add(outcome.value));
}

function* endEntryInSteps(
  body: CborWriter,
  values: ValueTable,
  entry: CallEntry | EffectEntry,
  flags: number,
): Generator<undefined, void> {
  const { input, outcome } = entry;
  for (const snapshot of input) {
    body.number(yield* values.addInSteps(snapshot));
    yield;
  }
  if ("builder" in entry && entry.builder !== undefined) {
    body.number(yield* values.addInSteps(logOf(entry.builder)));
  }
  endRow(
    body,
    flags,
    outcome,
    outcome.status === "pending" ? undefined : yield* values.addInSteps(outcome.value),
  );
}

/** A builder's log holds numbers and texts alone: it is its own copy. */
function logOf(log: BuilderLog): Held {
  return { copy: log, size: log.length * 8, shared: undefined, loss: undefined };
}

const fieldsOfOptions = new WeakMap<RecordingOptions, SharedFields>();

function fieldsOf(options: RecordingOptions): SharedFields {
  let fields = fieldsOfOptions.get(options);
  if (fields === undefined) {
    const { writer, service, limits, captures } = options;
    const revision = revisionOf(options);
    fields = sharedFields({ writer, service, environment: currentEnvironment(), limits, revision, captures });
    fieldsOfOptions.set(options, fields);
  }
  return fields;
}

/** What the instance was told, or what can be seen. */
export function revisionOf({ revision }: Pick<RecordingOptions, "revision">): string | undefined {
  return revision ?? presentRevision();
}

/** As it was written last: a stage hardly has another version with the next run. */
const writtenStages = new WeakMap<Definition, { readonly stage: StageEntry; readonly bytes: Uint8Array }>();

function bytesOfStage(stage: StageEntry): Uint8Array {
  const written = writtenStages.get(stage.definition);
  if (
    written !== undefined &&
    sameVersion(written.stage.data, stage.data) &&
    sameVersion(written.stage.model, stage.model)
  ) {
    return written.bytes;
  }
  const writer = takeWriter();
  writeStage(writer, stageRecord(stage));
  const bytes = writer.bytes();
  releaseWriter(writer);
  writtenStages.set(stage.definition, { stage, bytes });
  return bytes;
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
      input: yield* referencesOf(call.input, values),
      outcome: yield* outcomeOf(call.outcome, values),
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
      builder: effect.builder && (yield* referenceOf(logOf(effect.builder), values)),
      read: effect.read,
      joined: effect.joined,
      input: yield* referencesOf(effect.input, values),
      outcome: yield* outcomeOf(effect.outcome, values),
    });
  }
  const encoded = yield* values.values();
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
    revision: revisionOf(options),
    captures: options.captures,
    replayable: { exact: contents.reasons.length === 0, reasons: contents.reasons },
    kept,
    stages,
    calls,
    effects,
    events,
    violations: contents.violations,
    values: encoded,
  };
}

function* referencesOf(
  snapshots: readonly Held[],
  values: ValueTable,
): Generator<undefined, readonly number[]> {
  const references: number[] = [];
  for (const snapshot of snapshots) references.push(yield* referenceOf(snapshot, values));
  return references;
}

function* outcomeOf(outcome: OutcomeSnapshot, values: ValueTable): Generator<undefined, OutcomeRecord> {
  if (outcome.status === "pending") return outcome;
  const value = yield* referenceOf(outcome.value, values);
  return outcome.status === "ok" ? { status: "ok", value } : { status: "error", value, stack: outcome.stack };
}

function* referenceOf(snapshot: Held, values: ValueTable): Generator<undefined, number> {
  const reference = yield* values.addInSteps(snapshot);
  if (values.area.stepIsDone || heldSize(snapshot) > SMALL_SIZE) yield;
  return reference;
}

/** The summary of a run that is kept. Written out: spreading takes fifty times as long. */
export function keptSummary(summary: RunSummary, kept: string, exact: boolean): CapsuleSummary {
  return {
    id: summary.id,
    service: summary.service,
    pipeline: summary.pipeline,
    startedAt: summary.startedAt,
    duration: summary.duration,
    status: summary.status,
    violations: summary.violations,
    versions: summary.versions,
    // A run may have been found to be entangled with another after it had ended.
    exact,
    traceId: summary.traceId,
    kept,
  };
}

export function stageRecord({ definition, data, model }: StageEntry): StageRecord {
  const { name, kind, input, output } = definition;
  return {
    name,
    kind,
    data,
    model,
    input: input && identityOf(input),
    output: output && identityOf(output),
    source: sourceHashOf(definition),
  };
}
