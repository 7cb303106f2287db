/**
 * Says what a replay gives for what the program asks: what is recorded, where the record has an answer to that very
 * question; what an option puts in its place; and where neither is, what `onStale` says.
 *
 * Invariants
 * 1. What is recorded for another input is given only where `onStale` says so, and is listed (`StaleAnswers`).
 * 2. Nothing is asked for real unless an option says so (G5).
 */
import { type EffectRecord, stageOf } from "../capsule/capsule.js";
import { type Held, takeSnapshot } from "../capsule/snapshot.js";
import { effectNotRecorded } from "../effects/perform-effect.js";
import { HindcastError } from "../errors.js";
import type { Recording } from "../record/recording.js";
import { convertInput, type Report } from "../stage/conversion.js";
import type { EffectCall, ObservedCall } from "../stage/seam.js";
import { effectKey } from "./compared-run.js";
import type { Difference } from "./difference.js";
import { differenceOfInputs, EffectMatching, type GivenParent, isTimer } from "./effect-matching.js";
import { NOT_RECORDED, type RecordedRun } from "./recorded-run.js";
import { type Asked, effectStale, pathOf, type StaleAnswer, StaleAnswers } from "./stale-answers.js";
import type { Substitute, Substitutes } from "./substitutes.js";
import type { SameNumber } from "./tolerance.js";

/**
 * What is given for an effect. `index` is the recorded effect whose place it takes. `elsewhere`: it is of another call, so
 * that its place in the record's order says nothing of this one.
 */
export type Answer =
  | { readonly how: "recorded"; readonly index: number; readonly elsewhere: boolean }
  /** A builder: what it asks is known when it is asked. `index` is the one that it looks like, if there is one. */
  | { readonly how: "builder"; readonly index: number }
  | { readonly how: "run"; readonly index: number; readonly run: Exclude<Substitute, "recorded"> }
  /** It belongs to an effect that something else was given for, and is part of that. */
  | { readonly how: "inside"; readonly index: number }
  /** Time and chance that the record does not have. */
  | { readonly how: "made-up" }
  /** A stream is given up before the record gives it up: nothing is asked by that. */
  | { readonly how: "given-up" }
  | { readonly how: "refused"; readonly error: HindcastError };

/** What is given for what a builder asks. */
export type BuiltAnswer = Extract<Answer, { how: "recorded" | "run" | "refused" }>;

/** What is given for a call of a stage that is to be given as recorded. */
export type CallAnswer =
  | { readonly how: "recorded"; readonly index: number; readonly elsewhere: boolean }
  | { readonly how: "live" }
  | { readonly how: "refused"; readonly error: HindcastError };

export interface AnsweringOptions {
  readonly substitutes: Substitutes;
  readonly isSame: SameNumber;
  /** Whether the effect that was entered last is what the record has next, with the same input. */
  readonly isAsRecorded: (entry: number) => boolean;
  /** The recorded call that a call of the replay is. */
  readonly match: (call: ObservedCall) => number;
  /** Told of a conversion that throws. */
  readonly report: Report;
}

const MAXIMUM_NOTES = 16;
const MADE_UP: Answer = { how: "made-up" };
const GIVEN_UP: Answer = { how: "given-up" };

export class Answering {
  readonly #recorded: RecordedRun;
  readonly #recording: Recording;
  readonly #options: AnsweringOptions;
  readonly #matching: EffectMatching;
  readonly #stale = new StaleAnswers();
  readonly #callsGiven: Uint8Array;
  readonly #notes: string[] = [];
  /** Effects that are not given as recorded because an option says so, with their streams. */
  readonly #replaced = new Set<string>();

  constructor(recorded: RecordedRun, recording: Recording, options: AnsweringOptions) {
    this.#recorded = recorded;
    this.#recording = recording;
    this.#options = options;
    this.#matching = new EffectMatching(recorded, options.isSame);
    this.#callsGiven = new Uint8Array(recorded.capsule.calls.length);
  }

  get stale(): readonly StaleAnswer[] {
    return this.#stale.list;
  }

  /** Answers that were found at another place than the one they were asked at. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** Whether an option had an effect, or what it is part of, not given as recorded. */
  isReplaced(call: string, effect: string): boolean {
    return this.#replaced.has(`${call} ${effect}`);
  }

