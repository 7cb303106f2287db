export type {
  CallKind,
  CallRecord,
  Capsule,
  CapsuleEvent,
  CapsuleSummary,
  EffectRecord,
  OutcomeRecord,
  StageRecord,
  Version,
  ViolationRecord,
} from "../capsule/capsule.js";
export { valueAt } from "../capsule/decode-capsule.js";
export { Marker, type MarkerReason } from "../capsule/marker.js";
export { RecordedStream, type StreamKind } from "../capsule/recorded-stream.js";
export { describeCapsule } from "./describe-capsule.js";
export type { Cause, Divergence, DivergencePoint } from "./divergence.js";
export { explain } from "./explain.js";
export {
  type CapsuleSource,
  type ReplayOptions,
  type ReplayOutcome,
  type ReplayResult,
  inputOf,
  outcomeOf,
  readCapsule,
  replay,
} from "./replay.js";
export type { Pace, Substitute } from "./replaying-conductor.js";
