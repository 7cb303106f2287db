/**
 * Reads a capsule.
 *
 * Invariants
 * 1. Bytes that were cut or changed anywhere give `capsule-damaged`; never a crash or a wrong value.
 * 2. Bytes of a later format give `capsule-newer`, which says what to do.
 * 3. A body whose checksum is right is still checked part by part (`capsule-shape`): no index points
 *    outside its table, so whoever holds a `Capsule` may follow them blindly.
 */
import { crc32 } from "node:zlib";
import { HindcastError, isHindcastError } from "../errors.js";
import {
  CAPSULE_FORMAT,
  type CallRecord,
  type Capsule,
  type CapsuleEvent,
  type ContractIdentity,
  type EffectRecord,
  isReadableFormat,
  type OutcomeRecord,
  type ParentRecord,
  type StageRecord,
  type Version,
  type ViolationRecord,
} from "./capsule.js";
import { decodeItem } from "./decode-item.js";
import { type ClassTable, decodeOptions, decodeValue, TEXT_TAGS } from "./decode-value.js";
import { CborReader } from "./cbor-reader.js";
import { CborWriter, TAG } from "./encode-value.js";
import type { Environment } from "./environment.js";
import type { Limits } from "./limits.js";
import type { TellMissing } from "./missing-parts.js";
import { index, integer, list, misshapen, oneOf, optional, record, text, time } from "./shape.js";
import {
  ENVELOPE_NAME,
  FLAG_ASYNCHRONOUS,
  FLAG_DELIVERED,
  FLAG_BUILDER,
  FLAG_ITEM,
  FLAG_JOINED,
  FLAG_READ,
  FLAG_UNPROMPTED,
  KINDS,
  OUTCOMES,
  REASONS,
  unpackEvent,
} from "./wire.js";

/** Reads a capsule. Throws `capsule-damaged`, `capsule-newer` or `capsule-shape`. */
export function decodeCapsule(bytes: Uint8Array): Capsule {
  const { format, body } = open(bytes);
  try {
    const { tables, rest } = tablesOf(body);
    return fromWire(record(decodeItem(rest, decodeOptions(TEXT_TAGS)), "body"), tables, format);
  } catch (cause) {
    if (isHindcastError(cause)) throw cause;
    throw damaged("its body is not CBOR", cause);
  }
}

/** The tables of a body that grow with the run; undefined where it has none of that name. */
interface Tables {
  calls: CallRecord[] | undefined;
  effects: EffectRecord[] | undefined;
  events: CapsuleEvent[] | undefined;
  values: Uint8Array[] | undefined;
  /** The greatest index of each kind that is in them. */
  readonly greatest: Indices;
}

interface Indices {
  stage: number;
  call: number;
  effect: number;
  value: number;
}

/** Reads those tables; `rest` is the body without them. */
function tablesOf(body: Uint8Array): { readonly tables: Tables; readonly rest: Uint8Array } {
  const reader = new CborReader(body);
  const greatest: Indices = { stage: -1, call: -1, effect: -1, value: -1 };
  const tables: Tables = {
    calls: undefined,
    effects: undefined,
    events: undefined,
    values: undefined,
    greatest,
  };
  const size = reader.mapLength();
  if (Number.isNaN(size)) return { tables, rest: body };
  const pieces: Uint8Array[] = [];
  for (let entry = 0; entry < size; entry++) {
    const start = reader.position;
    switch (keyOf(reader)) {
      case "calls":
        tables.calls = once(tables.calls, rows(reader, "calls", callFromWire, greatest));
        break;
      case "effects":
        tables.effects = once(tables.effects, rows(reader, "effects", effectFromWire, greatest));
        break;
      case "events":
        tables.events = once(tables.events, rows(reader, "events", eventFromWire, greatest));
        break;
      case "values":
        tables.values = once(tables.values, rows(reader, "values", valueFromWire, greatest));
        break;
      default:
        reader.skip();
        pieces.push(body.subarray(start, reader.position));
    }
  }
  if (reader.position !== body.byteLength) throw new RangeError("something follows it");
  return { tables, rest: Buffer.concat([mapHead(pieces.length), ...pieces]) };
}

