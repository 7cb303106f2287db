export type {
  CallKind,
  CallRecord,
  Capsule,
  CapsuleEvent,
  CapsuleSummary,
  EffectRecord,
  OutcomeRecord,
  ParentRecord,
  StageRecord,
  Version,
  ViolationRecord,
} from "../capsule/capsule.js";
export { valueAt } from "../capsule/decode-capsule.js";
export { Marker, type MarkerReason } from "../capsule/marker.js";
export { RecordedStream, type StreamKind } from "../capsule/recorded-stream.js";
export type { Cause } from "./cause.js";
export { compareCapsules, type CompareOptions } from "./compare-capsules.js";
export { describeCapsule } from "./describe-capsule.js";
export type { Divergence, DivergencePoint } from "./divergence.js";
export { explain } from "./explain.js";
export type { NearestEffect } from "./nearest-effect.js";
export { type CapsuleSource, readCapsule } from "./read-capsule.js";
export {
  type ReplayOptions,
  type ReplayOutcome,
  type ReplayResult,
  inputOf,
  outcomeOf,
  replay,
} from "./replay.js";
export type { Pace, Substitute } from "./replaying-conductor.js";
export { storedCapsule } from "./stored-capsule.js";
export type { Tolerance } from "./tolerance.js";
