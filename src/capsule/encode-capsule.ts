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
  const fields = fieldsToWire(capsule);
  const lists = listsToWire(capsule);
  body.map(fields.length + lists.length + 1);
  for (const [name, value] of fields) {
    body.text(name);
    body.value(value);
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

// Written out field by field: spreading is slow, and this is done for each run that is kept.

function fieldsToWire(capsule: Capsule): readonly (readonly [name: string, value: unknown])[] {
  const { parent, service, trace, replayable } = capsule;
  return [
    ["id", capsule.id],
    ...(parent === undefined ? [] : [["parent", { ...parent, changes: [...parent.changes] }] as const]),
    ["writer", capsule.writer],
    ["service", [service.name, service.version]],
    ["pipeline", capsule.pipeline],
    ["startedAt", capsule.startedAt],
    ["seed", capsule.seed],
    ["trace", trace && [trace.traceId, trace.spanId]],
    ["environment", capsule.environment],
    ["limits", capsule.limits],
    ["exact", replayable.exact],
    ["reasons", replayable.reasons.map((reason) => [reason.code, reason.name, reason.message])],
    ["kept", capsule.kept],
  ];
}

function listsToWire(capsule: Capsule): readonly WireList[] {
  return [
    wireList("stages", capsule.stages, (stage) => [
      stage.name,
      stage.kind,
      stage.data && versionToWire(stage.data),
      stage.model && versionToWire(stage.model),
      stage.input && [stage.input.name, stage.input.hash],
      stage.output && [stage.output.name, stage.output.hash],
    ]),
    wireList("calls", capsule.calls, (call) => {
      const { stage, parent, ordinal, at, duration, input } = call;
      return withOutcome([stage, parent, ordinal, at, duration, input, flagsToWire(call)], call.outcome);
    }),
    wireList("effects", capsule.effects, (effect) => {
      const { name, call, ordinal, at, duration, input } = effect;
      const flags = (effect.item ? FLAG_ITEM : 0) | flagsToWire(effect);
      return withOutcome([name, call, ordinal, at, duration, input, flags], effect.outcome);
    }),
    wireList("events", capsule.events, ({ kind, index }) => packEvent(kind, index)),
    wireList("violations", capsule.violations, (violation) => [
      violation.call,
      violation.side,
      violation.issues.map((issue) => [[...issue.path], issue.expected, issue.received]),
    ]),
  ];
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

function withOutcome(entry: unknown[], outcome: OutcomeRecord): unknown[] {
  switch (outcome.status) {
    case "ok":
      entry.push(0, outcome.value);
      break;
    case "error":
      entry.push(1, outcome.value, outcome.stack);
      break;
    case "pending":
      entry.push(2);
  }
  return entry;
}
