import type { CallRecord, Capsule, EffectRecord, OutcomeRecord } from "../capsule/capsule.js";
import { rootCall, stageOf } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import type { ClassTable } from "../capsule/decode-value.js";
import type { BuilderLog } from "../capsule/recorded-handle.js";
import type { Outcome } from "../stage/definition.js";
import type { MissingParts } from "./missing-parts.js";

/** What there is no record of. */
export const NOT_RECORDED = -1;

export type SettledOutcome = Exclude<OutcomeRecord, { status: "pending" }>;

/** A capsule, to be looked up by the keys of a run. */
export class RecordedRun {
  readonly capsule: Capsule;
  readonly #classes: ClassTable;
  readonly #missing: MissingParts;
  #index: Index | undefined;
  /** Behind what was found last: a program mostly does the next thing that is recorded. */
  #nextCall = 0;
  #nextEffect = 0;
  #builders: Set<string> | undefined;

  constructor(capsule: Capsule, classes: ClassTable, missing: MissingParts) {
    this.#missing = missing;
    this.capsule = capsule;
    this.#classes = classes;
  }

  call(parent: number, name: string, ordinal: number): number {
    const next = this.capsule.calls[this.#nextCall];
    const isNext =
      next !== undefined &&
      next.parent === parent &&
      next.ordinal === ordinal &&
      this.capsule.stages[next.stage]?.name === name;
    const found = isNext ? this.#nextCall : find(this.#indexed.calls, parent, name, ordinal);
    if (found !== NOT_RECORDED) this.#nextCall = found + 1;
    return found;
  }

  effect(call: number, name: string, ordinal: number): number {
    const next = this.capsule.effects[this.#nextEffect];
    const isNext =
      next !== undefined &&
      next.call === call &&
      next.ordinal === ordinal &&
      !next.item &&
      next.name === name;
    const found = isNext ? this.#nextEffect : find(this.#indexed.effects, call, name, ordinal);
    if (found !== NOT_RECORDED) this.#nextEffect = found + 1;
    return found;
  }

  /** The items of the stream that a call returned, by their ordinals; none where it returned no stream. */
  items(call: number): readonly number[] {
    return this.#indexed.items.get(call) ?? NONE;
  }

  callAt(index: number): CallRecord {
    return this.capsule.calls[index] as CallRecord;
  }

  effectAt(index: number): EffectRecord {
    return this.capsule.effects[index] as EffectRecord;
  }

  /** What was called on the builder that the effect gave. */
  builderLog(index: number): BuilderLog {
    const { builder } = this.effectAt(index);
    const log: unknown = builder === undefined ? [] : valueAt(this.capsule, builder, this.#classes);
    return Array.isArray(log) ? (log as BuilderLog) : [];
  }

  /** Whether effects of that name gave builders, wherever there was one. */
  isBuilder(effectName: string): boolean {
    this.#builders ??= new Set(
      this.capsule.effects.filter(({ builder }) => builder !== undefined).map(({ name }) => name),
    );
    return this.#builders.has(effectName);
  }

  /** How many effects of that name the call made. */
  effectCount(call: number, name: string): number {
    return this.#indexed.effects.get(call)?.get(name)?.length ?? 0;
  }

  /** Whether calls of that stage returned promises, wherever there was one. */
  isStageAsynchronous(name: string): boolean {
    return this.capsule.calls.some(
      ({ asynchronous }, index) => asynchronous && stageOf(this.capsule, index).name === name,
    );
  }

  /** Whether effects of that name returned promises, wherever there was one. */
  isAsynchronous(effectName: string): boolean {
    return this.capsule.effects.some((effect) => effect.name === effectName && effect.asynchronous);
  }

  get #indexed(): Index {
    return (this.#index ??= indexOf(this.capsule));
  }

  /** A value, decoded anew; undefined where it cannot be read, which is told of. */
  value(reference: number): unknown {
    try {
      return valueAt(this.capsule, reference, this.#classes);
    } catch {
      this.#missing.unreadable(reference);
      return undefined;
    }
  }

  /**
   * The outcome, decoded anew, as a program may change what it is given. One that cannot be read is told of, and
   * given as the error that says so.
   */
  outcome(record: SettledOutcome): Outcome {
    let value: unknown;
    try {
      value = valueAt(this.capsule, record.value, this.#classes, this.#missing.tell);
    } catch (error) {
      this.#missing.unreadable(record.value);
      return { status: "error", error };
    }
    return record.status === "ok" ? { status: "ok", value } : { status: "error", error: value };
  }

  /** The arguments that the run was called with, decoded anew. Tells of one that cannot be read, and throws `capsule-damaged`. */
  input(): unknown[] {
    return rootCall(this.capsule).input.map((reference) => {
      try {
        return valueAt(this.capsule, reference, this.#classes, this.#missing.tell);
      } catch (error) {
        this.#missing.unreadable(reference);
        throw error;
      }
    });
  }
}

/** By parent call, then by name; the position in the list is the ordinal. */
type Table = Map<number, Map<string, number[]>>;

interface Index {
  readonly calls: Table;
  readonly effects: Table;
  /** By call: the items of the stream that it returned. */
  readonly items: Map<number, number[]>;
}

const NONE: readonly never[] = [];

function indexOf(capsule: Capsule): Index {
  const index: Index = { calls: new Map(), effects: new Map(), items: new Map() };
  for (const [position, call] of capsule.calls.entries()) {
    enter(index.calls, call.parent, stageOf(capsule, position).name, call.ordinal, position);
  }
  for (const [position, { name, call, ordinal, item }] of capsule.effects.entries()) {
    if (item) {
      const items = index.items.get(call) ?? [];
      items[ordinal] = position;
      index.items.set(call, items);
    } else enter(index.effects, call, name, ordinal, position);
  }
  return index;
}

function find(table: Table, parent: number, name: string, ordinal: number): number {
  return table.get(parent)?.get(name)?.[ordinal] ?? NOT_RECORDED;
}

function enter(table: Table, parent: number, name: string, ordinal: number, index: number): void {
  let byName = table.get(parent);
  if (byName === undefined) table.set(parent, (byName = new Map()));
  let list = byName.get(name);
  if (list === undefined) byName.set(name, (list = []));
  list[ordinal] = index;
}
