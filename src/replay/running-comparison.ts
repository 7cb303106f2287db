/**
 * Compares a replay with the record while it goes on. Of most replays nothing else needs to be known than
 * that all was the same; only where something was not, the replay's capsule is made, and compared as a whole.
 *
 * Invariants
 * 1. `isSame` is true only where `firstDivergence` of the two capsules would find nothing.
 * 2. What is the same within a tolerance only is not the same here.
 */
import type { Capsule, CapsuleEvent, EventKind, OutcomeRecord } from "../capsule/capsule.js";
import { isEncodedAs } from "../capsule/encode-value.js";
import type { Snapshot } from "../capsule/snapshot.js";
import type {
  CallEntry,
  EffectEntry,
  OutcomeSnapshot,
  Recording,
  RecordingContents,
} from "../record/recording.js";
import { NOT_RECORDED, type RecordedRun } from "./recorded-run.js";

/** What a call of the replay is. */
interface FollowedCall {
  /** The recorded call. */
  readonly recorded: number;
  /** Whether it happens inside a stage whose own code is not compared. */
  readonly inside: boolean;
  /** Whether it is of such a stage. */
  readonly replaced: boolean;
}

const UNKNOWN: FollowedCall = { recorded: NOT_RECORDED, inside: false, replaced: false };

export class RunningComparison {
  readonly #recorded: RecordedRun;
  readonly #capsule: Capsule;
  readonly #events: readonly CapsuleEvent[];
  readonly #isReplaced: (stage: string) => boolean;
  readonly #otherwise: (kind: EventKind, index: number) => void;
  /** By call of the replay. */
  readonly #calls: FollowedCall[] = [];
  #contents: RecordingContents | undefined;
  /** How many of the replay's events have been compared. */
  #position = 0;
  #differs = false;

  /**
   * `events`: those of the record that are compared. `isReplaced`: whether what happens in a stage is not.
   * `otherwise`: told of each call or effect that has just begun, and not as recorded.
   */
  constructor(
    recorded: RecordedRun,
    events: readonly CapsuleEvent[],
    isReplaced: (stage: string) => boolean,
    otherwise: (kind: EventKind, index: number) => void,
  ) {
    this.#recorded = recorded;
    this.#capsule = recorded.capsule;
    this.#events = events;
    this.#isReplaced = isReplaced;
    this.#otherwise = otherwise;
  }

  /** Whether everything that is recorded happened again, in its order and with the same values, and nothing else. */
  get isSame(): boolean {
    return !this.#differs && this.#position === this.#events.length;
  }

  /** To be told of everything that the replay's recording enters. */
  readonly entered = (recording: Recording, kind: EventKind, index: number): void => {
    const contents = (this.#contents ??= recording.contents());
    if (kind === "call-start") this.#callStarted(contents, index);
    else if (kind === "call-end") this.#callEnded(contents.calls[index] as CallEntry, index);
    else if (kind === "effect-start") this.#effectStarted(contents.effects[index] as EffectEntry, index);
    else this.#effectEnded(contents.effects[index] as EffectEntry);
  };

  #callStarted({ calls, stages }: RecordingContents, index: number): void {
    const call = calls[index] as CallEntry;
    const name = stages[call.stage]?.definition.name ?? "";
    let [recorded, inside] = [0, false];
    if (call.parent >= 0) {
      const parent = this.#calls[call.parent] ?? UNKNOWN;
      inside = parent.inside || parent.replaced;
      recorded =
        parent.recorded === NOT_RECORDED
          ? NOT_RECORDED
          : this.#recorded.call(parent.recorded, name, call.ordinal);
    }
    this.#calls[index] = { recorded, inside, replaced: this.#isReplaced(name) };
    if (inside) return;
    const was = recorded === NOT_RECORDED ? undefined : this.#recorded.callAt(recorded).input;
    this.#began("call-start", index, recorded, call.input, was);
  }

  #effectStarted(effect: EffectEntry, index: number): void {
    if (!this.#isCompared(effect)) return;
    const recorded = this.#recordedEffect(effect);
    const was = recorded === NOT_RECORDED ? undefined : this.#recorded.effectAt(recorded).input;
    this.#began("effect-start", index, recorded, effect.input, was);
  }

  #began(
    kind: EventKind,
    index: number,
    recorded: number,
    input: readonly Snapshot[],
    was: readonly number[] | undefined,
  ): void {
    if (this.#isNext(kind, recorded) && was !== undefined && this.#isSameInput(input, was)) return;
    this.#differs = true;
    this.#otherwise(kind, index);
  }

  #callEnded(call: CallEntry, index: number): void {
    const { recorded, inside } = this.#calls[index] ?? UNKNOWN;
    if (inside) return;
    if (!this.#isNext("call-end", recorded)) this.#differs = true;
    else this.#ended(this.#recorded.callAt(recorded).outcome, call.outcome);
  }

  #effectEnded(effect: EffectEntry): void {
    if (!this.#isCompared(effect)) return;
    // As it is when it ends: nothing needs to be looked up once something was otherwise.
    const recorded = this.#differs ? NOT_RECORDED : this.#recordedEffect(effect);
    if (!this.#isNext("effect-end", recorded)) this.#differs = true;
    else this.#ended(this.#recorded.effectAt(recorded).outcome, effect.outcome);
  }

  #ended(was: OutcomeRecord, is: OutcomeSnapshot): void {
    if (this.#differs) return;
    this.#differs =
      was.status === "pending" || is.status !== was.status || !isEncodedAs(is.value, this.#bytes(was.value));
  }

  /** Whether that is what the record has next; on to what it has after it. */
  #isNext(kind: EventKind, recorded: number): boolean {
    const expected = this.#events[this.#position];
    this.#position += 1;
    return expected !== undefined && expected.kind === kind && expected.index === recorded;
  }

  #isCompared({ call, item }: EffectEntry): boolean {
    const { inside, replaced } = this.#calls[call] ?? UNKNOWN;
    // Items are what a stage gives, whatever it is made by.
    return !inside && (item || !replaced);
  }

  #recordedEffect({ call, name, ordinal, item }: EffectEntry): number {
    const { recorded } = this.#calls[call] ?? UNKNOWN;
    if (recorded === NOT_RECORDED) return NOT_RECORDED;
    return item
      ? (this.#recorded.items(recorded)[ordinal] ?? NOT_RECORDED)
      : this.#recorded.effect(recorded, name, ordinal);
  }

  #isSameInput(input: readonly Snapshot[], was: readonly number[]): boolean {
    if (input.length !== was.length) return false;
    for (let position = 0; position < was.length; position++) {
      const bytes = this.#bytes(was[position] as number);
      if (!isEncodedAs(input[position] as Snapshot, bytes)) return false;
    }
    return true;
  }

  #bytes(reference: number): Uint8Array {
    return this.#capsule.values[reference] as Uint8Array;
  }
}
