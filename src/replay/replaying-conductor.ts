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
import type { CallRecord, CapsuleEvent } from "../capsule/capsule.js";
import { type BuilderLog, RecordedHandle } from "../capsule/recorded-handle.js";
import { openBuilder } from "../effects/builder.js";
import { given, streamGiven } from "../effects/handle.js";
import { effectNotRecorded } from "../effects/perform-effect.js";
import { isLazy } from "../effects/live.js";
import { HindcastError } from "../errors.js";
import {
  clearImmediateOriginal,
  clearTimeoutOriginal,
  monotonicClock,
  setImmediateOriginal,
  setTimeoutOriginal,
} from "../originals.js";
import type { Recording } from "../record/recording.js";
import { seededRandom } from "../seeded-random.js";
import { convertOutput, type Report } from "../stage/conversion.js";
import type { Conversion, Outcome } from "../stage/definition.js";
import type {
  Conductor,
  EffectCall,
  ObservedCall,
  Replacement,
  RunListener,
  StreamItem,
  UpcomingEffect,
} from "../stage/seam.js";
import { suspend } from "../stage/scopes.js";
import { settlePromise, whenSettled } from "../stage/settlement.js";
import { isThenable } from "../stage/stage.js";
import { effectStream } from "../streams/effect-stream.js";
import type { Passage } from "../streams/passage.js";
import { NOT_RECORDED, type RecordedRun, type SettledOutcome } from "./recorded-run.js";

/** A stage's or an effect's part in a replay: what is recorded, its own code, or another function. */
export type Substitute = "recorded" | "live" | ((...input: never[]) => unknown);

/** How fast a replay goes. */
export type Pace = "immediate" | "recorded";

export interface ConductorOptions {
  readonly stages: ReadonlyMap<string, Substitute>;
  readonly effects: ReadonlyMap<string, Substitute>;
  /** Milliseconds without progress after which the record's order is given up. */
  readonly patience: number;
  /** Milliseconds without progress after which the replay is. */
  readonly timeout: number;
  /** Told of a `revive` that throws. */
  readonly report: Report;
  /** When results are handed over: as soon as their turn comes, or when they came in the recording. */
  readonly pace: Pace;
  /** Called when the replay cannot go on. */
  readonly stuck: () => void;
}

