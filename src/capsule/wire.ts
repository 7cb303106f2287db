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
export const FLAG_BUILDER = 16;
export const FLAG_READ = 32;
export const FLAG_JOINED = 64;
const EVENT_BITS = 2;
const EVENT_NUMBERS = Object.fromEntries(EVENT_KINDS.map((kind, number) => [kind, number])) as Readonly<
  Record<EventKind, number>
>;

/** An event as one number: its kind in the low bits, and the index above them. */
export function packEvent(kind: EventKind, index: number): number {
  return (index << EVENT_BITS) | EVENT_NUMBERS[kind];
}

/** The first ones: nearly all capsules have these, and there need not be two of any. */
const MOST_EVENTS = 4096;
const events = new Array<CapsuleEvent | undefined>(MOST_EVENTS);

export function unpackEvent(packed: number): CapsuleEvent {
  const known = events[packed];
  if (known !== undefined) return known;
  const kind = EVENT_KINDS[packed & ((1 << EVENT_BITS) - 1)] as EventKind;
  const event = { kind, index: packed >>> EVENT_BITS };
  return packed < MOST_EVENTS ? (events[packed] = Object.freeze(event)) : event;
}
