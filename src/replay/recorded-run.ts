import type { CallRecord, Capsule, EffectRecord, OutcomeRecord } from "../capsule/capsule.js";
import { stageOf } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import type { ClassTable } from "../capsule/decode-value.js";
import type { Outcome } from "../stage/definition.js";

/** What there is no record of. */
export const NOT_RECORDED = -1;

export type SettledOutcome = Exclude<OutcomeRecord, { status: "pending" }>;

/** A capsule, to be looked up by the keys of a run. */
export class RecordedRun {
  readonly capsule: Capsule;
  readonly #classes: ClassTable;
  /** By parent call, then by name; the position in the list is the ordinal. */
  readonly #calls = new Map<number, Map<string, number[]>>();
  readonly #effects = new Map<number, Map<string, number[]>>();
  /** By call: the items of the stream that it returned. */
  readonly #items = new Map<number, number[]>();

  constructor(capsule: Capsule, classes: ClassTable) {
    this.capsule = capsule;
    this.#classes = classes;
    for (const [index, call] of capsule.calls.entries()) {
      enter(this.#calls, call.parent, stageOf(capsule, index).name, call.ordinal, index);
    }
    for (const [index, effect] of capsule.effects.entries()) {
      if (!effect.item) enter(this.#effects, effect.call, effect.name, effect.ordinal, index);
      else this.items(effect.call)[effect.ordinal] = index;
    }
  }

  call(parent: number, name: string, ordinal: number): number {
    return this.#calls.get(parent)?.get(name)?.[ordinal] ?? NOT_RECORDED;
  }

  effect(call: number, name: string, ordinal: number): number {
    return this.#effects.get(call)?.get(name)?.[ordinal] ?? NOT_RECORDED;
  }

  /** The items of the stream that a call returned, by their ordinals; none where it returned no stream. */
  items(call: number): number[] {
    let items = this.#items.get(call);
    if (items === undefined) this.#items.set(call, (items = []));
    return items;
  }

  callAt(index: number): CallRecord {
    return this.capsule.calls[index] as CallRecord;
  }

  effectAt(index: number): EffectRecord {
    return this.capsule.effects[index] as EffectRecord;
  }

  /** How many effects of that name the call made. */
  effectCount(call: number, name: string): number {
    return this.#effects.get(call)?.get(name)?.length ?? 0;
  }

  /** Whether effects of that name returned promises, wherever there was one. */
  isAsynchronous(effectName: string): boolean {
    return this.capsule.effects.some((effect) => effect.name === effectName && effect.asynchronous);
  }

  /** The outcome, decoded anew, as a program may change what it is given. */
  outcome(record: SettledOutcome): Outcome {
    const value = valueAt(this.capsule, record.value, this.#classes);
    return record.status === "ok" ? { status: "ok", value } : { status: "error", error: value };
  }
}

function enter(
  table: Map<number, Map<string, number[]>>,
  parent: number,
  name: string,
  ordinal: number,
  index: number,
): void {
  let byName = table.get(parent);
  if (byName === undefined) table.set(parent, (byName = new Map()));
  let list = byName.get(name);
  if (list === undefined) byName.set(name, (list = []));
  list[ordinal] = index;
}
