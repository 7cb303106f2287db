/**
 * Writes a capsule: a sealed envelope around a body (`docs/capsule-format.md`). The rows of its tables are written one
 * by one, so that whoever has what they say need not make a `Capsule` of it first: `encodeRecording` does not.
 */
import {
  CAPSULE_FORMAT,
  type Capsule,
  type CallRecord,
  type EffectRecord,
  type OutcomeRecord,
  type StageRecord,
  type Version,
  type ViolationRecord,
} from "./capsule.js";
import { CborWriter, releaseWriter, TAG, takeWriter } from "./encode-value.js";
import {
  ENVELOPE_NAME,
  FLAG_ASYNCHRONOUS,
  FLAG_BUILDER,
  FLAG_DELIVERED,
  FLAG_ITEM,
  FLAG_JOINED,
  FLAG_READ,
  FLAG_UNPROMPTED,
  packEvent,
} from "./wire.js";

/** The capsule as bytes. */
export function encodeCapsule(capsule: Capsule): Uint8Array {
  const body = takeWriter();
  writeFields(body, capsule, sharedFields(capsule));
  beginTable(body, "stages", capsule.stages.length);
  for (const stage of capsule.stages) writeStage(body, stage);
  beginTable(body, "calls", capsule.calls.length);
  for (const call of capsule.calls) {
    beginCall(body, call);
    for (const reference of call.input) body.number(reference);
    endRow(body, flagsOfCall(call), call.outcome, valueOf(call.outcome));
  }
  beginTable(body, "effects", capsule.effects.length);
  for (const effect of capsule.effects) {
    beginEffect(body, effect);
    for (const reference of effect.input) body.number(reference);
    if (effect.builder !== undefined) body.number(effect.builder);
    endRow(body, flagsOfEffect(effect), effect.outcome, valueOf(effect.outcome));
  }
  beginTable(body, "events", capsule.events.length);
  for (const { kind, index } of capsule.events) body.number(packEvent(kind, index));
  beginTable(body, "violations", capsule.violations.length);
  for (const violation of capsule.violations) writeViolation(body, violation);
  beginTable(body, "values", capsule.values.length);
  for (const value of capsule.values) body.byteString(value);
  const steps = seal([body]);
  for (;;) {
    const step = steps.next();
    if (step.done !== true) continue;
    releaseWriter(body);
    return step.value;
  }
}

// What a body begins with. The fields that are the same in many capsules are written once for all of them.

/** Of `parent` and what else is no table, there are so many. */
const FIELDS = 14;
const TABLES = 6;

/** Fields with the same bytes in many capsules: those before the name of the pipeline, and those behind the trace. */
export type SharedFields = readonly [writerAndService: Uint8Array, environmentAndLimits: Uint8Array];

export function sharedFields({
  writer,
  service,
  environment,
  limits,
  revision,
  captures,
}: Pick<Capsule, "writer" | "service" | "environment" | "limits" | "revision" | "captures">): SharedFields {
  const fields = new CborWriter();
  fields.text("writer");
  fields.text(writer);
  fields.text("service");
  fields.value([service.name, service.version]);
  const between = fields.length;
  fields.text("environment");
  fields.value(environment);
  fields.text("limits");
  fields.value(limits);
  fields.text("revision");
  fields.value(revision);
  fields.text("captures");
  fields.value(captures && [...captures]);
  const bytes = fields.bytes();
  return [bytes.subarray(0, between), bytes.subarray(between)];
}

export function writeFields(
  body: CborWriter,
  capsule: Pick<
    Capsule,
    "id" | "parent" | "pipeline" | "startedAt" | "seed" | "trace" | "replayable" | "kept"
  >,
  [writerAndService, environmentAndLimits]: SharedFields,
): void {
  const { parent, trace, replayable } = capsule;
  body.map(FIELDS + TABLES + (parent === undefined ? 0 : 1));
  body.text("id");
  body.text(capsule.id);
  if (parent !== undefined) {
    body.text("parent");
    body.value({ ...parent, changes: [...parent.changes] });
  }
  body.raw(writerAndService);
  body.text("pipeline");
  body.text(capsule.pipeline);
  body.text("startedAt");
  body.number(capsule.startedAt);
  body.text("seed");
  body.number(capsule.seed);
  body.text("trace");
  body.value(trace && [trace.traceId, trace.spanId]);
  body.raw(environmentAndLimits);
  body.text("exact");
  body.value(replayable.exact);
  body.text("reasons");
  body.array(replayable.reasons.length);
  for (const { code, name, message } of replayable.reasons) body.value([code, name, message]);
  body.text("kept");
  body.text(capsule.kept);
}

// Tables: arrays of arrays, since there may be many rows.

type TableName = "stages" | "calls" | "effects" | "events" | "violations" | "values";

/** The rows come behind it. */
export function beginTable(body: CborWriter, name: TableName, rows: number): void {
  body.text(name);
  body.array(rows);
}

