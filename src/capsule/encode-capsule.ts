/** Writes a capsule: a sealed envelope around a body (`docs/capsule-format.md`). */
import { crc32 } from "node:zlib";
import { CAPSULE_FORMAT, type Capsule, EVENT_KINDS, type OutcomeRecord, type Version } from "./capsule.js";
import { CborWriter, TAG } from "./encode-value.js";
import {
  ENVELOPE_NAME,
  EVENT_BITS,
  FLAG_ASYNCHRONOUS,
  FLAG_DELIVERED,
  FLAG_ITEM,
  FLAG_UNPROMPTED,
} from "./wire.js";

/** The capsule as bytes. */
export function encodeCapsule(capsule: Capsule): Uint8Array {
  const body = new CborWriter(bodyEstimate(capsule));
  const { values, ...rest } = toWire(capsule);
  const names = Object.keys(rest) as (keyof typeof rest)[];
  body.map(names.length + 1);
  for (const name of names) {
    body.text(name);
    body.value(rest[name]);
  }
  body.text("values");
  body.array(values.length);
  for (const value of values) body.byteString(value);
  return seal(body.bytes());
}

/** Puts a body into an envelope. */
function seal(body: Uint8Array): Uint8Array {
  const envelope = new CborWriter(body.byteLength + 32);
  envelope.tag(TAG.selfDescribed);
  envelope.array(4);
  envelope.text(ENVELOPE_NAME);
  envelope.number(CAPSULE_FORMAT);
  envelope.number(crc32(body));
  envelope.byteString(body);
  return envelope.bytes();
}

function bodyEstimate(capsule: Capsule): number {
  let bytes = 1024 + 32 * (capsule.calls.length + capsule.effects.length) + 2 * capsule.events.length;
  for (const value of capsule.values) bytes += value.byteLength + 5;
  return bytes;
}

// To the wire: maps where there is one of a thing, arrays where there are many.

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
    stages: capsule.stages.map((stage) => [
      stage.name,
      stage.kind,
      stage.data && versionToWire(stage.data),
      stage.model && versionToWire(stage.model),
      stage.input && [stage.input.name, stage.input.hash],
      stage.output && [stage.output.name, stage.output.hash],
    ]),
    calls: capsule.calls.map((call) => [
      call.stage,
      call.parent,
      call.ordinal,
      call.at,
      call.duration,
      [...call.input],
      flagsToWire(call),
      ...outcomeToWire(call.outcome),
    ]),
    effects: capsule.effects.map((effect) => [
      effect.name,
      effect.call,
      effect.ordinal,
      effect.at,
      effect.duration,
      [...effect.input],
      (effect.item ? FLAG_ITEM : 0) | flagsToWire(effect),
      ...outcomeToWire(effect.outcome),
    ]),
    events: capsule.events.map((event) => (event.index << EVENT_BITS) | EVENT_KINDS.indexOf(event.kind)),
    violations: capsule.violations.map((violation) => [
      violation.call,
      violation.side,
      violation.issues.map((issue) => [[...issue.path], issue.expected, issue.received]),
    ]),
    values: capsule.values,
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
