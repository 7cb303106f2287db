/** The stream that a root returned, to be read again from its capsule. */
import type { Capsule, EffectRecord } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import type { ClassTable } from "../capsule/decode-value.js";
import { passageOf } from "../streams/passage.js";
import { type ABANDONED, ENDED, type Pull, type StreamMethod } from "../streams/pull.js";

/** How an item was asked for, in the order of asking. */
export interface Asked {
  readonly method: StreamMethod | typeof ABANDONED;
  readonly input: readonly unknown[];
}

/** The items of the root's stream in their order, without the stream itself; none where it returned none. */
function itemsOf(capsule: Capsule): readonly EffectRecord[] {
  return capsule.effects.filter(({ item, call, ordinal }) => item && call === 0 && ordinal > 0);
}

/** How the items of the root's stream were asked for. */
export function askingsOf(capsule: Capsule, classes: ClassTable): readonly Asked[] {
  return itemsOf(capsule).map(({ input: [method, ...input] }) => ({
    method: valueAt(capsule, method as number) as Asked["method"],
    input: input.map((reference) => valueAt(capsule, reference, classes)),
  }));
}

/** `value`, which stands for the root's stream, as a stream of the recorded items that nobody has read yet. */
export function streamedOutcome(capsule: Capsule, value: unknown, classes: ClassTable | undefined): unknown {
  const passage = passageOf(value);
  if (passage === undefined) return value;
  const results = itemsOf(capsule)
    .map(({ outcome }) => outcome)
    .filter((outcome) => outcome.status === "ok")
    .map((outcome) => valueAt(capsule, outcome.value, classes) as IteratorResult<unknown>);
  let given = 0;
  const next: Pull = (method) => (method === "next" ? results[given++] : undefined) ?? ENDED;
  return passage.open(passage.synchronous ? next : (method, input) => Promise.resolve(next(method, input)));
}
