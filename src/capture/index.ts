export type { Undo } from "../ambient/patch.js";
export type { Capture } from "./capture.js";
export type { CapturedEffect, CapturedOutcome, CapturedRun, ResultConversion } from "./captured-run.js";
export {
  type CaptureDefinition,
  type CapturedMethod,
  type CaptureTools,
  defineCapture,
  type MethodSubstitute,
} from "./define-capture.js";
