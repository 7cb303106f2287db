/**
 * Drives a program through a recorded run: the other half of `record/recording-conductor.ts`.
 *
 * Invariants
 * 1. Nothing is performed unless an option says so by name (G5).
 * 2. What the record holds is handed over in the record's order, one result to a macrotask, and not
 *    before the program has begun and ended everything that the record has before it.
 * 3. What the record does not hold is refused with a typed error, and is a divergence.
 * 4. Where the record's order cannot be kept any more (what it has next never comes), it goes on
 *    with the next that can, after `patience`; by then the run has diverged.
 *
 * A live result (a stage or an effect run for real) takes its recorded place.
 */
import type { CapsuleEvent } from "../capsule/capsule.js";
import { effectNotRecorded } from "../effects/effect.js";
import { HindcastError } from "../errors.js";
import { clearTimeoutOriginal, setImmediateOriginal, setTimeoutOriginal } from "../originals.js";
import type { Recording } from "../record/recording.js";
import { convertOutput, type Report } from "../stage/conversion.js";
import type { Conversion, Outcome } from "../stage/definition.js";
import type { Conductor, EffectCall, ObservedCall, Replacement, RunListener } from "../stage/seam.js";
import { isThenable } from "../stage/stage.js";
import { NOT_RECORDED, type RecordedRun, type SettledOutcome } from "./recorded-run.js";

/** A stage's or an effect's part in a replay: what is recorded, its own code, or another function. */
export type Substitute = "recorded" | "live" | ((...input: never[]) => unknown);

export interface ConductorOptions {
  readonly stages: ReadonlyMap<string, Substitute>;
  readonly effects: ReadonlyMap<string, Substitute>;
  /** Milliseconds without progress after which the record's order is given up. */
  readonly patience: number;
  /** Milliseconds without progress after which the replay is. */
  readonly timeout: number;
  /** Told of a `revive` that throws. */
  readonly report: Report;
  /** Called when the replay cannot go on. */
  readonly stuck: () => void;
}

