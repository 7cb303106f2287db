export type { CapsuleSummary, StageKind, Version } from "./capsule/capsule.js";
export type { RecordableClass } from "./capsule/decode-value.js";
export type { Capture } from "./capture/capture.js";
export type { Limits } from "./capsule/limits.js";
export type { ContractMode } from "./contract/contract.js";
export type { Schema, SchemaInput, SchemaOutput } from "./contract/standard-schema.js";
export type { Duration } from "./duration.js";
export type { EffectOptions } from "./effects/effect.js";
export {
  type ContractIssue,
  ContractViolation,
  HindcastError,
  type HindcastErrorCode,
  isHindcastError,
} from "./errors.js";
export {
  type CurrentRun,
  type FlushOptions,
  type Hindcast,
  type HindcastStats,
  hindcast,
} from "./hindcast.js";
export type { HindcastOptions, ShutdownOptions } from "./hindcast-options.js";
export type { Losses, LossReason } from "./record/capsule-queue.js";
export type { Failure, Logger } from "./record/failure-report.js";
export { type KeepRule, keep } from "./record/keep.js";
export type { RunSummary } from "./record/recording.js";
export type { Conversion } from "./stage/definition.js";
export type { BuiltInSource, CaptureSource, FailureSource } from "./stage/seam.js";
export type { StageDecorator } from "./stage/decorator.js";
export type {
  DataOptions,
  ModelOptions,
  PipelineOptions,
  StageFactory,
  StageOptions,
  VersionOptions,
} from "./stage/stage-options.js";
export { type FileStoreOptions, fileStore } from "./stores/file-store.js";
export { type MemoryStoreOptions, memoryStore } from "./stores/memory-store.js";
export type { DamagedSegment } from "./stores/segment.js";
export type { CapsuleQuery, Store, StoredCapsule } from "./stores/store.js";