  /** The recorded effect that is at the effect's place, whatever its input. */
  place(effect: EffectCall): number {
    const parent = this.#matching.parentOf(effect);
    if (parent !== undefined) return this.#matching.placeBeside(effect, parent);
    const call = this.#options.match(effect.call);
    return call === NOT_RECORDED ? NOT_RECORDED : this.#recorded.effect(call, effect.name, effect.ordinal);
  }

  /** What is given for an effect that has been entered as `entry`. */
  effect(effect: EffectCall, input: readonly unknown[], entry: number): Answer {
    const { substitutes } = this.#options;
    const place = this.place(effect);
    const isFree = place !== NOT_RECORDED && !this.#matching.isGiven(place);
    const parent = this.#matching.parentOf(effect);
    const index = isFree ? place : NOT_RECORDED;
    const option = parent?.given ?? this.#optionFor(effect);
    // There is no value in the record, and nothing outside to keep from: it is computed, also inside of a substitute.
    const isComputed = effect.computed === true && (option === "recorded" || option === "refused");
    const given = isComputed ? undefined : option;
    if (given === "refused") return { how: "inside", index: NOT_RECORDED };
    if (given !== undefined && given !== "recorded") {
      this.#replaced.add(keyOf(effect));
      if (isFree) this.#matching.give(place);
      if (effect.of !== undefined && given !== "live") return { how: "inside", index };
      if (given !== "live" || parent === undefined) this.#matching.setParent(effect, { given, index });
      return { how: "run", index, run: given };
    }
    if (effect.live === true && given === undefined) {
      if (isFree) this.#matching.give(place);
      return { how: "run", index, run: "live" };
    }
    if (isFree && !this.#isBuilderAt(place) && this.#options.isAsRecorded(entry))
      return this.#give(effect, place);
    const held = this.#held(effect, input, entry);
    if (effect.madeUp !== undefined) {
      if (isFree && this.#isUsable(effect, place, held)) return this.#give(effect, place);
      const isLive = isTimer(effect.name) && substitutes.mayBeLive();
      return isLive ? { how: "run", index: NOT_RECORDED, run: "live" } : MADE_UP;
    }
    const difference = isFree ? this.#matching.difference(place, held) : undefined;
    if (isFree && difference === undefined && !this.#isBuilderAt(place)) return this.#give(effect, place);
    // Asked again, a builder is no builder any more.
    if (effect.before === undefined && this.#recorded.isBuilder(effect.name)) {
      return { how: "builder", index: this.#looksLike(effect, index, held) };
    }
    if (isGivingUp(effect, input)) return GIVEN_UP;
    const found = isReading(effect) ? NOT_RECORDED : this.#search(effect, held);
    if (found !== NOT_RECORDED) return this.#giveBeside(effect, found);
    return this.#answerStale(effect, index, difference, !isReading(effect));
  }

  /** What is given for what a builder asks, that looked like the recorded one at `index`. */
  asked(effect: EffectCall, index: number, held: readonly Held[], canBeLive: boolean): BuiltAnswer {
    const isFree = index !== NOT_RECORDED && !this.#matching.isGiven(index);
    const difference = isFree ? this.#matching.difference(index, held) : undefined;
    if (isFree && difference === undefined) return this.#give(effect, index);
    const found = this.#search(effect, held);
    if (found !== NOT_RECORDED) return this.#giveBeside(effect, found);
    return this.#answerStale(effect, isFree ? index : NOT_RECORDED, difference, canBeLive);
  }

  /** Whether an effect may be asked for real, where the record has no answer. */
  mayBecomeLive(effect: EffectCall): boolean {
    const { substitutes } = this.#options;
    return substitutes.mayBeLive() && substitutes.onStale(effect.call, ...named(effect)) === "live";
  }

  #isBuilderAt(index: number): boolean {
    return this.#recorded.effectAt(index).builder !== undefined;
  }

  /** The recorded builder that began as this one did: that at its place, or another, or again that at its place. */
  #looksLike({ call, name }: EffectCall, place: number, held: readonly Held[]): number {
    if (place !== NOT_RECORDED && this.#matching.beginsAlike(place, held)) return place;
    const found = this.#matching.searchBeginning(this.#options.match(call), name, held);
    return found === NOT_RECORDED ? place : found;
  }

  /** What is given for a call of a stage that is to be given as recorded. */
  call(call: ObservedCall): CallAnswer {
    const place = this.#options.match(call);
    const { name } = call.definition;
    const held = this.#recording.contents().calls[call.index]?.input;
    const isFree = place !== NOT_RECORDED && this.#callsGiven[place] === 0;
    // What the recording has no room for cannot be compared, and what is recorded there has no input either.
    if (held === undefined && isFree) return this.#giveCall(call, place);
    const difference = isFree && held !== undefined ? this.#differenceOfCall(place, held) : undefined;
    if (isFree && difference === undefined) return this.#giveCall(call, place);
    const found = held === undefined ? NOT_RECORDED : this.#searchCall(call, held);
    if (found !== NOT_RECORDED) return this.#giveCall(call, found);
    const asked: Asked = { call, effect: undefined, difference };
    const onStale = this.#options.substitutes.onStaleCall(call);
    if (onStale === "live") {
      this.#stale.add(asked, "live");
      return { how: "live" };
    }
    if (onStale === "recorded" && isFree) {
      this.#stale.add(asked, "recorded");
      return this.#giveCall(call, place);
    }
    this.#stale.add(asked, "refused");
    const error =
      difference === undefined
        ? new HindcastError(
            "stage-not-recorded",
            `Stage "${name}" cannot be replayed as recorded: the capsule holds no such call. ` +
              `Let it run: { stages: { "${name}": "live" } }.`,
          )
        : effectStale({ ...asked, difference });
    return { how: "refused", error };
  }

  #optionFor(effect: EffectCall): Substitute | undefined {
    const { substitutes } = this.#options;
    if (substitutes.isEmpty) return undefined;
    return substitutes.effect(effect, ...named(effect));
  }

  #give({ call }: EffectCall, index: number): BuiltAnswer {
    this.#matching.give(index);
    const elsewhere = this.#recorded.effectAt(index).call !== this.#options.match(call);
    return { how: "recorded", index, elsewhere };
  }

  #giveBeside(effect: EffectCall, index: number): BuiltAnswer {
    this.#matching.setParent(effect, { given: "recorded", index });
    if (this.#notes.length < MAXIMUM_NOTES) {
      const record = this.#recorded.effectAt(index);
      this.#notes.push(
        `effect ${effectKey(effect)} in ${pathOf(effect.call)} was given what is recorded of ${this.#nameOf(record)}, ` +
          "which had the same input",
      );
    }
    return this.#give(effect, index);
  }

  #nameOf(record: EffectRecord): string {
    const { capsule } = this.#recorded;
    const stage = stageOf(capsule, record.call).name;
    return `${effectKey(record)} in ${stage}`;
  }

  #search(effect: EffectCall, held: readonly Held[]): number {
    return this.#matching.search(this.#options.match(effect.call), effect.name, held);
  }

  /** The record has no answer to what is asked. */
  #answerStale(
    effect: EffectCall,
    place: number,
    difference: Difference | undefined,
    canBeLive: boolean,
  ): BuiltAnswer {
    const { call, name, ordinal } = effect;
    const asked: Asked = { call, effect, difference };
    const onStale = this.#options.substitutes.onStale(call, ...named(effect));
    // What is read of a recorded stream cannot be asked for real.
    if (onStale === "live" && canBeLive) {
      this.#stale.add(asked, "live");
      this.#setParent(effect, { given: "live", index: NOT_RECORDED });
      return { how: "run", index: NOT_RECORDED, run: "live" };
    }
    if (onStale === "recorded") {
      const index = place === NOT_RECORDED ? this.#matching.nextOf(this.#options.match(call), name) : place;
      if (index !== NOT_RECORDED) {
        this.#stale.add(asked, "recorded");
        if (index !== place) this.#setParent(effect, { given: "recorded", index });
        return this.#give(effect, index);
      }
    }
    this.#stale.add(asked, "refused");
    this.#setParent(effect, { given: "refused", index: NOT_RECORDED });
    const error =
      difference === undefined
        ? effectNotRecorded(name, call.definition.name, this.#whyNotRecorded(effect))
        : effectStale({ call, effect: { name, ordinal }, difference });
    return { how: "refused", error };
  }

  #setParent(effect: EffectCall, parent: GivenParent): void {
    this.#matching.setParent(effect, parent);
  }

  #whyNotRecorded({ call, name, ordinal }: EffectCall): string {
    const recorded = this.#options.match(call);
    if (recorded === NOT_RECORDED) return "the capsule holds no such call of the stage";
    const made = this.#recorded.effectCount(recorded, name);
    if (made === 0) return "the capsule holds no such effect there";
    return ordinal < made
      ? "what is recorded of it was given already, and nothing else has the same input"
      : `it began ${ordinal + 1} times, and ${made} are recorded`;
  }

  /** Whether time or chance at that place is what is asked for. */
  #isUsable({ name, call }: EffectCall, place: number, held: readonly Held[]): boolean {
    // A timer that was given up in the record never comes: that is no answer to somebody who waits for another one.
    const isPending = this.#recorded.effectAt(place).outcome.status === "pending";
    if (!isTimer(name) || isPending) {
      if (this.#matching.difference(place, held) !== undefined) return false;
    }
    // Those of the stage's own code have nothing to do with what another function waits for.
    return (
      !isTimer(name) ||
      typeof this.#options.substitutes.stage(call.definition.name, call.ordinal) !== "function"
    );
  }

  #held(effect: EffectCall, input: readonly unknown[], entry: number): readonly Held[] {
    const entered = this.#recording.contents().effects[entry]?.input;
    if (entered !== undefined) return entered;
    const { limits } = this.#recorded.capsule;
    const converted = convertInput(effect.record, input, this.#options.report);
    return converted.map((value) => takeSnapshot(value, limits));
  }

  #giveCall({ parent }: ObservedCall, index: number): CallAnswer {
    this.#callsGiven[index] = 1;
    const elsewhere =
      parent !== undefined && this.#recorded.callAt(index).parent !== this.#options.match(parent);
    return { how: "recorded", index, elsewhere };
  }

  #differenceOfCall(index: number, held: readonly Held[]): Difference | undefined {
    return differenceOfInputs(this.#recorded, this.#recorded.callAt(index).input, held, this.#options.isSame);
  }

  #searchCall(call: ObservedCall, held: readonly Held[]): number {
    const { capsule } = this.#recorded;
    const parent = call.parent === undefined ? NOT_RECORDED : this.#options.match(call.parent);
    const candidates = [...capsule.calls.keys()]
      .filter(
        (index) => this.#callsGiven[index] === 0 && stageOf(capsule, index).name === call.definition.name,
      )
      .toSorted((a, b) => Number(this.#isIn(parent, b)) - Number(this.#isIn(parent, a)));
    return candidates.find((index) => this.#differenceOfCall(index, held) === undefined) ?? NOT_RECORDED;
  }

  #isIn(parent: number, index: number): boolean {
    return this.#recorded.callAt(index).parent === parent;
  }
}

/** The name and number of an effect, or of the one that it belongs to. */
function named({ name, ordinal, of }: EffectCall): [string, number] {
  if (of === undefined) return [name, ordinal];
  // `fetch#1.stream` belongs to the second fetch.
  const number = name.startsWith(`${of}#`) ? Number.parseInt(name.slice(of.length + 1), 10) : 0;
  return [of, Number.isNaN(number) ? 0 : number];
}

function keyOf({ call, name, ordinal }: EffectCall): string {
  return `${pathOf(call)} ${effectKey({ name, ordinal })}`;
}

/** Whether an effect is a part of an exchange: what is read of its stream, or sent after its head. */
function isReading({ of, name }: EffectCall): boolean {
  return of !== undefined && (name.endsWith(".stream") || name.endsWith(".sent"));
}

/** Whether a stream is told that no more of it is wanted. */
function isGivingUp({ of, name }: EffectCall, [method]: readonly unknown[]): boolean {
  return of !== undefined && name.endsWith(".stream") && (method === "return" || method === "throw");
}
