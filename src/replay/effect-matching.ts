/**
 * Finds the recorded effect that answers what a replay asks.
 *
 * Invariants
 * 1. An answer is found for the same name and the same input alone: first the one at the same place (the call, the name
 *    and the number), then another one of that call, then one of any other call. What was asked is never ignored.
 * 2. Each recorded effect answers once.
 * 3. What reaches nothing outside (time) has no input that matters.
 */
import type { EffectRecord } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { decodeValue } from "../capsule/decode-value.js";
import { encodeValue, isEncodedAs } from "../capsule/encode-value.js";
import type { Held } from "../capsule/snapshot.js";
import type { EffectCall } from "../stage/seam.js";
import { effectKey } from "./compared-run.js";
import type { Difference } from "./difference.js";
import { differenceOfQuestions } from "./question.js";
import { NOT_RECORDED, type RecordedRun } from "./recorded-run.js";
import type { Substitute } from "./substitutes.js";
import type { SameNumber } from "./tolerance.js";

/** What these give does not depend on what they are given. */
const TIMERS = /^(set(Timeout|Interval|Immediate)|timers\/promises\..*|AbortSignal\.timeout)$/;

/** Whether an effect is a timer, whose delay is not what it gives. */
export function isTimer(name: string): boolean {
  return TIMERS.test(name);
}

/** What was given for an effect that others belong to, such as the readings of its stream. */
export interface GivenParent {
  /** `refused`: it threw; what belongs to it never comes. */
  readonly given: Substitute | "refused";
  /** The recorded effect whose readings are given; `NOT_RECORDED` where none are. */
  readonly index: number;
}

/** Of so many the inputs are decoded and looked at: beyond that, only what is the same to the byte is found. */
const MAXIMUM_CANDIDATES = 500;

export class EffectMatching {
  readonly #recorded: RecordedRun;
  readonly #isSame: SameNumber;
  readonly #given: Uint8Array;
  /** By the call's number and the effect's key. */
  readonly #parents = new Map<string, GivenParent>();
  #byName: Map<string, number[]> | undefined;

  constructor(recorded: RecordedRun, isSame: SameNumber) {
    this.#recorded = recorded;
    this.#isSame = isSame;
    this.#given = new Uint8Array(recorded.capsule.effects.length);
  }

  isGiven(index: number): boolean {
    return this.#given[index] === 1;
  }

  /** Notes that a recorded effect has answered. */
  give(index: number): void {
    this.#given[index] = 1;
  }

  /** Notes what was given for an effect, where that is not what is recorded at its place. */
  setParent({ call, name, ordinal }: EffectCall, parent: GivenParent): void {
    this.#parents.set(`${call.index} ${effectKey({ name, ordinal })}`, parent);
  }

