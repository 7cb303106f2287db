/** What the writer and the reader of capsules have in common. */
import {
  type CallKind,
  type CapsuleEvent,
  EVENT_KINDS,
  type EventKind,
  type OutcomeRecord,
} from "./capsule.js";

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
const EVENT_BITS = 2;
const EVENT_NUMBERS: Readonly<Record<EventKind, number>> = {
  "call-start": 0,
  "call-end": 1,
  "effect-start": 2,
  "effect-end": 3,
};

/** An event as one number: its kind in the low bits, and the index above them. */
export function packEvent(kind: EventKind, index: number): number {
  return (index << EVENT_BITS) | EVENT_NUMBERS[kind];
}

export function unpackEvent(packed: number): CapsuleEvent {
  const kind = EVENT_KINDS[packed & ((1 << EVENT_BITS) - 1)] as EventKind;
  return { kind, index: packed >>> EVENT_BITS };
}
