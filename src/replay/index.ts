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
export type { Divergence, DivergencePoint, Thrown } from "./divergence.js";
export { explain } from "./explain.js";
export type { NearestEffect } from "./nearest-effect.js";
export { type CapsuleSource, readCapsule } from "./read-capsule.js";
export {
  type ReplayOptions,
  type ReplayResult,
  inputOf,
  outcomeOf,
  replay,
} from "./replay.js";
export type { RecordedAnswer } from "./recorded-answer.js";
export type { Pace } from "./replaying-conductor.js";
export type { ReplayOutcome } from "./replay-outcome.js";
export type { StaleAnswer } from "./stale-answers.js";
export { storedCapsule } from "./stored-capsule.js";
export type { EffectSubstitute, OnStale, StageSubstitute, Substitute } from "./substitutes.js";
export type { Tolerance } from "./tolerance.js";