  /** What was given for the effect that this one belongs to, where that was not what is recorded at its place. */
  parentOf({ call, name, of }: EffectCall): GivenParent | undefined {
    if (of === undefined || this.#parents.size === 0) return undefined;
    // Other members of what an effect gave are asked by themselves.
    if (!name.endsWith(".stream") && !name.endsWith(".sent")) return undefined;
    return this.#parents.get(`${call.index} ${name.slice(0, name.lastIndexOf("."))}`);
  }

  /** The recorded effect that an effect is by its place, where what it belongs to was answered by another one. */
  placeBeside({ name, ordinal }: EffectCall, parent: GivenParent): number {
    if (parent.index === NOT_RECORDED) return NOT_RECORDED;
    const record = this.#recorded.effectAt(parent.index);
    const suffix = name.slice(name.lastIndexOf("."));
    return this.#recorded.effect(record.call, `${effectKey(record)}${suffix}`, ordinal);
  }

  /** The first difference between what is recorded as asked and what is asked now. */
  difference(index: number, input: readonly Held[]): Difference | undefined {
    const { input: was } = this.#recorded.effectAt(index);
    return differenceOfInputs(this.#recorded, was, input, this.#isSame);
  }

  /** A recorded effect of the same name and input that has not been given yet; `NOT_RECORDED` where there is none. */
  search(call: number, name: string, input: readonly Held[]): number {
    const candidates = this.#named(name).filter((index) => this.#given[index] === 0);
    const inCall = candidates.filter((index) => this.#recorded.effectAt(index).call === call);
    const elsewhere = candidates.filter((index) => this.#recorded.effectAt(index).call !== call);
    let looked = 0;
    for (const index of [...inCall, ...elsewhere]) {
      if (isSameInBytes(this.#recorded, this.#recorded.effectAt(index).input, input)) return index;
    }
    for (const index of [...inCall, ...elsewhere]) {
      if (looked++ >= MAXIMUM_CANDIDATES) break;
      if (this.difference(index, input) === undefined) return index;
    }
    return NOT_RECORDED;
  }

  /** Whether what a builder was made with is the beginning of what a recorded one asked. */
  beginsAlike(index: number, input: readonly Held[]): boolean {
    const was = this.#recorded.effectAt(index).input.slice(0, input.length);
    return differenceOfInputs(this.#recorded, was, input, this.#isSame) === undefined;
  }

  /** A recorded builder that began as this one does, and has not been asked yet; in the same call before another. */
  searchBeginning(call: number, name: string, input: readonly Held[]): number {
    const candidates = this.#named(name).filter((index) => this.#given[index] === 0);
    const isHere = (index: number): number => Number(this.#recorded.effectAt(index).call === call);
    const found = candidates
      .toSorted((a, b) => isHere(b) - isHere(a))
      .slice(0, MAXIMUM_CANDIDATES)
      .find((index) => this.beginsAlike(index, input));
    return found ?? NOT_RECORDED;
  }

  /** The next effect of that name in the call that has not been given yet, whatever its input. */
  nextOf(call: number, name: string): number {
    const next = this.#named(name).find(
      (index) => this.#given[index] === 0 && this.#recorded.effectAt(index).call === call,
    );
    return next ?? NOT_RECORDED;
  }

  #named(name: string): readonly number[] {
    if (this.#byName === undefined) {
      this.#byName = new Map();
      for (const [index, effect] of this.#recorded.capsule.effects.entries()) this.#enter(index, effect);
    }
    return this.#byName.get(name) ?? [];
  }

  #enter(index: number, { name, item }: EffectRecord): void {
    if (item) return;
    const list = this.#byName?.get(name);
    if (list === undefined) this.#byName?.set(name, [index]);
    else list.push(index);
  }
}

/** The first difference between recorded arguments and those of today, as a path into the list of them. */
export function differenceOfInputs(
  { capsule }: RecordedRun,
  was: readonly number[],
  input: readonly Held[],
  isSame: SameNumber,
): Difference | undefined {
  for (let index = 0; index < Math.max(was.length, input.length); index++) {
    const reference = was[index];
    if (reference !== undefined && index < input.length) {
      const held = input[index];
      const bytes = capsule.values[reference] as Uint8Array;
      if (isEncodedAs(held, bytes)) continue;
      const difference = differenceOfQuestions(
        valueAt(capsule, reference),
        decodeValue(encodeValue(held)),
        isSame,
      );
      if (difference !== undefined) return { ...difference, path: [index, ...difference.path] };
      continue;
    }
    return {
      path: [index],
      expected: reference === undefined ? undefined : valueAt(capsule, reference),
      actual: index < input.length ? decodeValue(encodeValue(input[index])) : undefined,
      absent: reference === undefined ? "expected" : "actual",
    };
  }
  return undefined;
}

function isSameInBytes({ capsule }: RecordedRun, was: readonly number[], input: readonly Held[]): boolean {
  if (was.length !== input.length) return false;
  return was.every((reference, index) => isEncodedAs(input[index], capsule.values[reference] as Uint8Array));
}