export function writeStage(body: CborWriter, stage: StageRecord): void {
  const { name, kind, data, model, input, output, source } = stage;
  body.array(7);
  body.text(name);
  body.text(kind);
  body.value(data && versionToWire(data));
  body.value(model && versionToWire(model));
  body.value(input && [input.name, input.hash]);
  body.value(output && [output.name, output.hash]);
  body.value(source);
}

function versionToWire({ name, version, digest }: Version): unknown[] {
  return [name, version, digest];
}

/** What of a row of `calls` or `effects` is no reference to a value. */
type Begun<Row extends CallRecord | EffectRecord> = Omit<Row, "input" | "outcome" | "builder"> & {
  readonly input: readonly unknown[];
  readonly outcome: Ended;
  readonly builder?: unknown;
};
type Ended = { readonly status: OutcomeRecord["status"]; readonly stack?: string };

/** The references of its input come behind it, and then `endRow`. */
export function beginCall(body: CborWriter, call: Begun<CallRecord>): void {
  beginRow(body, call.outcome);
  body.number(call.stage);
  body.number(call.parent);
  writeBegun(body, call);
}

/** The same of an effect; behind its input comes the reference of its builder's log, if it gave one. */
export function beginEffect(body: CborWriter, effect: Begun<EffectRecord>): void {
  beginRow(body, effect.outcome);
  body.text(effect.name);
  body.number(effect.call);
  writeBegun(body, effect);
}

function writeBegun(
  body: CborWriter,
  { ordinal, at, duration, input, builder }: Begun<CallRecord> | Begun<EffectRecord>,
): void {
  body.number(ordinal);
  body.number(at);
  body.number(duration);
  body.array(builder === undefined ? input.length : input.length + 1);
}

function beginRow(body: CborWriter, { status }: Ended): void {
  body.array(status === "ok" ? 9 : status === "error" ? 10 : 8);
}

/** `value` is the reference of what it returned or threw. The numbers are those of `OUTCOMES`. */
export function endRow(
  body: CborWriter,
  flags: number,
  { status, stack }: Ended,
  value: number | undefined,
): void {
  body.number(flags);
  body.number(status === "ok" ? 0 : status === "error" ? 1 : 2);
  if (value !== undefined) body.number(value);
  if (stack !== undefined) body.text(stack);
}

export function flagsOfCall(
  call: Pick<CallRecord | EffectRecord, "asynchronous" | "delivered" | "unprompted">,
): number {
  return (
    (call.asynchronous ? FLAG_ASYNCHRONOUS : 0) |
    (call.delivered ? FLAG_DELIVERED : 0) |
    (call.unprompted ? FLAG_UNPROMPTED : 0)
  );
}

export function flagsOfEffect(
  effect: Pick<EffectRecord, "asynchronous" | "delivered" | "unprompted" | "item" | "read" | "joined"> & {
    readonly builder?: unknown;
  },
): number {
  return (
    flagsOfCall(effect) |
    (effect.item ? FLAG_ITEM : 0) |
    (effect.builder === undefined ? 0 : FLAG_BUILDER) |
    (effect.read === true ? FLAG_READ : 0) |
    (effect.joined === true ? FLAG_JOINED : 0)
  );
}

export function writeViolation(body: CborWriter, { call, side, issues }: ViolationRecord): void {
  body.value([call, side, issues.map(({ path, expected, received }) => [[...path], expected, received])]);
}

function valueOf(outcome: OutcomeRecord): number | undefined {
  return outcome.status === "pending" ? undefined : outcome.value;
}

/** Of so few bytes, all is done at once. */
const SHORT_BODY = 64 * 1024;
const envelope = new CborWriter(64);

/** Puts what has been written, which are the parts of a body, into an envelope. Gives way between large pieces. */
export function* seal(parts: readonly CborWriter[]): Generator<undefined, Uint8Array> {
  let checksum = 0;
  let size = 0;
  for (const part of parts) {
    const { length } = part;
    checksum =
      length <= SHORT_BODY
        ? part.checksum(0, length, checksum)
        : yield* part.checksumInSteps(0, length, checksum);
    size += length;
  }
  envelope.reset();
  envelope.tag(TAG.selfDescribed);
  envelope.array(4);
  envelope.text(ENVELOPE_NAME);
  envelope.number(CAPSULE_FORMAT);
  envelope.number(checksum);
  envelope.byteStringHead(size);
  let end = envelope.length;
  const bytes = bytesFor(end + size);
  envelope.copy(0, end, bytes, 0);
  for (const part of parts) {
    const { length } = part;
    if (length <= SHORT_BODY) part.copy(0, length, bytes, end);
    else yield* part.copyInSteps(0, length, bytes, end);
    end += length;
  }
  return bytes;
}

/** Memory that is written all over: where there is much of it, to make it zero first takes time. */
function bytesFor(size: number): Uint8Array {
  return size <= SHORT_BODY ? new Uint8Array(size) : new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