export class ReplayingConductor implements Conductor, RunListener {
  readonly replaying = true;
  readonly #recorded: RecordedRun;
  readonly #recording: Recording;
  readonly #options: ConductorOptions;
  readonly #events: readonly CapsuleEvent[];
  /** Recorded calls within a stage that is not its own code: they may not come. */
  readonly #optionalCalls: Uint8Array;
  readonly #callsStarted: Uint8Array;
  readonly #callsEnded: Uint8Array;
  readonly #effectsStarted: Uint8Array;
  readonly #effectsEnded: Uint8Array;
  /** Where in the record's order each ends; -1 where it never does. */
  readonly #callEndPositions: Int32Array;
  readonly #effectEndPositions: Int32Array;
  readonly #matches = new Map<ObservedCall, number>();
  /** Ready to be handed over when the record comes to their end. */
  readonly #readyCalls = new Map<number, () => void>();
  readonly #readyEffects = new Map<number, () => void>();
  /** Ready, and without a place in the record that is still to come. */
  readonly #readyAnyTime: (() => void)[] = [];
  /** Begun by the program, and never settled in the record. */
  #neverSettling = 0;
  /** The next event of the record that has not happened. */
  #cursor = 0;
  #armed = false;
  #moved = false;
  /** Whether the record has been followed for a turn at least. */
  #handed = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(recorded: RecordedRun, recording: Recording, options: ConductorOptions) {
    this.#recorded = recorded;
    this.#recording = recording;
    this.#options = options;
    const { calls, effects, events } = recorded.capsule;
    this.#events = events;
    this.#callsStarted = new Uint8Array(calls.length);
    this.#callsEnded = new Uint8Array(calls.length);
    this.#effectsStarted = new Uint8Array(effects.length);
    this.#effectsEnded = new Uint8Array(effects.length);
    this.#callEndPositions = new Int32Array(calls.length).fill(-1);
    this.#effectEndPositions = new Int32Array(effects.length).fill(-1);
    for (const [position, event] of events.entries()) {
      if (event.kind === "call-end") this.#callEndPositions[event.index] = position;
      else if (event.kind === "effect-end") this.#effectEndPositions[event.index] = position;
    }
    this.#optionalCalls = new Uint8Array(calls.length);
    for (const [index, call] of calls.entries()) {
      if (call.parent < 0) continue;
      const parent = recorded.capsule.stages[recorded.callAt(call.parent).stage]?.name ?? "";
      const replaced = isReplaced(options.stages.get(parent));
      this.#optionalCalls[index] = replaced ? 1 : (this.#optionalCalls[call.parent] as number);
    }
  }

  // As a listener: what the program does.

  callStarted(call: ObservedCall): undefined {
    const index = this.#match(call);
    if (index !== NOT_RECORDED) this.#callsStarted[index] = 1;
    this.#poke();
  }

  callEnded(call: ObservedCall): void {
    const index = this.#match(call);
    if (index !== NOT_RECORDED) this.#callsEnded[index] = 1;
    this.#poke();
  }

  contractViolated(): void {
    // The recording beside it keeps violations; the order has no part in them.
  }

  runEnded(): void {
    this.stop();
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#ended = true;
    clearTimeoutOriginal(this.#timer);
  }

  // As a conductor: what the program gets.

  replace(call: ObservedCall): Replacement | undefined {
    const substitute = this.#options.stages.get(call.definition.name);
    if (typeof substitute === "function") {
      return {
        call: (self, input) => Reflect.apply(substitute, self as never, input as never[]),
        parsed: false,
      };
    }
    return substitute === "recorded" ? { call: () => this.#recordedCall(call), parsed: true } : undefined;
  }

  settle(call: ObservedCall, pass: (delivered: boolean) => void): void {
    const index = this.#match(call);
    const substitute = this.#options.stages.get(call.definition.name);
    // A recorded stage has settled because its turn had come; a consequence of a turn passes with it.
    const atOnce =
      substitute === "recorded" ||
      (index !== NOT_RECORDED && typeof substitute !== "function" && !this.#recorded.callAt(index).delivered);
    if (atOnce) pass(false);
    else this.#ready(this.#readyCalls, this.#callEndPositions, index, () => pass(true));
  }

  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown {
    const { index, entry, substitute } = this.#begin(effect, input);
    if (substitute === "recorded") {
      return index === NOT_RECORDED
        ? this.#refuse(effect, entry)
        : this.#recordedEffect(effect, index, entry);
    }
    const run =
      substitute === "live"
        ? perform
        : () => Reflect.apply(substitute, undefined, input as never[]) as unknown;
    return this.#liveEffect(index, entry, run);
  }

  /** Finds an effect in the record, and enters it in the replay's own. */
  #begin(
    effect: EffectCall,
    input: readonly unknown[],
  ): { index: number; entry: number; substitute: Substitute } {
    const call = this.#match(effect.call);
    const index =
      call === NOT_RECORDED ? NOT_RECORDED : this.#recorded.effect(call, effect.name, effect.ordinal);
    const entry = this.#recording.effectStarted(effect, input);
    if (index !== NOT_RECORDED) this.#effectsStarted[index] = 1;
    this.#poke();
    const substitute = this.#options.effects.get(effect.name) ?? (effect.live === true ? "live" : "recorded");
    return { index, entry, substitute };
  }

  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void {
    const { index, entry, substitute } = this.#begin(effect, input);
    this.#recording.effectReturned(entry);
    let over = false;
    const end = (outcome: Outcome): void => {
      if (over) return;
      over = true;
      this.#recording.effectArrived(entry);
      this.#recording.effectEnded(entry, outcome);
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
      hand(outcome);
    };
    const ready = (outcome: () => Outcome): void => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => end(outcome()));
    };
    const record = index === NOT_RECORDED ? undefined : this.#recorded.effectAt(index).outcome;
    if (substitute !== "recorded") begin((outcome) => ready(() => outcome));
    else if (record === undefined) ready(() => ({ status: "ok", value: effect.madeUp?.() }));
    else if (record.status === "pending") this.#neverSettling += 1;
    else ready(() => this.#outcome(record, effect.revive));
    return () => {
      over = true;
    };
  }

  #recordedCall(call: ObservedCall): unknown {
    const index = this.#match(call);
    if (index === NOT_RECORDED) {
      throw new HindcastError(
        "stage-not-recorded",
        `Stage "${call.definition.name}" cannot be replayed as recorded: the capsule holds no such call. ` +
          `Let it run: { stages: { "${call.definition.name}": "live" } }.`,
      );
    }
    const { outcome, asynchronous } = this.#recorded.callAt(index);
    if (outcome.status === "pending") return this.#never();
    const { revive } = call.definition;
    if (!asynchronous) return returnOrThrow(this.#outcome(outcome, revive));
    return new Promise((resolve, reject) => {
      this.#ready(this.#readyCalls, this.#callEndPositions, index, () => {
        settlePromise(this.#outcome(outcome, revive), resolve, reject);
      });
    });
  }

  /** What is recorded, as the program had it. */
  #outcome(record: SettledOutcome, revive: Conversion | undefined): Outcome {
    const outcome = this.#recorded.outcome(record);
    if (outcome.status === "error") return outcome;
    return { status: "ok", value: convertOutput(revive, outcome.value, this.#options.report) };
  }

  #recordedEffect(effect: EffectCall, index: number, entry: number): unknown {
    const { outcome, asynchronous } = this.#recorded.effectAt(index);
    if (asynchronous) this.#recording.effectReturned(entry);
    if (outcome.status === "pending") return this.#never();
    if (!asynchronous) {
      const result = this.#outcome(outcome, effect.revive);
      this.#recording.effectEnded(entry, result);
      this.#effectsEnded[index] = 1;
      return returnOrThrow(result);
    }
    return new Promise((resolve, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => {
        const result = this.#outcome(outcome, effect.revive);
        this.#recording.effectArrived(entry);
        this.#recording.effectEnded(entry, result);
        this.#effectsEnded[index] = 1;
        settlePromise(result, resolve, reject);
      });
    });
  }

  #liveEffect(index: number, entry: number, run: () => unknown): unknown {
    const end = (outcome: Outcome): void => {
      this.#recording.effectEnded(entry, outcome);
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
    };
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      end({ status: "error", error });
      throw error;
    }
    if (!isThenable(result)) {
      end({ status: "ok", value: result });
      return result;
    }
    this.#recording.effectReturned(entry);
    const promise = result;
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        this.#recording.effectArrived(entry);
        this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => {
          end(outcome);
          settlePromise(outcome, resolve, reject);
        });
      };
      promise.then(
        (value) => arrive({ status: "ok", value }),
        (error: unknown) => arrive({ status: "error", error }),
      );
    });
  }

  /** An effect that the capsule does not hold. */
  #refuse(effect: EffectCall, entry: number): unknown {
    if (effect.madeUp !== undefined) {
      const value = effect.madeUp();
      this.#recording.effectEnded(entry, { status: "ok", value });
      return value;
    }
    const call = this.#match(effect.call);
    const made = call === NOT_RECORDED ? 0 : this.#recorded.effectCount(call, effect.name);
    const why =
      call === NOT_RECORDED
        ? "the capsule holds no such call of the stage"
        : made === 0
          ? "the capsule holds no such effect there"
          : `it began ${effect.ordinal + 1} times, and ${made} are recorded`;
    const error = effectNotRecorded(effect.name, effect.call.definition.name, why);
    this.#recording.effectEnded(entry, { status: "error", error });
    if (!this.#recorded.isAsynchronous(effect.name)) throw error;
    const rejected = Promise.reject(error);
    // A program that lets go of it is diverging already, and must not be killed for it.
    rejected.catch(() => undefined);
    return rejected;
  }

  #never(): Promise<never> {
    this.#neverSettling += 1;
    if (!this.#armed) this.#wait();
    return new Promise(() => undefined);
  }

  // The order.

  /** Keeps `hand` until the record comes to its place, or for any turn where that has passed or never was. */
  #ready(table: Map<number, () => void>, positions: Int32Array, index: number, hand: () => void): void {
    // Of what is not recorded there is no position, and nothing is before the cursor but what has happened.
    if ((positions[index] ?? -1) < this.#cursor) this.#readyAnyTime.push(hand);
    else table.set(index, hand);
    this.#poke();
  }

  #poke(): void {
    this.#moved = true;
    if (this.#armed || this.#ended) return;
    if (this.#anyReady()) this.#arm();
    else if (this.#timer === undefined) this.#wait();
    else this.#timer.refresh();
  }

  #anyReady(): boolean {
    return this.#readyCalls.size > 0 || this.#readyEffects.size > 0 || this.#readyAnyTime.length > 0;
  }

  #arm(): void {
    this.#armed = true;
    clearTimeoutOriginal(this.#timer);
    this.#timer = undefined;
    setImmediateOriginal(this.#turn);
    setImmediateOriginal(this.#close);
  }

  readonly #turn = (): void => {
    this.#moved = false;
    const hand = this.#next();
    if (hand === undefined || this.#ended) return;
    this.#moved = true;
    hand();
  };

  readonly #close = (): void => {
    this.#armed = false;
    if (this.#ended) return;
    if (this.#moved && this.#anyReady()) this.#arm();
    else if (this.#isBroken()) this.#giveUp();
    else this.#wait();
  };

  /**
   * Whether the record's order certainly cannot be kept: what it has next began in the turn that has
   * just closed, and has not come. The first turn has no clear end, so nothing is certain before the second.
   */
  #isBroken(): boolean {
    if (!this.#handed || !this.#anyReady()) return false;
    const event = this.#passOver();
    if (event === undefined) return false;
    if (event.kind === "call-start") return !this.#recorded.callAt(event.index).unprompted;
    return event.kind === "effect-start" && !this.#recorded.effectAt(event.index).unprompted;
  }

  /** What the record hands over next, if the program has come that far. */
  #next(): (() => void) | undefined {
    const event = this.#passOver();
    const hand = event && this.#take(event);
    if (hand === undefined) return this.#readyAnyTime.shift();
    this.#cursor += 1;
    this.#handed = true;
    return hand;
  }

  /** Moves on to the first event that has not happened, and need not be left out. */
  #passOver(): CapsuleEvent | undefined {
    for (; this.#cursor < this.#events.length; this.#cursor++) {
      const event = this.#events[this.#cursor] as CapsuleEvent;
      if (this.#isReady(event) || (!this.#hasHappened(event) && !this.#isOptional(event))) return event;
    }
    return undefined;
  }

  #take(event: CapsuleEvent): (() => void) | undefined {
    const table = this.#tableOf(event);
    const hand = table?.get(event.index);
    table?.delete(event.index);
    return hand;
  }

  #isReady(event: CapsuleEvent): boolean {
    return this.#tableOf(event)?.has(event.index) === true;
  }

  #tableOf(event: CapsuleEvent): Map<number, () => void> | undefined {
    if (event.kind === "call-end") return this.#readyCalls;
    return event.kind === "effect-end" ? this.#readyEffects : undefined;
  }

  #hasHappened(event: CapsuleEvent): boolean {
    switch (event.kind) {
      case "call-start":
        return this.#callsStarted[event.index] === 1;
      case "call-end":
        return this.#callsEnded[event.index] === 1;
      case "effect-start":
        return this.#effectsStarted[event.index] === 1;
      case "effect-end":
        return this.#effectsEnded[event.index] === 1;
    }
  }

  #isOptional(event: CapsuleEvent): boolean {
    if (event.kind.startsWith("call")) return this.#optionalCalls[event.index] === 1;
    const { call } = this.#recorded.effectAt(event.index);
    if (this.#optionalCalls[call] === 1) return true;
    const stage = this.#recorded.capsule.stages[this.#recorded.callAt(call).stage]?.name ?? "";
    return isReplaced(this.#options.stages.get(stage));
  }

  /** Nothing moves. Something live may still come; if not, the order is given up, or the replay. */
  #wait(): void {
    clearTimeoutOriginal(this.#timer);
    const otherwise = this.#anyReady() || this.#neverSettling > 0;
    const { patience, timeout } = this.#options;
    const event = this.#passOver();
    // What is not declared takes its time again: as long as it took then, and as much again.
    const then = event?.kind === "call-end" ? (2 * this.#recorded.callAt(event.index).duration) / 1000 : 0;
    this.#timer = setTimeoutOriginal(
      this.#giveUp,
      otherwise && !this.#isLive(event) ? Math.min(patience + then, timeout) : timeout,
    );
  }

  /** Whether what the record has next is the end of something that runs for real, and takes its time. */
  #isLive(event: CapsuleEvent | undefined): boolean {
    if (event?.kind === "call-end") {
      const { delivered, stage } = this.#recorded.callAt(event.index);
      const name = this.#recorded.capsule.stages[stage]?.name ?? "";
      return delivered || typeof this.#options.stages.get(name) === "function";
    }
    if (event?.kind !== "effect-end" || this.#effectsStarted[event.index] !== 1) return false;
    const { name } = this.#recorded.effectAt(event.index);
    return (this.#options.effects.get(name) ?? "recorded") !== "recorded";
  }

  readonly #giveUp = (): void => {
    if (this.#ended || this.#armed) return;
    for (let position = this.#cursor; position < this.#events.length; position++) {
      const hand = this.#take(this.#events[position] as CapsuleEvent);
      if (hand === undefined) continue;
      this.#cursor = position + 1;
      this.#readyAnyTime.push(hand);
      this.#arm();
      return;
    }
    this.#options.stuck();
  };

  #match(call: ObservedCall): number {
    const known = this.#matches.get(call);
    if (known !== undefined) return known;
    const index =
      call.parent === undefined
        ? 0
        : this.#matchChild(this.#match(call.parent), call.definition.name, call.ordinal);
    this.#matches.set(call, index);
    return index;
  }

  #matchChild(parent: number, name: string, ordinal: number): number {
    return parent === NOT_RECORDED ? NOT_RECORDED : this.#recorded.call(parent, name, ordinal);
  }
}

/** Whether a stage's own code does not run, so that what it did in the record may not be done again. */
export function isReplaced(substitute: Substitute | undefined): boolean {
  return substitute === "recorded" || typeof substitute === "function";
}

function returnOrThrow(outcome: Outcome): unknown {
  if (outcome.status === "ok") return outcome.value;
  throw outcome.error;
}

function settlePromise(
  outcome: Outcome,
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
): void {
  if (outcome.status === "ok") resolve(outcome.value);
  else reject(outcome.error);
}