const MOST_STEPS_AT_ONCE = 16;

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
  /** Begun, and performed or stood in for: what comes of them takes its time. */
  readonly #effectsLive: Uint8Array;
  /** Names of those that are not given as recorded because an option says so, with their streams. */
  readonly #replacedEffects = new Set<string>();
  /** Where in the record's order each ends; -1 where it never does. */
  readonly #callEndPositions: Int32Array;
  readonly #effectEndPositions: Int32Array;
  /** By call of the replay: the recorded one that it is. */
  readonly #matches: number[] = [];
  /** Ready to be handed over when the record comes to their end. */
  readonly #readyCalls = new Map<number, () => void>();
  readonly #readyEffects = new Map<number, () => void>();
  /** Ready, and without a place in the record that is still to come. */
  readonly #readyAnyTime: (() => void)[] = [];
  /** Ready, and never settled in the record: the program ended without them, so they come when nothing else can. */
  readonly #readyLast: (() => void)[] = [];
  /** Begun by the program, and never settled in the record. */
  #neverSettling = 0;
  /** The next event of the record that has not happened. */
  #cursor = 0;
  /** Whether the root did not end in the record, which is then of a replay. */
  readonly #neverEnded: boolean;
  /** Whether a turn is to come, or is under way. */
  #armed = false;
  /** Whether it comes with the next step. */
  #due = false;
  /** Whether one is under way. */
  #turning = false;
  /** Steps that are scheduled, and how many are the next time. */
  #stepsAhead = 0;
  #stepsAtOnce = 1;
  #moved = false;
  /** To see, when this macrotask is over, if there is anything to wait for. */
  #looking: NodeJS.Immediate | undefined;
  /** Whether the record has been followed for a turn at least. */
  #handed = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #startedAt = monotonicClock();
  /** How long it waits, in milliseconds. */
  #delay = 0;

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
    this.#effectsLive = new Uint8Array(effects.length);
    this.#callEndPositions = new Int32Array(calls.length).fill(-1);
    this.#effectEndPositions = new Int32Array(effects.length).fill(-1);
    for (const [position, event] of events.entries()) {
      if (event.kind === "call-end") this.#callEndPositions[event.index] = position;
      else if (event.kind === "effect-end") this.#effectEndPositions[event.index] = position;
    }
    this.#neverEnded = calls[0]?.outcome.status === "pending";
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

  /** Whether an option had an effect, or what it is part of, not given as recorded. */
  isEffectReplaced(name: string): boolean {
    return this.#replacedEffects.has(name);
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#ended = true;
    clearTimeoutOriginal(this.#timer);
    // Who replays one capsule after the other, and none of them takes a macrotask, would gather these.
    clearImmediateOriginal(this.#looking);
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

  settle(call: ObservedCall, pass: (delivered: boolean) => void, opens: boolean): void {
    const index = this.#match(call);
    if (opens) return this.#settleItem(call, this.#item(index, 0), pass);
    const substitute = this.#options.stages.get(call.definition.name);
    const passesAtOnce = index !== NOT_RECORDED && isConsequence(this.#recorded.callAt(index));
    // A recorded stage has settled because its turn had come; a consequence of a turn passes with it.
    if (substitute === "recorded" || (typeof substitute !== "function" && passesAtOnce)) pass(false);
    else this.#ready(this.#readyCalls, this.#callEndPositions, index, () => pass(true));
  }

  opened(call: ObservedCall, recorded: unknown, delivered: boolean): void {
    const index = this.#item(this.#match(call), 0);
    this.#recording.streamOpened(call, recorded, delivered);
    if (index !== NOT_RECORDED) {
      this.#effectsStarted[index] = 1;
      this.#effectsEnded[index] = 1;
    }
    this.#poke();
  }

  item(item: StreamItem, perform: () => unknown, settled: (outcome: Outcome) => void): unknown {
    const { call, ordinal } = item;
    const index = this.#item(this.#match(call), ordinal);
    const entry = this.#recording.itemStarted(item);
    if (index !== NOT_RECORDED) this.#effectsStarted[index] = 1;
    this.#poke();
    const end = (outcome: Outcome, delivered: boolean): void => {
      this.#recording.itemEnded(entry, call, outcome, delivered);
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
      settled(outcome);
      this.#poke();
    };
    const frozen = this.#options.stages.get(call.definition.name) === "recorded";
    const result = frozen ? this.#recordedItem(call, index) : attempt(perform);
    if (result.status === "error" || !isThenable(result.value)) {
      end(result, false);
      return returnOrThrow(result);
    }
    this.#recording.effectReturned(entry);
    const promise = result.value;
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        const pass = (delivered: boolean): void => {
          end(outcome, delivered);
          settlePromise(outcome, resolve, reject);
        };
        // What is recorded has come in its turn; who reads the stream of a root is outside of the order.
        if (frozen || call.parent === undefined) pass(false);
        else this.#settleItem(call, index, pass);
      };
      whenSettled(promise, arrive);
    });
  }

  /** The recorded item of a call; `NOT_RECORDED` where there is none. */
  #item(call: number, ordinal: number): number {
    return call === NOT_RECORDED ? NOT_RECORDED : (this.#recorded.items(call)[ordinal] ?? NOT_RECORDED);
  }

  /** Passes an item that its stream has given: with the turn it is a consequence of, or in one of its own. */
  #settleItem(call: ObservedCall, index: number, pass: (delivered: boolean) => void): void {
    const substitute = this.#options.stages.get(call.definition.name);
    const isAtOnce = index !== NOT_RECORDED && isConsequence(this.#recorded.effectAt(index));
    if (isAtOnce && typeof substitute !== "function") pass(false);
    else this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => pass(true));
  }

  #recordedItem(call: ObservedCall, index: number): Outcome {
    if (index === NOT_RECORDED) {
      const { name } = call.definition;
      const message =
        `The stream of stage "${name}" cannot be replayed as recorded: the capsule holds no such item of it. ` +
        `Let it run: { stages: { "${name}": "live" } }.`;
      return { status: "error", error: new HindcastError("stage-not-recorded", message) };
    }
    const { outcome, asynchronous } = this.#recorded.effectAt(index);
    if (outcome.status === "pending") return { status: "ok", value: this.#never() };
    if (!asynchronous) return this.#recorded.outcome(outcome);
    const value = new Promise((resolve, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => {
        settlePromise(this.#recorded.outcome(outcome), resolve, reject);
      });
    });
    return { status: "ok", value };
  }

  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown {
    const index = this.#find(effect);
    const entry = this.#recording.effectStarted(effect, input);
    const substitute = this.#begin(effect, index);
    if (substitute === "recorded" && index !== NOT_RECORDED) effect.during?.();
    if (substitute !== "live" && index !== NOT_RECORDED) {
      if (this.#recorded.effectAt(index).builder !== undefined) {
        return this.#builder(effect, index, entry, input, substitute);
      }
    }
    if (substitute === "recorded") {
      return index === NOT_RECORDED
        ? this.#refuse(effect, entry)
        : this.#recordedEffect(effect, index, entry);
    }
    // What belongs to another effect, such as its stream, is part of what stands for that one.
    const isItsOwn = substitute === "live" || effect.of !== undefined;
    return this.#liveEffect(effect, index, entry, isItsOwn ? perform : () => standIn(substitute, input));
  }

  upcoming(call: ObservedCall, name: string): UpcomingEffect | undefined {
    const index = this.#find({ call, name, ordinal: call.effectsBegun(name) });
    if (index === NOT_RECORDED) return undefined;
    const next = this.#passOver();
    const isNext = next?.kind === "effect-start" && next.index === index;
    return { record: this.#recorded.effectAt(index), index, isNext };
  }

  give(effect: EffectCall, value: unknown): unknown {
    return given(effect, value, this.#recording.classes);
  }

  /** Gives a builder: of nothing, or of the real one where the effect is live. */
  #builder(
    effect: EffectCall,
    index: number,
    entry: number,
    given: readonly unknown[],
    substitute: Exclude<Substitute, "live">,
    real?: object,
  ): object {
    const log: BuilderLog = [];
    return openBuilder(
      {
        conductor: this,
        effect,
        input: this.#recording.effectBuilds(entry, log),
        given,
        log,
        recorded: index === NOT_RECORDED ? undefined : this.#recorded.builderLog(index),
        hold: (step) => this.#recording.hold(step),
        ask: (asked, input, perform) => {
          this.#recording.effectAsked(entry, asked);
          if (real !== undefined)
            return this.#follow(effect, index, entry, suspend(perform, true) as Promise<unknown>);
          if (typeof substitute !== "function")
            return this.#recordedEffect(effect, index, entry) as Promise<unknown>;
          const result = attempt(() => standIn(substitute, input));
          const promise =
            result.status === "ok" ? Promise.resolve(result.value) : Promise.reject<unknown>(result.error);
          return this.#follow(effect, index, entry, promise);
        },
      },
      real,
    );
  }

  /** The recorded effect that an effect of the replay is. */
  #find({ call, name, ordinal }: EffectCall): number {
    const recorded = this.#match(call);
    return recorded === NOT_RECORDED ? NOT_RECORDED : this.#recorded.effect(recorded, name, ordinal);
  }

  /** Notes that an effect has begun, and says what is to be given for it. */
  #begin(effect: EffectCall, index: number): Substitute {
    const given = this.#options.effects.get(effect.of ?? effect.name);
    if (given !== undefined && given !== "recorded") this.#replacedEffects.add(effect.name);
    const substitute = given ?? (effect.live === true ? "live" : "recorded");
    if (index !== NOT_RECORDED) {
      this.#effectsStarted[index] = 1;
      this.#effectsLive[index] = substitute === "recorded" ? 0 : 1;
    }
    this.#poke();
    return substitute;
  }

  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void {
    const index = this.#find(effect);
    const entry = this.#recording.effectStarted(effect, input);
    const substitute = this.#begin(effect, index);
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
    if (typeof substitute === "function") {
      // What belongs to another effect is part of what stands for that one.
      if (effect.of !== undefined) this.#neverSettling += 1;
      else this.#substituted(substitute, input, (outcome) => ready(() => outcome));
    } else if (substitute === "live") begin((outcome) => ready(() => outcome));
    else if (record === undefined) ready(() => ({ status: "ok", value: madeUp(effect) }));
    else if (record.status === "pending") this.#neverSettling += 1;
    else ready(() => this.#outcome(record, effect.revive));
    return () => {
      over = true;
    };
  }

  /** What another function gives in place of an effect that ends in a callback. */
  #substituted(
    substitute: (...input: never[]) => unknown,
    input: readonly unknown[],
    arrive: (outcome: Outcome) => void,
  ): void {
    // Begun in a microtask: what it throws at once must not come before the effect has begun.
    Promise.resolve()
      .then(() => standIn(substitute, input))
      .then(
        (value) => arrive({ status: "ok", value }),
        (error: unknown) => arrive({ status: "error", error }),
      );
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
    const opening = this.#item(index, 0);
    if (opening !== NOT_RECORDED) return this.#recordedStream(index, opening);
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

  /** The stream that a call returned; its items are given as recorded when they are asked for. */
  #recordedStream(call: number, opening: number): unknown {
    const { outcome } = this.#recorded.effectAt(opening);
    if (outcome.status === "pending") return this.#never();
    const result = this.#recorded.outcome(outcome);
    if (!this.#recorded.callAt(call).asynchronous) return returnOrThrow(result);
    return new Promise((resolve, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, opening, () => {
        settlePromise(result, resolve, reject);
      });
    });
  }

  /** Enters a result, and gives what the program gets of it: of a stream, one whose readings are effects. */
  #result(
    effect: EffectCall,
    index: number,
    entry: number,
    value: unknown,
    passage: Passage | undefined = streamGiven(effect, value),
  ): unknown {
    // A handle of the record is told of as it is there; a live one is when the program gets it.
    const result = passage === undefined && effect.declared === true ? this.give(effect, value) : value;
    const recorded = value instanceof RecordedHandle ? value : result;
    this.#recording.effectEnded(entry, {
      status: "ok",
      value: passage === undefined ? recorded : passage.recorded,
    });
    if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
    return passage === undefined ? result : effectStream(this, effect, passage);
  }

  #recordedEffect(effect: EffectCall, index: number, entry: number): unknown {
    const { outcome, asynchronous } = this.#recorded.effectAt(index);
    if (asynchronous) this.#recording.effectReturned(entry);
    if (outcome.status === "pending") return this.#never();
    if (!asynchronous) {
      const result = this.#outcome(outcome, effect.revive);
      if (result.status === "ok") return this.#result(effect, index, entry, result.value);
      this.#recording.effectEnded(entry, result);
      this.#effectsEnded[index] = 1;
      throw result.error;
    }
    return new Promise((resolve, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => {
        const result = this.#outcome(outcome, effect.revive);
        this.#recording.effectArrived(entry);
        if (result.status === "ok") return resolve(this.#result(effect, index, entry, result.value));
        this.#recording.effectEnded(entry, result);
        this.#effectsEnded[index] = 1;
        reject(result.error);
      });
    });
  }

  #liveEffect(effect: EffectCall, index: number, entry: number, run: () => unknown): unknown {
    const fail = (error: unknown): void => {
      this.#recording.effectEnded(entry, { status: "error", error });
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
    };
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      fail(error);
      throw error;
    }
    if (!isThenable(result)) return this.#result(effect, index, entry, result);
    if (effect.declared === true && isLazy(result))
      return this.#builder(effect, index, entry, [], "recorded", result);
    return this.#follow(effect, index, entry, result);
  }

  /** Hands over what a promise is settled with, at the recorded place. */
  #follow(effect: EffectCall, index: number, entry: number, promise: PromiseLike<unknown>): Promise<unknown> {
    const fail = (error: unknown): void => {
      this.#recording.effectEnded(entry, { status: "error", error });
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
    };
    this.#recording.effectReturned(entry);
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        this.#recording.effectArrived(entry);
        // Before its turn: a stream may fail while it waits, with nobody else to hear of it.
        const passage = outcome.status === "ok" ? streamGiven(effect, outcome.value) : undefined;
        this.#ready(this.#readyEffects, this.#effectEndPositions, index, () => {
          if (outcome.status === "ok") {
            return resolve(this.#result(effect, index, entry, outcome.value, passage));
          }
          fail(outcome.error);
          reject(outcome.error);
        });
      };
      whenSettled(promise, arrive);
    });
  }

  /** An effect that the capsule does not hold. */
  #refuse(effect: EffectCall, entry: number): unknown {
    if (effect.madeUp !== undefined) {
      const value = madeUp(effect);
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
    if (effect.asynchronous !== true && !this.#recorded.isAsynchronous(effect.name)) {
      this.#recording.effectEnded(entry, { status: "error", error });
      throw error;
    }
    // In a turn of its own, as any other result: a replay of this replay will give it in one.
    this.#recording.effectReturned(entry);
    const rejected = new Promise((_, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, NOT_RECORDED, () => {
        this.#recording.effectArrived(entry);
        this.#recording.effectEnded(entry, { status: "error", error });
        reject(error);
      });
    });
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

  /** Keeps `hand` until the record comes to its place, or for any turn where that has passed or the record has no such thing. */
  #ready(table: Map<number, () => void>, positions: Int32Array, index: number, hand: () => void): void {
    const position = index === NOT_RECORDED ? undefined : positions[index];
    if (position === -1) this.#readyLast.push(hand);
    // Nothing is before the cursor but what has happened.
    else if (position === undefined || position < this.#cursor) this.#readyAnyTime.push(hand);
    else table.set(index, hand);
    this.#poke();
  }

  #poke(): void {
    this.#moved = true;
    if (this.#armed || this.#ended) return;
    if (this.#anyReady()) this.#arm();
    else this.#look();
  }

  /** Begins to wait when this macrotask is over, if nothing has become ready by then. Most often something has. */
  #look(): void {
    this.#looking ??= setImmediateOriginal(this.#looked);
  }

  readonly #looked = (): void => {
    this.#looking = undefined;
    if (this.#armed || this.#ended) return;
    if (this.#timer === undefined) this.#wait();
    else this.#timer.refresh();
  };

  #anyReady(): boolean {
    return this.#readyCalls.size > 0 || this.#readyEffects.size > 0 || this.#readyAnyTime.length > 0;
  }

  #arm(): void {
    this.#armed = true;
    clearTimeoutOriginal(this.#timer);
    this.#timer = undefined;
    const early = this.#options.pace === "recorded" ? this.#untilDue() : 0;
    if (early > 0) this.#timer = setTimeoutOriginal(this.#fallDue, early);
    else this.#fallDue();
  }

  readonly #fallDue = (): void => {
    this.#timer = undefined;
    this.#due = true;
    if (this.#stepsAhead === 0) this.#schedule();
  };

  /**
   * Immediates that are there already are taken one after the other with nothing but microtasks between them,
   * and so without a round of the event loop for each turn, which would take as long as the turn.
   */
  #schedule(): void {
    for (let step = 0; step < this.#stepsAtOnce; step++) setImmediateOriginal(this.#step);
    this.#stepsAhead += this.#stepsAtOnce;
    if (this.#options.pace === "immediate") {
      this.#stepsAtOnce = Math.min(2 * this.#stepsAtOnce, MOST_STEPS_AT_ONCE);
    }
  }

  /** The end of a turn, which is when all microtasks it set off have run, and the next turn. */
  readonly #step = (): void => {
    this.#stepsAhead -= 1;
    if (this.#turning) this.#close();
    if (!this.#due || this.#ended) return;
    this.#due = false;
    if (this.#stepsAhead === 0) this.#schedule();
    this.#turning = true;
    this.#turn();
  };

  /** Milliseconds until what is next came in the recording. */
  #untilDue(): number {
    const event = this.#passOver();
    if (event === undefined || !this.#isReady(event)) return 0;
    const { at, duration } =
      event.kind === "call-end" ? this.#recorded.callAt(event.index) : this.#recorded.effectAt(event.index);
    return (at + duration) / 1000 - (monotonicClock() - this.#startedAt);
  }

  #turn(): void {
    this.#moved = false;
    const hand = this.#next();
    if (hand === undefined) return;
    this.#moved = true;
    hand();
    this.#handJoined();
  }

  /** What was called in the record with no microtask in between is called so again. */
  #handJoined(): void {
    for (;;) {
      const event = this.#passOver();
      if (event?.kind !== "effect-end" || this.#recorded.effectAt(event.index).joined !== true) return;
      const hand = this.#take(event);
      if (hand === undefined) return;
      this.#cursor += 1;
      hand();
    }
  }

  #close(): void {
    this.#turning = false;
    this.#armed = false;
    if (this.#ended) return;
    if (this.#moved && this.#anyReady()) this.#arm();
    else if (this.#isBroken()) this.#giveUp();
    else this.#wait();
  }

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
    const { call, item } = this.#recorded.effectAt(event.index);
    if (this.#optionalCalls[call] === 1) return true;
    // Items are what the stage gives, whatever it is made by; but another stream may have more of them, or fewer.
    if (item) return typeof this.#options.stages.get(this.#stageOf(call)) === "function";
    return isReplaced(this.#options.stages.get(this.#stageOf(call)));
  }

  #stageOf(call: number): string {
    return this.#recorded.capsule.stages[this.#recorded.callAt(call).stage]?.name ?? "";
  }

  /** Nothing moves. Something live may still come; if not, the order is given up, or the replay. */
  #wait(): void {
    clearTimeoutOriginal(this.#timer);
    this.#stepsAtOnce = 1;
    this.#delay = this.#delayNow();
    this.#timer = setTimeoutOriginal(this.#expired, this.#delay);
  }

  /** What the record has next may have become something live since the wait began: that takes its time. */
  readonly #expired = (): void => {
    if (!this.#ended && !this.#armed && this.#delayNow() > this.#delay) this.#wait();
    else this.#giveUp();
  };

  #delayNow(): number {
    const hasRest = this.#neverSettling > 0 || this.#readyLast.length > 0 || this.#neverEnded;
    const otherwise = this.#anyReady() || hasRest;
    const { patience, timeout } = this.#options;
    const event = this.#passOver();
    // What is not declared takes its time again: as long as it took then, and as much again.
    const then = event?.kind === "call-end" ? (2 * this.#recorded.callAt(event.index).duration) / 1000 : 0;
    return otherwise && !this.#isLive(event) ? Math.min(patience + then, timeout) : timeout;
  }

  /** Whether what the record has next is the end of something that runs for real, and takes its time. */
  #isLive(event: CapsuleEvent | undefined): boolean {
    if (event?.kind === "call-end") {
      const { delivered } = this.#recorded.callAt(event.index);
      return delivered || typeof this.#options.stages.get(this.#stageOf(event.index)) === "function";
    }
    if (event?.kind !== "effect-end" || this.#effectsStarted[event.index] !== 1) return false;
    const { item, call, delivered } = this.#recorded.effectAt(event.index);
    if (item) return delivered || typeof this.#options.stages.get(this.#stageOf(call)) === "function";
    return this.#effectsLive[event.index] === 1;
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
    const last = this.#readyLast.shift();
    if (last === undefined) return this.#options.stuck();
    this.#readyAnyTime.push(last);
    this.#arm();
  };

  #match(call: ObservedCall): number {
    const known = this.#matches[call.index];
    if (known !== undefined) return known;
    const index =
      call.parent === undefined
        ? 0
        : this.#matchChild(this.#match(call.parent), call.definition.name, call.ordinal);
    this.#matches[call.index] = index;
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

/**
 * Whether it settled in the turn that made it settle. What had not when the recorded run ended does not
 * settle at once either, however quick it is now.
 */
function isConsequence({ delivered, outcome }: Pick<CallRecord, "delivered" | "outcome">): boolean {
  return !delivered && outcome.status !== "pending";
}

function attempt(perform: () => unknown): Outcome {
  try {
    return { status: "ok", value: perform() };
  } catch (error) {
    return { status: "error", error };
  }
}

/** Made up from the run's seed, in a stream that nothing else draws from: what follows it is not shifted. */
function madeUp({ call, name, ordinal, madeUp: make }: EffectCall): unknown {
  return make?.(seededRandom(call.run.seed, `made up ${call.index} ${name}#${ordinal}`), call.run);
}

/** A function in place of an effect is inside the effect: what it reads is its own business. */
function standIn(substitute: (...input: never[]) => unknown, input: readonly unknown[]): unknown {
  return suspend(() => Reflect.apply(substitute, undefined, input as never[]));
}

function returnOrThrow(outcome: Outcome): unknown {
  if (outcome.status === "ok") return outcome.value;
  throw outcome.error;
}
