/** A capsule's summary as bytes, for stores that keep the two side by side. */
import { decode } from "cborg";
import { HindcastError } from "../errors.js";
import type { CapsuleSummary } from "./capsule.js";
import { decodeOptions, TEXT_TAGS } from "./decode-value.js";
import { CborWriter } from "./encode-value.js";
import { integer, list, number, oneOf, optional, record, text } from "./shape.js";

const writer = new CborWriter(512);

/** A CBOR map with the summary's own names. */
export function encodeSummary(summary: CapsuleSummary): Uint8Array {
  writer.reset();
  writer.value({ ...summary, versions: [...summary.versions] });
  return writer.bytes();
}

/** Reads a summary. Throws `capsule-damaged` or `capsule-shape`. */
export function decodeSummary(bytes: Uint8Array): CapsuleSummary {
  let wire: unknown;
  try {
    wire = decode(bytes, decodeOptions(TEXT_TAGS));
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