/** A key may be anything, if nobody knows it. */
function keyOf(reader: CborReader): string | undefined {
  const start = reader.position;
  const key = reader.text();
  if (key !== undefined) return key;
  reader.position = start;
  reader.skip();
  return undefined;
}

function once<T>(before: T | undefined, table: T): T {
  if (before !== undefined) throw new RangeError("a table is there twice");
  return table;
}

function mapHead(entries: number): Uint8Array {
  const head = new CborWriter(16);
  head.map(entries);
  return head.bytes();
}

/** The value at a reference, decoded anew at each call. */
export function valueAt(
  capsule: Capsule,
  reference: number,
  classes?: ClassTable,
  tell?: TellMissing,
): unknown {
  return decodeValue(capsule.values[reference] as Uint8Array, classes, tell);
}

function open(bytes: Uint8Array): { readonly format: number; readonly body: Uint8Array } {
  let envelope: unknown;
  const tags = { [TAG.selfDescribed]: (content: () => unknown) => content() };
  try {
    envelope = decodeItem(bytes, decodeOptions(tags));
  } catch (cause) {
    throw damaged(bytes.byteLength === 0 ? "it is empty" : "its envelope cannot be read", cause);
  }
  if (!Array.isArray(envelope) || envelope.length !== 4 || envelope[0] !== ENVELOPE_NAME) {
    throw damaged("it does not begin as one");
  }
  const [, format, checksum, body] = envelope as unknown[];
  if (!(body instanceof Uint8Array) || crc32(body) !== checksum) throw damaged("its checksum does not match");
  if (!isReadableFormat(format)) {
    if (typeof format === "number" && format > CAPSULE_FORMAT) {
      throw newerFormat(format);
    }
    throw damaged("its format is not a number known");
  }
  return { format, body };
}

export function newerFormat(format: number): HindcastError {
  return new HindcastError(
    "capsule-newer",
    `The capsule is of format ${format}; this version of hindcast reads up to ${CAPSULE_FORMAT}. Update hindcast to read it.`,
  );
}

function damaged(how: string, cause?: unknown): HindcastError {
  const message = `The bytes are not a whole capsule: ${how}. Fetch it again, or restore it from a copy.`;
  return new HindcastError("capsule-damaged", message, cause === undefined ? undefined : { cause });
}

// From the wire: nothing is believed.

function fromWire(body: Record<string, unknown>, tables: Tables, format: number): Capsule {
  const stages = list(body["stages"], "stages").map(stageFromWire);
  const { calls, effects, events, values, greatest } = tables;
  if (calls === undefined || calls.length === 0) throw misshapen("calls");
  if (effects === undefined) throw misshapen("effects");
  if (events === undefined) throw misshapen("events");
  if (values === undefined) throw misshapen("values");
  if (greatest.stage >= stages.length) throw misshapen("the stage of a call");
  if (greatest.call >= calls.length) throw misshapen("the call of an effect, or of an event");
  if (greatest.effect >= effects.length) throw misshapen("the effect of an event");
  if (greatest.value >= values.length) throw misshapen("a reference to a value");
  const trace = body["trace"] === undefined ? undefined : list(body["trace"], "trace");
  const service = list(body["service"], "service");
  return {
    format,
    id: text(body["id"], "id"),
    parent: optional(body["parent"], "parent", parentFromWire),
    writer: text(body["writer"], "writer"),
    service: { name: text(service[0], "service"), version: optional(service[1], "service.version", text) },
    pipeline: text(body["pipeline"], "pipeline"),
    startedAt: time(body["startedAt"], "startedAt"),
    seed: integer(body["seed"], "seed"),
    trace: trace && { traceId: text(trace[0], "trace"), spanId: text(trace[1], "trace") },
    environment: environmentFromWire(body["environment"]),
    limits: limitsFromWire(body["limits"]),
    revision: optional(body["revision"], "revision", text),
    captures: optional(body["captures"], "captures", list)?.map((name) => text(name, "captures")),
    replayable: {
      exact: body["exact"] === true,
      reasons: list(body["reasons"], "reasons").map((wireReason, position) => {
        const reason = list(wireReason, `reasons[${position}]`);
        return {
          code: oneOf(reason[0], REASONS, `reasons[${position}]`),
          name: text(reason[1], "reasons"),
          message: text(reason[2], "reasons"),
        };
      }),
    },
    kept: text(body["kept"], "kept"),
    stages,
    calls,
    effects,
    events,
    violations: list(body["violations"], "violations").map((wireViolation, position): ViolationRecord => {
      const where = `violations[${position}]`;
      const violation = list(wireViolation, where);
      return {
        call: index(violation[0], calls.length, where),
        side: oneOf(violation[1], ["input", "output"] as const, where),
        issues: list(violation[2], where).map((wireIssue) => {
          const issue = list(wireIssue, where);
          const path = list(issue[0], where).map((key) => (typeof key === "number" ? key : text(key, where)));
          return { path, expected: text(issue[1], where), received: text(issue[2], where) };
        }),
      };
    }),
    values,
  };
}

