/**
 * Where in the program the first calls and effects began that were not as recorded. A stack costs more
 * than everything else that a replay does for an effect, so only what looks different has its stack
 * taken. In memory beside the replay's recording, and no part of a capsule.
 */
import type { Capsule, CapsuleEvent, EventKind } from "../capsule/capsule.js";
import { isEncodedAs } from "../capsule/encode-value.js";
import type { Snapshot } from "../capsule/snapshot.js";
import { markSite, siteOf } from "../record/call-site.js";
import type { Recording, RecordingContents } from "../record/recording.js";
import { NOT_RECORDED, type RecordedRun } from "./recorded-run.js";

/** What looks different may be the same after all, within a tolerance say: so a few are marked. */
const MAXIMUM_MARKS = 32;
/** Inputs of more bytes are not looked into. */
const LARGE_INPUT = 32 * 1024;

type Mark = ReturnType<typeof markSite>;

export class CallSites {
  readonly #recorded: RecordedRun;
  readonly #capsule: Capsule;
  /** The recorded events that are compared, and how many of the replay's have been seen. */
  readonly #events: readonly CapsuleEvent[];
  #position = 0;
  readonly #isReplaced: (stage: string) => boolean;
  #contents: RecordingContents | undefined;
  /** By call of the replay: the recorded call that it is, and whether it happens inside a stage that is not compared. */
  readonly #calls: { readonly recorded: number; readonly inside: boolean }[] = [];
  readonly #marks = new Map<string, Mark>();

  /** `events`: those of the record that are compared. `isReplaced`: whether what happens in a stage is not. */
  constructor(
    recorded: RecordedRun,
    events: readonly CapsuleEvent[],
    isReplaced: (stage: string) => boolean,
  ) {
    this.#recorded = recorded;
    this.#capsule = recorded.capsule;
    this.#events = events;
    this.#isReplaced = isReplaced;
  }

  /** To be told of everything that the replay's recording enters. */
  readonly entered = (recording: Recording, kind: EventKind, index: number): void => {
    if (this.#marks.size >= MAXIMUM_MARKS) return;
    this.#contents ??= recording.contents();
    if (kind === "call-start") this.#callStarted(this.#contents, index);
    else if (kind === "effect-start") this.#effectStarted(this.#contents, index);
    else if (!this.#isInside(this.#contents, kind, index)) this.#position += 1;
  };

  /** Where a call or an effect of the replay began; undefined where it looked as recorded. */
  of(kind: EventKind, index: number): string | undefined {
    const mark = this.#marks.get(`${kind} ${index}`);
    return mark && siteOf(mark);
  }

  #callStarted({ calls, stages }: RecordingContents, index: number): void {
    const call = calls[index];
    if (call === undefined) return;
    const name = stages[call.stage]?.definition.name ?? "";
    const parent = this.#calls[call.parent];
    const recorded =
      parent === undefined
        ? 0
        : this.#lookUp(parent.recorded, (at) => this.#recorded.call(at, name, call.ordinal));
    const inside = parent !== undefined && (parent.inside || !this.#isComparedIn(calls[call.parent], stages));
    this.#calls[index] = { recorded, inside };
    if (inside) return;
    const was = recorded === NOT_RECORDED ? undefined : this.#recorded.callAt(recorded).input;
    this.#began("call-start", index, recorded, call.input, was);
  }

  #effectStarted({ calls, effects, stages }: RecordingContents, index: number): void {
    const effect = effects[index];
    const call = effect && this.#calls[effect.call];
    if (effect === undefined || call === undefined || call.inside) return;
    if (!this.#isComparedIn(calls[effect.call], stages)) return;
    const recorded = this.#lookUp(call.recorded, (at) =>
      this.#recorded.effect(at, effect.name, effect.ordinal),
    );
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
    const expected = this.#events[this.#position];
    this.#position += 1;
    const isNext = expected?.kind === kind && expected.index === recorded;
    if (isNext && was !== undefined && this.#isSame(input, was)) return;
    this.#marks.set(`${kind} ${index}`, markSite());
  }

  #isSame(input: readonly Snapshot[], was: readonly number[]): boolean {
    if (input.length !== was.length) return false;
    return input.every((snapshot, position) => {
      if (snapshot.size > LARGE_INPUT) return true;
      const bytes = this.#capsule.values[was[position] as number] as Uint8Array;
      return isEncodedAs(snapshot, bytes);
    });
  }

  #isInside({ calls, effects, stages }: RecordingContents, kind: EventKind, index: number): boolean {
    if (kind === "call-end") return this.#calls[index]?.inside !== false;
    const call = effects[index]?.call ?? -1;
    return this.#calls[call]?.inside !== false || !this.#isComparedIn(calls[call], stages);
  }

  #isComparedIn(call: { readonly stage: number } | undefined, stages: RecordingContents["stages"]): boolean {
    return !this.#isReplaced(stages[call?.stage ?? -1]?.definition.name ?? "");
  }

  #lookUp(parent: number, find: (parent: number) => number): number {
    return parent === NOT_RECORDED ? NOT_RECORDED : find(parent);
  }
}
