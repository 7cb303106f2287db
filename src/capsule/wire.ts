/** What the writer and the reader of capsules have in common. */
import type { CallKind, OutcomeRecord } from "./capsule.js";

/** First element of the envelope. */
export const ENVELOPE_NAME = "hindcast";
/** In the order of their numbers. */
export const OUTCOMES: readonly OutcomeRecord["status"][] = ["ok", "error", "pending"];
export const KINDS: readonly CallKind[] = [
  "pipeline",
  "ingest",
  "feature",
  "infer",
  "decide",
  "tool",
  "agent",
];
export const REASONS = ["lost", "class", "uncontrolled"] as const;
export const FLAG_ASYNCHRONOUS = 1;
export const FLAG_DELIVERED = 2;
export const FLAG_UNPROMPTED = 4;
/** Of an effect alone. */
export const FLAG_ITEM = 8;
/** An event is its kind in the low bits, and an index above them. */
export const EVENT_BITS = 2;
