/** Writes a capsule: a sealed envelope around a body (`docs/capsule-format.md`). */
import { crc32 } from "node:zlib";
import { CAPSULE_FORMAT, type Capsule, type OutcomeRecord, type Version } from "./capsule.js";
import { type CborWriter, releaseWriter, TAG, takeWriter } from "./encode-value.js";
import {
  ENVELOPE_NAME,
  FLAG_ASYNCHRONOUS,
  FLAG_DELIVERED,
  FLAG_ITEM,
  FLAG_UNPROMPTED,
  packEvent,
} from "./wire.js";

/** Of a piece this long, looking at it is a step's work. */
const PAUSE_BYTES = 16 * 1024;

/** The capsule as bytes. */
export function encodeCapsule(capsule: Capsule): Uint8Array {
  const steps = encodeCapsuleInSteps(capsule);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same, in steps of a fraction of a millisecond each, however large the capsule. */
export function* encodeCapsuleInSteps(capsule: Capsule): Generator<undefined, Uint8Array> {
  const body = takeWriter();
  const { lists, ...rest } = toWire(capsule);
  const names = Object.keys(rest) as (keyof typeof rest)[];
  body.map(names.length + lists.length + 1);
  for (const name of names) {
    body.text(name);
    body.value(rest[name]);
  }
  for (const { name, length, at } of lists) {
    yield;
    body.text(name);
    body.array(length);
    for (let index = 0; index < length; index++) {
      body.value(at(index));
      if (body.stepIsDone) yield;
    }
  }
  body.text("values");
  body.array(capsule.values.length);
  for (const value of capsule.values) {
    body.byteString(value);
    if (body.stepIsDone) yield;
  }
  const bytes = yield* sealInSteps(body);
  releaseWriter(body);
  return bytes;
}

/** Puts a body into an envelope. */
function* sealInSteps(body: CborWriter): Generator<undefined, Uint8Array> {
  let checksum = 0;
  for (const piece of body.pieces()) {
    checksum = crc32(piece, checksum);
    if (piece.byteLength >= PAUSE_BYTES) yield;
  }
  const envelope = takeWriter();
  envelope.tag(TAG.selfDescribed);
  envelope.array(4);
  envelope.text(ENVELOPE_NAME);
  envelope.number(CAPSULE_FORMAT);
  envelope.number(checksum);
  envelope.byteStringHead(body.length);
  let offset = envelope.length;
  const bytes = new Uint8Array(offset + body.length);
  envelope.copyTo(bytes);
  releaseWriter(envelope);
  for (const piece of body.pieces()) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
    if (piece.byteLength >= PAUSE_BYTES) yield;
  }
  return bytes;
}

// To the wire: maps where there is one of a thing, arrays where there are many.

interface WireList {
  readonly name: string;
  readonly length: number;
  /** Each entry is made when it is written: a run may have a hundred thousand. */
  readonly at: (index: number) => unknown;
}

function wireList<T>(name: string, entries: readonly T[], toEntry: (entry: T) => unknown): WireList {
  return { name, length: entries.length, at: (index) => toEntry(entries[index] as T) };
}

function toWire(capsule: Capsule) {
  const { parent, service, trace, environment, limits, replayable } = capsule;
  return {
    id: capsule.id,
    ...(parent && { parent: { ...parent, changes: [...parent.changes] } }),
    writer: capsule.writer,
    service: [service.name, service.version],
    pipeline: capsule.pipeline,
    startedAt: capsule.startedAt,
    seed: capsule.seed,
    trace: trace && [trace.traceId, trace.spanId],
    environment: { ...environment },
    limits: { ...limits },
    exact: replayable.exact,
    reasons: replayable.reasons.map((reason) => [reason.code, reason.name, reason.message]),
    kept: capsule.kept,
    lists: [
      wireList("stages", capsule.stages, (stage) => [
        stage.name,
        stage.kind,
        stage.data && versionToWire(stage.data),
        stage.model && versionToWire(stage.model),
        stage.input && [stage.input.name, stage.input.hash],
        stage.output && [stage.output.name, stage.output.hash],
      ]),
      wireList("calls", capsule.calls, (call) => [
        call.stage,
        call.parent,
        call.ordinal,
        call.at,
        call.duration,
        [...call.input],
        flagsToWire(call),
        ...outcomeToWire(call.outcome),
      ]),
      wireList("effects", capsule.effects, (effect) => [
        effect.name,
        effect.call,
        effect.ordinal,
        effect.at,
        effect.duration,
        [...effect.input],
        (effect.item ? FLAG_ITEM : 0) | flagsToWire(effect),
        ...outcomeToWire(effect.outcome),
      ]),
      wireList("events", capsule.events, ({ kind, index }) => packEvent(kind, index)),
      wireList("violations", capsule.violations, (violation) => [
        violation.call,
        violation.side,
        violation.issues.map((issue) => [[...issue.path], issue.expected, issue.received]),
      ]),
    ],
  };
}

function versionToWire(version: Version): unknown[] {
  return [version.name, version.version, version.digest];
}

function flagsToWire(entry: Capsule["calls"][number] | Capsule["effects"][number]): number {
  return (
    (entry.asynchronous ? FLAG_ASYNCHRONOUS : 0) |
    (entry.delivered ? FLAG_DELIVERED : 0) |
    (entry.unprompted ? FLAG_UNPROMPTED : 0)
  );
}

function outcomeToWire(outcome: OutcomeRecord): unknown[] {
  switch (outcome.status) {
    case "ok":
      return [0, outcome.value];
    case "error":
      return [1, outcome.value, outcome.stack];
    case "pending":
      return [2];
  }
}