/** Reads an entry, and notes its indices. It gives undefined where the entry is not as the format says. */
type ReadRow<Row> = (reader: CborReader, greatest: Indices, position: number) => Row | undefined;

/** The entries of a table. */
function rows<Row>(reader: CborReader, name: string, read: ReadRow<Row>, greatest: Indices): Row[] {
  const length = reader.arrayLength();
  if (Number.isNaN(length)) throw misshapen(name);
  const entries: Row[] = [];
  for (let position = 0; position < length; position++) {
    const entry = read(reader, greatest, position);
    if (entry === undefined) throw misshapen(`${name}[${position}]`);
    entries.push(entry);
  }
  return entries;
}

function valueFromWire(reader: CborReader): Uint8Array | undefined {
  return reader.byteString();
}

// Calls and effects are written out each, though they are alike: an object in between for each row would have to be collected.

/** Elements of a row before those of its outcome. */
const BEGUN_ELEMENTS = 7;

function callFromWire(reader: CborReader, greatest: Indices, position: number): CallRecord | undefined {
  const elements = reader.arrayLength();
  const stage = reader.unsigned();
  const parent = reader.unsignedOrMinusOne();
  const ordinal = reader.unsigned();
  const at = reader.unsigned();
  const duration = reader.unsigned();
  const input = referencesFromWire(reader, greatest);
  const flags = reader.unsigned();
  const outcome = outcomeFromWire(reader, elements - BEGUN_ELEMENTS, greatest);
  // The root alone has no parent. What is none of the numbers is NaN, and so is their sum.
  const isRooted = position === 0 ? parent === -1 : parent >= 0 && parent < position;
  if (!isRooted || !(stage + ordinal + at + duration + flags >= 0)) return undefined;
  if (input === undefined || outcome === undefined) return undefined;
  if (stage > greatest.stage) greatest.stage = stage;
  return {
    stage,
    parent,
    ordinal,
    at,
    duration,
    input,
    asynchronous: (flags & FLAG_ASYNCHRONOUS) !== 0,
    delivered: (flags & FLAG_DELIVERED) !== 0,
    unprompted: (flags & FLAG_UNPROMPTED) !== 0,
    outcome,
  };
}

function effectFromWire(reader: CborReader, greatest: Indices): EffectRecord | undefined {
  const elements = reader.arrayLength();
  const name = textFromWire(reader);
  const call = reader.unsigned();
  const ordinal = reader.unsigned();
  const at = reader.unsigned();
  const duration = reader.unsigned();
  const input = referencesFromWire(reader, greatest);
  const flags = reader.unsigned();
  const outcome = outcomeFromWire(reader, elements - BEGUN_ELEMENTS, greatest);
  if (!(call + ordinal + at + duration + flags >= 0)) return undefined;
  if (name === undefined || input === undefined || outcome === undefined) return undefined;
  if (call > greatest.call) greatest.call = call;
  const builder = (flags & FLAG_BUILDER) === 0 ? undefined : input.pop();
  if ((flags & FLAG_BUILDER) !== 0 && builder === undefined) return undefined;
  return {
    name,
    call,
    ordinal,
    at,
    duration,
    input,
    asynchronous: (flags & FLAG_ASYNCHRONOUS) !== 0,
    delivered: (flags & FLAG_DELIVERED) !== 0,
    unprompted: (flags & FLAG_UNPROMPTED) !== 0,
    item: (flags & FLAG_ITEM) !== 0,
    builder,
    read: (flags & FLAG_READ) !== 0,
    joined: (flags & FLAG_JOINED) !== 0,
    outcome,
  };
}

