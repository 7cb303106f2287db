/** A capsule's summary as bytes, for stores that keep the two side by side. */
import { HindcastError } from "../errors.js";
import type { CapsuleSummary } from "./capsule.js";
import { decodeItem } from "./decode-item.js";
import { decodeOptions, TEXT_TAGS } from "./decode-value.js";
import { CborWriter } from "./encode-value.js";
import type { Scratch } from "./scratch.js";
import { integer, list, number, oneOf, optional, record, text } from "./shape.js";

const writer = new CborWriter(512);

/** A CBOR map with the summary's own names. */
export function encodeSummary(summary: CapsuleSummary): Uint8Array {
  writer.reset();
  writer.value({
    service: summary.service,
    pipeline: summary.pipeline,
    status: summary.status,
    violations: summary.violations,
    versions: [...summary.versions],
    exact: summary.exact,
    kept: summary.kept,
    // What differs in each run comes last: see below.
    id: summary.id,
    startedAt: summary.startedAt,
    duration: summary.duration,
    traceId: summary.traceId,
  });
  return writer.bytes();
}

const ID_UNITS = 36;
const TRACE_ID_UNITS = 32;
/** What is as long in most summaries as in this one. */
const MOST = {
  id: "0".repeat(ID_UNITS),
  startedAt: 2 ** 40,
  duration: 0.1,
  traceId: "0".repeat(TRACE_ID_UNITS),
};
/** A number that takes eight bytes, and what stands in front of it: its head, and its key with one. */
const NUMBER_BYTES = 8;
const STARTED_AT_BYTES = 1 + "startedAt".length + 1 + NUMBER_BYTES;
const DURATION_BYTES = 1 + "duration".length + 1 + NUMBER_BYTES;
const TRACE_ID_KEY_BYTES = 1 + "traceId".length;
/** A text of so many units has a head of two bytes; `undefined` is one byte. */
const TRACE_ID_BYTES = 2 + TRACE_ID_UNITS;
const UINT_32_VALUES = 2 ** 32;
/** A unit of text is at most so many. */
const UNIT_BYTES = 3;
const MAXIMUM_TEMPLATES = 64;

/** The bytes of a summary like that of the pipeline's last run, and where in it to put what differs in each. */
interface Template {
  readonly summary: CapsuleSummary;
  readonly bytes: Uint8Array;
  readonly idAt: number;
  readonly startedAt: number;
  readonly durationAt: number;
  readonly traceIdAt: number;
}

/** Writes one summary after the other: the bytes are those of `encodeSummary`, for less. */
export class SummaryEncoder {
  readonly #templates = new Map<string, Template>();

  write(summary: CapsuleSummary, scratch: Scratch): void {
    const template = this.#templateFor(summary);
    const { byteLength } = template.bytes;
    scratch.reserve(byteLength + UNIT_BYTES * (ID_UNITS + TRACE_ID_UNITS));
    scratch.bytes.set(template.bytes, scratch.length);
    if (fillIn(template, summary, scratch.bytes, scratch.length)) scratch.length += byteLength;
    else scratch.put(encodeSummary(summary));
  }

  #templateFor(summary: CapsuleSummary): Template {
    const known = this.#templates.get(summary.pipeline);
    if (known !== undefined && isAlike(known.summary, summary)) return known;
    if (this.#templates.size >= MAXIMUM_TEMPLATES) this.#templates.clear();
    const template = templateOf(summary);
    this.#templates.set(summary.pipeline, template);
    return template;
  }
}

function templateOf(summary: CapsuleSummary): Template {
  const isTraced = summary.traceId !== undefined;
  const example = { ...summary, ...MOST, traceId: isTraced ? MOST.traceId : undefined };
  const bytes = encodeSummary(example);
  const durationEnd = bytes.byteLength - (isTraced ? TRACE_ID_BYTES : 1) - TRACE_ID_KEY_BYTES;
  const startedAtEnd = durationEnd - DURATION_BYTES;
  return {
    summary: { ...example, versions: [...summary.versions] },
    bytes,
    idAt: startedAtEnd - STARTED_AT_BYTES - ID_UNITS,
    startedAt: startedAtEnd - NUMBER_BYTES,
    durationAt: durationEnd - NUMBER_BYTES,
    traceIdAt: bytes.byteLength - TRACE_ID_UNITS,
  };
}

function isAlike(a: CapsuleSummary, b: CapsuleSummary): boolean {
  return (
    a.service === b.service &&
    a.pipeline === b.pipeline &&
    a.status === b.status &&
    a.violations === b.violations &&
    a.exact === b.exact &&
    a.kept === b.kept &&
    (a.traceId === undefined) === (b.traceId === undefined) &&
    areSame(a.versions, b.versions)
  );
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Fills in what differs, in a copy of the template at `from`; false where it does not fit. It may write beyond the copy. */
function fillIn(template: Template, summary: CapsuleSummary, bytes: Buffer, from: number): boolean {
  const { id, startedAt, duration, traceId } = summary;
  // Text of as many bytes as units is ASCII.
  if (id.length !== ID_UNITS || bytes.write(id, from + template.idAt) !== ID_UNITS) return false;
  if (traceId !== undefined) {
    if (traceId.length !== TRACE_ID_UNITS) return false;
    if (bytes.write(traceId, from + template.traceIdAt) !== TRACE_ID_UNITS) return false;
  }
  // Other numbers have shorter forms.
  if (!Number.isSafeInteger(startedAt) || startedAt < UINT_32_VALUES) return false;
  const isDouble = Number.isFinite(duration) && !Number.isSafeInteger(duration);
  if (!isDouble || Math.fround(duration) === duration) return false;
  const high = Math.floor(startedAt / UINT_32_VALUES);
  bytes.writeUInt32BE(high, from + template.startedAt);
  bytes.writeUInt32BE(startedAt - high * UINT_32_VALUES, from + template.startedAt + 4);
  bytes.writeDoubleBE(duration, from + template.durationAt);
  return true;
}

/** Reads a summary. Throws `capsule-damaged` or `capsule-shape`. */
export function decodeSummary(bytes: Uint8Array): CapsuleSummary {
  let wire: unknown;
  try {
    wire = decodeItem(bytes, decodeOptions(TEXT_TAGS));
  } catch (cause) {
    throw new HindcastError("capsule-damaged", "A capsule's summary cannot be read: its bytes are damaged.", {
      cause,
    });
  }
  const fields = record(wire, "summary");
  return {
    id: text(fields["id"], "summary.id"),
    service: text(fields["service"], "summary.service"),
    pipeline: text(fields["pipeline"], "summary.pipeline"),
    startedAt: number(fields["startedAt"], "summary.startedAt"),
    duration: number(fields["duration"], "summary.duration"),
    status: oneOf(fields["status"], ["ok", "error"] as const, "summary.status"),
    violations: integer(fields["violations"], "summary.violations"),
    versions: list(fields["versions"], "summary.versions").map((version) =>
      text(version, "summary.versions"),
    ),
    exact: fields["exact"] === true,
    traceId: optional(fields["traceId"], "summary.traceId", text),
    kept: text(fields["kept"], "summary.kept"),
  };
}
