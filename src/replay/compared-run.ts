import {
  type CallRecord,
  type Capsule,
  type CapsuleEvent,
  callPath,
  type EffectRecord,
  type StageRecord,
  stageOf,
} from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { isPreparation } from "../effects/preparations.js";

/** Whether a call of a stage ran other code than the stage's own; `ordinal` is its number among those of its caller. */
export type IsStageReplaced = (stage: string, ordinal: number) => boolean;

/** One of two runs that are compared, without what happened inside stages whose own code is not compared. */
export class ComparedRun {
  readonly capsule: Capsule;
  readonly #isReplaced: IsStageReplaced;
  #events: readonly CapsuleEvent[] | undefined;
  readonly #paths: string[] = [];
  #calls: Map<string, number> | undefined;
  #descriptions: Set<string> | undefined;

  constructor(capsule: Capsule, isReplaced: IsStageReplaced) {
    this.capsule = capsule;
    this.#isReplaced = isReplaced;
  }

  /** What is compared, in the order in which it happened. */
  get events(): readonly CapsuleEvent[] {
    return (this.#events ??= this.#comparedEvents());
  }

  #comparedEvents(): readonly CapsuleEvent[] {
    const { capsule } = this;
    const replacedAt = (call: number): boolean =>
      this.#isReplaced(stageOf(capsule, call).name, (capsule.calls[call] as CallRecord).ordinal);
    const isWhole =
      !capsule.calls.some((_, call) => replacedAt(call)) &&
      !capsule.effects.some(({ name }) => isPreparation(name));
    if (isWhole) return capsule.events;
    const inside: boolean[] = [];
    for (const [index, call] of capsule.calls.entries()) {
      inside[index] = call.parent >= 0 && (inside[call.parent] === true || replacedAt(call.parent));
    }
    return capsule.events.filter((event) => {
      if (event.kind.startsWith("call")) return inside[event.index] !== true;
      const { call, item, name } = capsule.effects[event.index] as EffectRecord;
      if (isPreparation(name)) return false;
      // Items are what a stage gives, whatever it is made by.
      return inside[call] !== true && (item || !replacedAt(call));
    });
  }

  call(event: CapsuleEvent): CallRecord {
    return this.capsule.calls[event.index] as CallRecord;
  }

  effect(event: CapsuleEvent): EffectRecord {
    return this.capsule.effects[event.index] as EffectRecord;
  }

  /** Whether it is about an item of the stream that a call has returned. */
  isItem(event: CapsuleEvent): boolean {
    return event.kind.startsWith("effect") && this.effect(event).item;
  }

  /** The name of the effect that the event is about, where it is about one. */
  effectNameOf(event: CapsuleEvent): string | undefined {
    if (!event.kind.startsWith("effect")) return undefined;
    const { name, item } = this.effect(event);
    return item ? undefined : name;
  }

  /** The call in which the event happened, or which it is about. */
  callOf(event: CapsuleEvent): number {
    return event.kind.startsWith("call") ? event.index : this.effect(event).call;
  }

  /** The call whose code made the event happen: a call is begun by the one it is part of. */
  actorOf(event: CapsuleEvent): number {
    if (event.kind !== "call-start") return this.callOf(event);
    const { parent } = this.call(event);
    return parent < 0 ? event.index : parent;
  }

  /** Its number among the calls of that stage that its caller made. */
  ordinal(call: number): number {
    return (this.capsule.calls[call] as CallRecord).ordinal;
  }

  stage(call: number): StageRecord {
    return stageOf(this.capsule, call);
  }

  /** The names of the call's stage and of those it is part of. */
  within(call: number): string[] {
    const names: string[] = [];
    for (let index = call; index >= 0; index = (this.capsule.calls[index] as CallRecord).parent) {
      names.push(stageOf(this.capsule, index).name);
    }
    return names;
  }

  path(call: number): string {
    return (this.#paths[call] ??= callPath(this.capsule, call));
  }

  /** The call at a path, or undefined where there is none. */
  callAt(path: string): number | undefined {
    this.#calls ??= new Map(this.capsule.calls.map((_, index) => [this.path(index), index]));
    return this.#calls.get(path);
  }

  /** What the event is, the same for the same event of another run. */
  describe(event: CapsuleEvent): string {
    const path = this.path(this.callOf(event));
    if (this.isItem(event)) {
      const item = `item ${this.effect(event).ordinal} of its stream`;
      return event.kind === "effect-start" ? `${path} is asked for ${item}` : `${path} gives ${item}`;
    }
    switch (event.kind) {
      case "call-start":
        return `${path} begins`;
      case "call-end":
        return `${path} ends`;
      case "effect-start":
        return `${path} begins effect ${effectKey(this.effect(event))}`;
      case "effect-end":
        return `${path} is given the result of effect ${effectKey(this.effect(event))}`;
    }
  }

  /** Whether there is an event of that description. */
  has(description: string): boolean {
    this.#descriptions ??= new Set(this.events.map((event) => this.describe(event)));
    return this.#descriptions.has(description);
  }

  value(reference: number): unknown {
    return valueAt(this.capsule, reference);
  }

  values(references: readonly number[]): unknown[] {
    return references.map((reference) => this.value(reference));
  }

  bytes(reference: number): Uint8Array {
    return this.capsule.values[reference] as Uint8Array;
  }
}

/** An effect by its name and its place among those of that name in its call. */
export function effectKey(effect: Pick<EffectRecord, "name" | "ordinal">): string {
  return effect.ordinal === 0 ? effect.name : `${effect.name}#${effect.ordinal}`;
}
