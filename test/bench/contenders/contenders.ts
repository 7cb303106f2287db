import { bare } from "./bare.js";
import { braintrust } from "./braintrust.js";
import type { CreateContender } from "./contender.js";
import { langfuse, langfuseExport } from "./langfuse.js";
import { langsmith } from "./langsmith.js";
import { openInference } from "./open-inference.js";
import { openTelemetry, openTelemetryJson } from "./open-telemetry.js";
import { hindcastFile, hindcastFull, hindcastOff, hindcastSpans } from "./recorder.js";
import { traceloop } from "./traceloop.js";

export const CONTENDERS = [
  "bare",
  "open-telemetry",
  "open-telemetry-json",
  "langfuse",
  "langfuse-export",
  "open-inference",
  "langsmith",
  "braintrust",
  "traceloop",
  "hindcast",
  "hindcast-file",
  "hindcast-spans",
  "hindcast-off",
] as const;
export type ContenderName = (typeof CONTENDERS)[number];

export const contenders: Readonly<Record<ContenderName, CreateContender>> = {
  bare,
  "open-telemetry": openTelemetry,
  "open-telemetry-json": openTelemetryJson,
  langfuse,
  "langfuse-export": langfuseExport,
  "open-inference": openInference,
  langsmith,
  braintrust,
  traceloop,
  hindcast: hindcastFull,
  "hindcast-file": hindcastFile,
  "hindcast-spans": hindcastSpans,
  "hindcast-off": hindcastOff,
};
