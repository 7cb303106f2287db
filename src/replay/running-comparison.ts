/**
 * Compares a replay with the record while it goes on. Of most replays nothing else needs to be known than
 * that all was the same; only where something was not, the replay's capsule is made, and compared as a whole.
 *
 * Invariants
 * 1. `isSame` is true only where `firstDivergence` of the two capsules would find nothing.
 * 2. What is the same within a tolerance only is not the same here.
 */
import type { Capsule, CapsuleEvent, EffectRecord, EventKind, OutcomeRecord } from "../capsule/capsule.js";
import { decodeSimple, NOT_SIMPLE } from "../capsule/decode-value.js";
import { isEncodedAs } from "../capsule/encode-value.js";
import { isPreparation } from "../effects/preparations.js";
import { heldCopy, type Held } from "../capsule/snapshot.js";
import type {
  CallEntry,
  EffectEntry,
  OutcomeSnapshot,
  Recording,
  RecordingContents,
} from "../record/recording.js";
import type { IsStageReplaced } from "./compared-run.js";
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

/** The root's record has -1 for its parent. */
const ROOTS_PARENT: FollowedCall = { recorded: -1, inside: false, replaced: false };
/** Of what the recording had no room for. */
const UNKNOWN: FollowedCall = { recorded: NOT_RECORDED, inside: false, replaced: false };

export class RunningComparison {
  readonly #recorded: RecordedRun;
  readonly #capsule: Capsule;
  readonly #events: readonly CapsuleEvent[];
  readonly #isReplaced: IsStageReplaced;
  readonly #otherwise: (kind: EventKind, index: number) => void;
  /** By call of the replay. */
  readonly #calls: FollowedCall[] = [];
  #contents: RecordingContents | undefined;
  /** The effect of the replay that began last as the record has it next, with the same input. */
  #effectAsRecorded = NOT_RECORDED;
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
    isReplaced: IsStageReplaced,
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

  /** Whether an effect that was entered last is what the record has next, with the same input. */
  readonly isAsRecorded = (effect: number): boolean =>
    effect !== NOT_RECORDED && effect === this.#effectAsRecorded;

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
    const isReplaced = this.#isReplaced(name, call.ordinal);
    const parent = call.parent < 0 ? ROOTS_PARENT : (this.#calls[call.parent] ?? UNKNOWN);
    const inside = parent.inside || parent.replaced;
    const next = inside ? undefined : this.#next("call-start");
    const isNext = next !== undefined && this.#isCall(next, parent.recorded, name, call.ordinal);
    const recorded = isNext ? next : this.#lookUp(parent, name, call.ordinal);
    this.#calls[index] = { recorded, inside, replaced: isReplaced };
    if (inside || (isNext && this.#isSameInput(call.input, this.#recorded.callAt(next).input))) return;
    this.#differs = true;
    this.#otherwise("call-start", index);
  }

  #callEnded(call: CallEntry, index: number): void {
    const { recorded, inside } = this.#calls[index] ?? UNKNOWN;
    if (inside) return;
    const next = this.#next("call-end");
    if (next !== recorded || next === undefined) this.#differs = true;
    else this.#ended(this.#recorded.callAt(next).outcome, call.outcome);
  }

  #effectStarted(effect: EffectEntry, index: number): void {
    if (!this.#isCompared(effect)) return;
    const next = this.#next("effect-start");
    const was = next === undefined ? undefined : this.#recorded.effectAt(next);
    if (was !== undefined && this.#isEffect(was, effect)) {
      // What is called on a builder before it is asked comes later; of one that is never asked, nothing does.
      const isToCome = was.builder !== undefined && was.outcome.status !== "pending";
      if (this.#isSameInput(effect.input, isToCome ? was.input.slice(0, effect.input.length) : was.input)) {
        this.#effectAsRecorded = index;
        return;
      }
    }
    this.#differs = true;
    this.#otherwise("effect-start", index);
  }

  #effectEnded(effect: EffectEntry): void {
    if (!this.#isCompared(effect)) return;
    const next = this.#next("effect-end");
    const was = next === undefined ? undefined : this.#recorded.effectAt(next);
    if (was === undefined || !this.#isEffect(was, effect)) this.#differs = true;
    else if (was.builder !== undefined && !this.#isSameInput(effect.input, was.input)) this.#differs = true;
    else this.#ended(was.outcome, effect.outcome);
  }

  #ended(was: OutcomeRecord, is: OutcomeSnapshot): void {
    if (this.#differs) return;
    this.#differs =
      was.status === "pending" || is.status !== was.status || !this.#isSame(is.value, was.value);
  }

  /** On to the record's next event: what it is about, where it is of that kind. */
  #next(kind: EventKind): number | undefined {
    const expected = this.#events[this.#position];
    this.#position += 1;
    return expected !== undefined && expected.kind === kind ? expected.index : undefined;
  }

  #lookUp(parent: FollowedCall, name: string, ordinal: number): number {
    if (parent === ROOTS_PARENT) return 0;
    return parent.recorded === NOT_RECORDED
      ? NOT_RECORDED
      : this.#recorded.call(parent.recorded, name, ordinal);
  }

  #isCall(index: number, parent: number, name: string, ordinal: number): boolean {
    const was = this.#recorded.callAt(index);
    return was.parent === parent && was.ordinal === ordinal && this.#capsule.stages[was.stage]?.name === name;
  }

  #isEffect(was: EffectRecord, { call, name, ordinal, item }: EffectEntry): boolean {
    return (
      was.call === this.#calls[call]?.recorded &&
      was.ordinal === ordinal &&
      was.item === item &&
      was.name === name
    );
  }

  #isCompared({ call, item, name }: EffectEntry): boolean {
    if (isPreparation(name)) return false;
    const { inside, replaced } = this.#calls[call] ?? UNKNOWN;
    // Items are what a stage gives, whatever it is made by.
    return !inside && (item || !replaced);
  }

  #isSameInput(input: readonly Held[], was: readonly number[]): boolean {
    if (input.length !== was.length) return false;
    for (let position = 0; position < was.length; position++) {
      if (!this.#isSame(input[position], was[position] as number)) return false;
    }
    return true;
  }

  #isSame(held: Held, reference: number): boolean {
    const bytes = this.#capsule.values[reference] as Uint8Array;
    // The encoding is deterministic; but for numbers the other way is shorter.
    const simple = decodeSimple(bytes);
    return simple === NOT_SIMPLE ? isEncodedAs(held, bytes) : Object.is(simple, heldCopy(held));
  }
}
