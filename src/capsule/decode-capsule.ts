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
import { decode } from "cborg";
import { HindcastError } from "../errors.js";
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
import { type ClassTable, decodeOptions, decodeValue, TEXT_TAGS } from "./decode-value.js";
import { TAG } from "./encode-value.js";
import type { Environment } from "./environment.js";
import type { Limits } from "./limits.js";
import { bytesOf, index, integer, list, misshapen, oneOf, optional, record, text, time } from "./shape.js";
import {
  ENVELOPE_NAME,
  FLAG_ASYNCHRONOUS,
  FLAG_DELIVERED,
  FLAG_ITEM,
  FLAG_UNPROMPTED,
  KINDS,
  OUTCOMES,
  REASONS,
  unpackEvent,
} from "./wire.js";

/** Reads a capsule. Throws `capsule-damaged`, `capsule-newer` or `capsule-shape`. */
export function decodeCapsule(bytes: Uint8Array): Capsule {
  const { format, body } = open(bytes);
  let fields: unknown;
  try {
    fields = decode(body, decodeOptions(TEXT_TAGS));
  } catch (cause) {
    throw damaged("its body is not CBOR", cause);
  }
  return fromWire(fields, format);
}

/** The value at a reference, decoded anew at each call. */
export function valueAt(capsule: Capsule, reference: number, classes?: ClassTable): unknown {
  return decodeValue(capsule.values[reference] as Uint8Array, classes);
}

function open(bytes: Uint8Array): { readonly format: number; readonly body: Uint8Array } {
  let envelope: unknown;
  const tags = { [TAG.selfDescribed]: (content: () => unknown) => content() };
  try {
    envelope = decode(bytes, decodeOptions(tags));
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

function fromWire(wire: unknown, format: number): Capsule {
  const body = record(wire, "body");
  const values = list(body["values"], "values").map((value, index) => bytesOf(value, `values[${index}]`));
  const stages = list(body["stages"], "stages").map(stageFromWire);
  const callCount = list(body["calls"], "calls").length;
  const references = (value: unknown, where: string): number[] =>
    list(value, where).map((reference) => index(reference, values.length, where));
  const calls = list(body["calls"], "calls").map((wireCall, position): CallRecord => {
    const where = `calls[${position}]`;
    const call = list(wireCall, where);
    const flags = integer(call[6], where);
    const parent = call[1] === -1 && position === 0 ? -1 : index(call[1], position, `${where}.parent`);
    return {
      stage: index(call[0], stages.length, `${where}.stage`),
      parent,
      ordinal: integer(call[2], where),
      at: integer(call[3], where),
      duration: integer(call[4], where),
      input: references(call[5], `${where}.input`),
      asynchronous: (flags & FLAG_ASYNCHRONOUS) !== 0,
      delivered: (flags & FLAG_DELIVERED) !== 0,
      unprompted: (flags & FLAG_UNPROMPTED) !== 0,
      outcome: outcomeFromWire(call.slice(7), values.length, where),
    };
  });
  if (calls.length === 0) throw misshapen("calls");
  const effects = list(body["effects"], "effects").map((wireEffect, position): EffectRecord => {
    const where = `effects[${position}]`;
    const effect = list(wireEffect, where);
    const flags = integer(effect[6], where);
    return {
      name: text(effect[0], where),
      call: index(effect[1], callCount, `${where}.call`),
      ordinal: integer(effect[2], where),
      at: integer(effect[3], where),
      duration: integer(effect[4], where),
      input: references(effect[5], `${where}.input`),
      asynchronous: (flags & FLAG_ASYNCHRONOUS) !== 0,
      delivered: (flags & FLAG_DELIVERED) !== 0,
      unprompted: (flags & FLAG_UNPROMPTED) !== 0,
      item: (flags & FLAG_ITEM) !== 0,
      outcome: outcomeFromWire(effect.slice(7), values.length, where),
    };
  });
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
    events: list(body["events"], "events").map((wireEvent, position): CapsuleEvent => {
      const event = unpackEvent(integer(wireEvent, `events[${position}]`));
      const size = event.kind.startsWith("call") ? calls.length : effects.length;
      index(event.index, size, `events[${position}]`);
      return event;
    }),
    violations: list(body["violations"], "violations").map((wireViolation, position): ViolationRecord => {
      const where = `violations[${position}]`;
      const violation = list(wireViolation, where);
      return {
        call: index(violation[0], callCount, where),
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
  };
}

function outcomeFromWire(wire: readonly unknown[], values: number, where: string): OutcomeRecord {
  const status = OUTCOMES[index(wire[0], OUTCOMES.length, `${where}.outcome`)];
  switch (status) {
    case "ok":
      return { status, value: index(wire[1], values, `${where}.outcome`) };
    case "error":
      return { status, value: index(wire[1], values, `${where}.outcome`), stack: text(wire[2], where) };
    default:
      return { status: "pending" };
  }
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