function referencesFromWire(reader: CborReader, greatest: Indices): number[] | undefined {
  const length = reader.arrayLength();
  if (Number.isNaN(length)) return undefined;
  const references: number[] = [];
  for (let position = 0; position < length; position++) {
    const reference = referenceFromWire(reader, greatest);
    if (reference === undefined) return undefined;
    references.push(reference);
  }
  return references;
}

function referenceFromWire(reader: CborReader, greatest: Indices): number | undefined {
  const reference = reader.unsigned();
  if (Number.isNaN(reference)) return undefined;
  if (reference > greatest.value) greatest.value = reference;
  return reference;
}

/** The last elements of a row, of which there may be more than are known here. */
function outcomeFromWire(reader: CborReader, elements: number, greatest: Indices): OutcomeRecord | undefined {
  if (!(elements >= 1)) return undefined;
  const status = OUTCOMES[reader.unsigned()];
  let read = 1;
  let outcome: OutcomeRecord = PENDING;
  if (status === undefined) return undefined;
  if (status !== "pending") {
    read = status === "ok" ? 2 : 3;
    if (elements < read) return undefined;
    const value = referenceFromWire(reader, greatest);
    if (value === undefined) return undefined;
    if (status === "ok") outcome = { status, value };
    else {
      const stack = textFromWire(reader);
      if (stack === undefined) return undefined;
      outcome = { status, value, stack };
    }
  }
  for (; read < elements; read++) reader.skip();
  return outcome;
}

const PENDING: OutcomeRecord = { status: "pending" };

/** A text, also one that has no UTF-8. */
function textFromWire(reader: CborReader): string | undefined {
  const start = reader.position;
  const plain = reader.text();
  if (plain !== undefined) return plain;
  reader.position = start;
  const value: unknown = decodeItem(reader.item(), decodeOptions(TEXT_TAGS));
  return typeof value === "string" ? value : undefined;
}

function eventFromWire(reader: CborReader, greatest: Indices): CapsuleEvent | undefined {
  const packed = reader.unsigned();
  if (!(packed < 2 ** 32)) return undefined;
  const event = unpackEvent(packed);
  const isOfCall = event.kind === "call-start" || event.kind === "call-end";
  if (isOfCall && event.index > greatest.call) greatest.call = event.index;
  if (!isOfCall && event.index > greatest.effect) greatest.effect = event.index;
  return event;
}

function parentFromWire(wire: unknown): ParentRecord {
  const fields = record(wire, "parent");
  return {
    id: text(fields["id"], "parent.id"),
    run: text(fields["run"], "parent.run"),
    changes: list(fields["changes"], "parent.changes").map((change) => text(change, "parent.changes")),
  };
}

function stageFromWire(wire: unknown, position: number): StageRecord {
  const where = `stages[${position}]`;
  const stage = list(wire, where);
  const version = (value: unknown): Version => {
    const [name, number_, digest] = list(value, where);
    return { name: text(name, where), version: text(number_, where), digest: optional(digest, where, text) };
  };
  const contract = (value: unknown): ContractIdentity => {
    const [name, hash] = list(value, where);
    return { name: text(name, where), hash: optional(hash, where, text) };
  };
  return {
    name: text(stage[0], where),
    kind: oneOf(stage[1], KINDS, where),
    data: optional(stage[2], where, version),
    model: optional(stage[3], where, version),
    input: optional(stage[4], where, contract),
    output: optional(stage[5], where, contract),
    source: optional(stage[6], where, text),
  };
}

function environmentFromWire(wire: unknown): Environment {
  const fields = record(wire, "environment");
  const field = (name: keyof Environment): string => text(fields[name], `environment.${name}`);
  return {
    node: field("node"),
    v8: field("v8"),
    icu: field("icu"),
    timezone: field("timezone"),
    locale: field("locale"),
    arch: field("arch"),
    platform: field("platform"),
  };
}

function limitsFromWire(wire: unknown): Limits {
  const fields = record(wire, "limits");
  const field = (name: keyof Limits): number => integer(fields[name], `limits.${name}`);
  return {
    depth: field("depth"),
    entries: field("entries"),
    valueBytes: field("valueBytes"),
    capsuleBytes: field("capsuleBytes"),
  };
}
