/** Capsules to put into a store: small, whole (they can be opened), and of a known summary. */
import { CAPSULE_FORMAT, type Capsule, type CapsuleSummary } from "../capsule/capsule.js";
import { encodeCapsule } from "../capsule/encode-capsule.js";
import { encodeValue } from "../capsule/encode-value.js";
import { currentEnvironment } from "../capsule/environment.js";
import { DEFAULT_LIMITS } from "../capsule/limits.js";
import { takeSnapshot } from "../capsule/snapshot.js";
import { createRunId } from "../ids.js";
import type { StoredCapsule } from "../stores/store.js";
import { LIBRARY_VERSION } from "../version.js";

/** What of a sample may be chosen. */
export interface SampleOptions extends Partial<Omit<CapsuleSummary, "versions">> {
  /** Bytes of its one value. Default 16. */
  readonly valueBytes?: number;
  /** The model's version. Default 1. */
  readonly modelVersion?: string;
}

const TRACE_ID_DIGITS = 32;
const MINUTE = 60_000;
const SEED = 4711;

/** A capsule of one call, unlike any other. Started a minute ago unless `startedAt` says otherwise. */
export function sampleCapsule(options: SampleOptions = {}): StoredCapsule {
  const { valueBytes = 16, modelVersion = "1", ...chosen } = options;
  const startedAt = chosen.startedAt ?? Date.now() - MINUTE;
  const id = chosen.id ?? createRunId(startedAt);
  const summary: CapsuleSummary = {
    id,
    service: "sample-service",
    pipeline: "sample-pipeline",
    startedAt,
    duration: 12.5,
    status: "ok",
    violations: 0,
    versions: [`sample-model@${modelVersion}`],
    exact: true,
    traceId: id.replaceAll("-", "").padEnd(TRACE_ID_DIGITS, "0"),
    kept: "all",
    ...chosen,
  };
  return { summary, bytes: encodeCapsule(capsuleOf(summary, modelVersion, content(id, valueBytes))) };
}

/** Bytes of every kind, zeros and line feeds among them: what a store that takes bytes for text would spoil. */
function content(id: string, size: number): Uint8Array {
  const offset = Number.parseInt(id.slice(-2), 16) || 0;
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = index + offset;
  return bytes;
}

function capsuleOf(summary: CapsuleSummary, modelVersion: string, value: Uint8Array): Capsule {
  const { id, service, pipeline, startedAt, duration, status, violations, traceId, exact, kept } = summary;
  const limits = { ...DEFAULT_LIMITS, valueBytes: Math.max(value.byteLength, DEFAULT_LIMITS.valueBytes) };
  const outcome =
    status === "ok"
      ? ({ status, value: 0 } as const)
      : ({ status, value: 0, stack: "Error: sample\n    at sample" } as const);
  return {
    format: CAPSULE_FORMAT,
    id,
    writer: `hindcast ${LIBRARY_VERSION}`,
    service: { name: service, version: undefined },
    pipeline,
    startedAt,
    seed: SEED,
    trace: traceId === undefined ? undefined : { traceId, spanId: "0123456789abcdef" },
    environment: currentEnvironment(),
    limits,
    replayable: { exact, reasons: [] },
    kept,
    stages: [
      {
        name: pipeline,
        kind: "infer",
        data: undefined,
        model: { name: "sample-model", version: modelVersion },
        input: undefined,
        output: undefined,
      },
    ],
    calls: [
      {
        stage: 0,
        parent: -1,
        ordinal: 0,
        at: 0,
        duration: Math.round(duration * 1000),
        input: [0],
        outcome,
        asynchronous: false,
        delivered: false,
        unprompted: false,
      },
    ],
    effects: [],
    events: [
      { kind: "call-start", index: 0 },
      { kind: "call-end", index: 0 },
    ],
    violations: Array.from({ length: violations }, () => ({
      call: 0,
      side: "input" as const,
      issues: [{ path: ["sample"], expected: "a number", received: "string" }],
    })),
    values: [encodeValue(takeSnapshot(value, limits))],
  };
}
