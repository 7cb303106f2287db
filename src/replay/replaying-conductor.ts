/**
 * Drives a program through a recorded run: the other half of `record/recording-conductor.ts`.
 *
 * Invariants
 * 1. Nothing is performed unless an option says so by name (G5).
 * 2. What the record holds is handed over in the record's order, one result to a macrotask, and not
 *    before the program has begun and ended everything that the record has before it.
 * 3. What is given for what the program asks is decided in `answering.ts`: what the record has no answer to is refused.
 * 4. Where the record's order cannot be kept any more (what it has next never comes), it goes on
 *    with the next that can, after `patience`; by then the run has diverged.
 *
 * A live result (a stage or an effect run for real) takes its recorded place.
 */
import type { CallRecord, CapsuleEvent } from "../capsule/capsule.js";
import { type BuilderLog, RecordedHandle } from "../capsule/recorded-handle.js";
import { openBuilder } from "../effects/builder.js";
import { given, streamGiven } from "../effects/handle.js";
import { callBack } from "../effects/lent-function.js";
import { isLazy } from "../effects/live.js";
import { isPreparation } from "../effects/preparations.js";
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
import {
  UNCAUGHT,
  type Conductor,
  type EffectCall,
  type ObservedCall,
  type Replacement,
  type RunListener,
  type StreamItem,
  type UpcomingEffect,
} from "../stage/seam.js";
import { suspend } from "../stage/scopes.js";
import { quietly } from "../stage/quiet.js";
import { settlePromise, whenSettled } from "../stage/settlement.js";
import { isThenable } from "../stage/stage.js";
import { effectStream } from "../streams/effect-stream.js";
import type { Passage } from "../streams/passage.js";
import { ENDED } from "../streams/pull.js";
import { type Answer, Answering, type AnsweringOptions } from "./answering.js";
import { recordedCallAnswer, recordedEffectAnswer, withRecorded } from "./recorded-answer.js";
import { NOT_RECORDED, type RecordedRun, type SettledOutcome } from "./recorded-run.js";
import type { StaleAnswer } from "./stale-answers.js";
import { type HiddenOutput, hiddenStateIn } from "./hidden-state.js";
import { isReplaced, type Substitute } from "./substitutes.js";

/** How fast a replay goes. */
export type Pace = "immediate" | "recorded";

export interface ConductorOptions extends Omit<AnsweringOptions, "match"> {
  /** Milliseconds without progress after which the record's order is given up. */
  readonly patience: number;
  readonly timeout: Timeout;
  /** Told of a `revive` that throws. */
  readonly report: Report;
  /** When results are handed over: as soon as their turn comes, or when they came in the recording. */
  readonly pace: Pace;
  /** Called when the replay cannot go on. */
  readonly stuck: () => void;
}

/** When a replay is given up. */
export interface Timeout {
  readonly milliseconds: number;
  /** Whether it is for all of the replay; if not, it is for a time in which nothing happens. */
  readonly inAll: boolean;
}

const MOST_STEPS_AT_ONCE = 16;
const UNTIL_TIMEOUT = Number.POSITIVE_INFINITY;
/** A program that goes round and round always does something: it is given up when it has had so many times the timeout. */
const MOST_TIMEOUTS = 60;

export class ReplayingConductor implements Conductor, RunListener {
  readonly replaying = true;
  readonly #recorded: RecordedRun;
  readonly #recording: Recording;
  readonly #options: ConductorOptions;
  readonly #answering: Answering;
  readonly #events: readonly CapsuleEvent[];
  /** Recorded calls within a stage that is not its own code: they may not come. */
  readonly #optionalCalls: Uint8Array;
  readonly #callsStarted: Uint8Array;
  readonly #callsEnded: Uint8Array;
  readonly #effectsStarted: Uint8Array;
  readonly #effectsEnded: Uint8Array;
  /** Begun, and performed or stood in for: what comes of them takes its time. */
  readonly #effectsLive: Uint8Array;
  /** How many things that run for real have not come yet. */
  #liveInFlight = 0;
  /** Calls that were to be given as recorded, and run instead. */
  readonly #liveCalls = new Set<number>();
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
  #hidden: HiddenOutput | undefined;
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
  #deadline: NodeJS.Timeout | undefined;
  /** Whether anything has happened since the deadline was set. */
  #alive = false;
  #timeouts = 0;
  readonly #startedAt = monotonicClock();
  /** How long it waits, in milliseconds. */
  #delay = 0;

  constructor(recorded: RecordedRun, recording: Recording, options: ConductorOptions) {
    this.#recorded = recorded;
    this.#recording = recording;
    this.#options = options;
    this.#answering = new Answering(recorded, recording, { ...options, match: (call) => this.#match(call) });
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
      const replaced = isReplaced(this.#substituteAt(call.parent));
      this.#optionalCalls[index] = replaced ? 1 : (this.#optionalCalls[call.parent] as number);
    }
    this.#setDeadline();
  }

  #setDeadline(): void {
    this.#alive = false;
    this.#timeouts += 1;
    this.#deadline = setTimeoutOriginal(this.#expire, this.#options.timeout.milliseconds);
  }

  readonly #expire = (): void => {
    if (this.#ended) return;
    // A turn that is not due yet comes by itself.
    const goesOn = this.#alive || this.#armed;
    if (goesOn && !this.#options.timeout.inAll && this.#timeouts < MOST_TIMEOUTS) this.#setDeadline();
    else this.#options.stuck();
  };

  // As a listener: what the program does.

  callStarted(call: ObservedCall): undefined {
    const index = this.#match(call);
    if (index !== NOT_RECORDED) this.#callsStarted[index] = 1;
    this.#poke();
  }

  callEnded(call: ObservedCall, outcome: Outcome): void {
    const index = this.#match(call);
    this.#lookAt(call, index, outcome);
    if (index !== NOT_RECORDED) this.#callsEnded[index] = 1;
    this.#poke();
  }

  /** What a record cannot hold may have changed, and nobody would see it. */
  #lookAt({ definition: { name, record } }: ObservedCall, index: number, outcome: Outcome): void {
    if (this.#hidden !== undefined || index === NOT_RECORDED) return;
    if (record?.output !== undefined && outcome.status === "ok") return;
    if (this.#optionalCalls[index] === 1 || isReplaced(this.#substituteAt(index))) return;
    const value = outcome.status === "ok" ? outcome.value : outcome.error;
    const found = quietly(() => hiddenStateIn(value));
    if (found !== undefined) this.#hidden = { stage: name, ...found };
  }

  /** Where a stage gave something of which no record can say whether it is the same. */
  get hidden(): HiddenOutput | undefined {
    return this.#hidden;
  }

  contractViolated(): void {
    // The recording beside it keeps violations; the order has no part in them.
  }

  runEnded(): void {
    this.stop();
  }

  /** Whether an option had an effect, or what it is part of, not given as recorded. */
  isEffectReplaced(call: string, effect: string): boolean {
    return this.#answering.isReplaced(call, effect);
  }

  /** What was asked that the record has no answer to. */
  get stale(): readonly StaleAnswer[] {
    return this.#answering.stale;
  }

  /** Answers that were found at another place than the one they were asked at. */
  get notes(): readonly string[] {
    return this.#answering.notes;
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#ended = true;
    clearTimeoutOriginal(this.#deadline);
    clearTimeoutOriginal(this.#timer);
    // Who replays one capsule after the other, and none of them takes a macrotask, would gather these.
    clearImmediateOriginal(this.#looking);
  }

  // As a conductor: what the program gets.

  replace(call: ObservedCall): Replacement | undefined {
    const substitute = this.#options.substitutes.meetStage(call);
    if (typeof substitute === "function") {
      return { call: (self, input) => this.#substitutedCall(call, substitute, self, input), parsed: false };
    }
    if (substitute !== "recorded") return undefined;
    const answer = this.#answering.call(call);
    switch (answer.how) {
      case "recorded":
        this.#matches[call.index] = answer.index;
        this.#callsStarted[answer.index] = 1;
        return { call: () => this.#recordedCall(call, answer.index, answer.elsewhere), parsed: true };
      case "live":
        this.#liveCalls.add(call.index);
        return undefined;
      case "refused":
        return { call: () => this.#refuseCall(call, answer.error), parsed: true };
    }
  }

  #substitutedCall(
    call: ObservedCall,
    substitute: (...input: never[]) => unknown,
    self: unknown,
    input: readonly unknown[],
  ): unknown {
    const index = this.#match(call);
    const { name, revive } = call.definition;
    const run = (): unknown => {
      const isGivenRecord = substitute.length > input.length;
      const record = isGivenRecord
        ? recordedCallAnswer(this.#recorded, index, revive, this.#options.report)
        : undefined;
      const given = isGivenRecord ? withRecorded(substitute, input, record) : input;
      return Reflect.apply(substitute, self as never, given as never[]);
    };
    const isAsynchronous =
      index === NOT_RECORDED
        ? this.#recorded.isStageAsynchronous(name)
        : this.#recorded.callAt(index).asynchronous;
    // What settled later in the record settles in its place, also where another function has its result at once.
    return isAsynchronous ? asPromise(run) : run();
  }

  /** A call that has no recorded answer: as any other of its stage, in a promise where that gives one. */
  #refuseCall({ definition: { name } }: ObservedCall, error: HindcastError): unknown {
    if (!this.#recorded.isStageAsynchronous(name)) throw error;
    return Promise.reject(error);
  }

  /** The part in this replay of a call. */
  #substituteOf(call: ObservedCall): Substitute | undefined {
    if (this.#liveCalls.has(call.index)) return "live";
    return this.#options.substitutes.stage(call.definition.name, call.ordinal);
  }

  /** The part in this replay of a recorded call. */
  #substituteAt(index: number): Substitute | undefined {
    return this.#options.substitutes.stage(this.#stageOf(index), this.#recorded.callAt(index).ordinal);
  }

  settle(call: ObservedCall, pass: (delivered: boolean) => void, opens: boolean): void {
    const index = this.#match(call);
    if (opens) return this.#settleItem(call, this.#item(index, 0), pass);
    const substitute = this.#substituteOf(call);
    const passesAtOnce = index !== NOT_RECORDED && isConsequence(this.#recorded.callAt(index));
    // A recorded stage has settled because its turn had come; a consequence of a turn passes with it.
    if (substitute === "recorded" || (typeof substitute !== "function" && passesAtOnce)) pass(false);
    else this.#ready(this.#readyCalls, this.#callEndPositions, index, () => pass(true));
  }

  /** It is entered, as any other thing that the program does, and ends nothing but what it has ended in the program. */
  uncaught(call: ObservedCall, error: unknown): void {
    if (call.run.closed || this.#ended) return;
    const effect = { call, name: UNCAUGHT, ordinal: call.nextEffect(UNCAUGHT) };
    const index = this.#answering.place(effect);
    const entry = this.#recording.effectStarted(effect, [error]);
    this.#recording.effectEnded(entry, { status: "ok", value: undefined });
    if (index !== NOT_RECORDED) {
      this.#effectsStarted[index] = 1;
      this.#effectsEnded[index] = 1;
    }
    this.#poke();
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
    const frozen = this.#substituteOf(call) === "recorded";
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
    const substitute = this.#substituteOf(call);
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
    if (this.#isPrepared(effect)) return madeUp(effect);
    const entry = this.#recording.effectStarted(effect, input);
    const answer = this.#answer(effect, input, entry);
    switch (answer.how) {
      case "recorded":
        callBackDuring(effect);
        return this.#recordedEffect(effect, answer.index, entry, answer.elsewhere);
      case "builder":
        return this.#openBuilder(effect, answer.index, entry, input, perform);
      case "inside":
        return this.#liveEffect(effect, answer.index, entry, perform);
      case "run": {
        const { index, run } = answer;
        if (run === "live") return this.#liveEffect(effect, index, entry, perform);
        if (index !== NOT_RECORDED && this.#recorded.effectAt(index).builder !== undefined)
          return this.#builder(effect, index, entry, input, run);
        return this.#liveEffect(effect, index, entry, () => this.#standIn(effect, index, run, input));
      }
      case "made-up":
        return this.#endAtOnce(entry, madeUp(effect));
      case "given-up":
        return this.#giveUpStream(effect, entry, input);
      case "refused":
        return this.#refuse(effect, entry, answer.error);
    }
  }

  upcoming(call: ObservedCall, name: string): UpcomingEffect | undefined {
    const index = this.#answering.place({ call, name, ordinal: call.effectsBegun(name) });
    if (index === NOT_RECORDED) return undefined;
    const next = this.#passOver();
    const isNext = next?.kind === "effect-start" && next.index === index;
    return { record: this.#recorded.effectAt(index), index, isNext };
  }

  give(effect: EffectCall, value: unknown): unknown {
    return given(effect, value, this.#recording.classes);
  }

  /** Gives a builder that is answered when it is asked. Of the real one, where it may then be asked for real. */
  #openBuilder(
    effect: EffectCall,
    index: number,
    entry: number,
    input: readonly unknown[],
    perform: () => unknown,
  ): unknown {
    if (!this.#answering.mayBecomeLive(effect)) {
      callBackDuring(effect);
      return this.#builder(effect, index, entry, input, "recorded");
    }
    const real = attempt(perform);
    if (real.status === "error" || !isLazy(real.value))
      return this.#liveEffect(effect, index, entry, () => returnOrThrow(real));
    return this.#builder(effect, index, entry, input, "recorded", real.value);
  }

  /** Gives a builder: of nothing, or of the real one where the effect is live, or may become so. */
  #builder(
    effect: EffectCall,
    index: number,
    entry: number,
    given: readonly unknown[],
    substitute: Substitute,
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
          const live = (place: number): Promise<unknown> =>
            this.#follow(effect, place, entry, suspend(perform, true) as Promise<unknown>);
          if (substitute === "live") return live(index);
          if (typeof substitute === "function") {
            const promise = asPromise(() => this.#standIn(effect, index, substitute, input));
            return this.#follow(effect, index, entry, promise as Promise<unknown>);
          }
          const answer = this.#answering.asked(effect, index, asked, real !== undefined);
          this.#note(answer);
          if (answer.how === "run") return live(answer.index);
          if (answer.how === "recorded")
            return this.#recordedEffect(effect, answer.index, entry, answer.elsewhere) as Promise<unknown>;
          return this.#inTurn(entry, { status: "error", error: answer.error });
        },
      },
      real,
    );
  }

  /** What is given for an effect that has been entered. */
  /** Whether it is a preparation that the recorded run did not need. */
  #isPrepared(effect: EffectCall): boolean {
    return isPreparation(effect.name) && this.#answering.place(effect) === NOT_RECORDED;
  }

  #answer(effect: EffectCall, input: readonly unknown[], entry: number): Answer {
    const answer = this.#answering.effect(effect, input, entry);
    this.#note(answer);
    this.#poke();
    return answer;
  }

  /** Notes that the recorded effect whose place an answer takes has begun. */
  #note(answer: Answer): void {
    if (!("index" in answer) || answer.index === NOT_RECORDED) return;
    this.#effectsStarted[answer.index] = 1;
    this.#effectsLive[answer.index] = answer.how === "run" || answer.how === "inside" ? 1 : 0;
  }

  /** What another function gives in place of an effect: in a promise, where the effect gives one. */
  #standIn(
    { name, revive }: EffectCall,
    index: number,
    substitute: (...input: never[]) => unknown,
    input: readonly unknown[],
  ): unknown {
    const run = (): unknown => {
      if (substitute.length <= input.length) return standIn(substitute, input);
      const record = recordedEffectAnswer(this.#recorded, index, revive, this.#options.report);
      return standIn(substitute, withRecorded(substitute, input, record));
    };
    const isAsynchronous =
      index === NOT_RECORDED
        ? this.#recorded.isAsynchronous(name)
        : this.#recorded.effectAt(index).asynchronous;
    return isAsynchronous ? asPromise(run) : run();
  }

  #endAtOnce(entry: number, value: unknown): unknown {
    this.#recording.effectEnded(entry, { status: "ok", value });
    return value;
  }

  /** A stream that is let go of, where the record goes on: nothing is learned from it. */
  #giveUpStream(effect: EffectCall, entry: number, [method, value]: readonly unknown[]): unknown {
    const outcome: Outcome =
      method === "throw" ? { status: "error", error: value } : { status: "ok", value: { ...ENDED, value } };
    if (!this.#recorded.isAsynchronous(effect.name)) {
      this.#recording.effectEnded(entry, outcome);
      return returnOrThrow(outcome);
    }
    return this.#inTurn(entry, outcome);
  }

  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void {
    if (this.#isPrepared(effect)) return prepared(effect, hand);
    const entry = this.#recording.effectStarted(effect, input);
    const answer = this.#answer(effect, input, entry);
    const index = "index" in answer ? answer.index : NOT_RECORDED;
    this.#recording.effectReturned(entry);
    let over = false;
    let inFlight = false;
    const end = (outcome: Outcome): void => {
      if (over) return;
      over = true;
      this.#recording.effectArrived(entry);
      this.#recording.effectEnded(entry, outcome);
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
      try {
        hand(outcome);
      } catch (error) {
        this.uncaught(effect.call, error);
      }
    };
    const place = answer.how === "recorded" && answer.elsewhere ? NOT_RECORDED : index;
    const ready = (outcome: () => Outcome): void => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, place, () => end(outcome()));
    };
    const land = (): void => {
      if (inFlight) this.#liveInFlight -= 1;
      inFlight = false;
    };
    const arrive = (outcome: Outcome): void => {
      land();
      ready(() => outcome);
    };
    const takeOff = (): void => {
      inFlight = true;
      this.#liveInFlight += 1;
    };
    switch (answer.how) {
      case "recorded": {
        const record = this.#recorded.effectAt(index).outcome;
        if (record.status === "pending") this.#neverSettling += 1;
        else ready(() => this.#outcome(record, effect.revive));
        break;
      }
      // A builder ends in no callback.
      case "builder":
        break;
      // What belongs to another effect is part of what stands for that one, and the record's order goes on without it.
      case "inside":
        this.#neverSettling += 1;
        if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
        break;
      case "run": {
        const { run } = answer;
        takeOff();
        if (run === "live") begin(arrive);
        // Begun in a microtask: what it throws at once must not come before the effect has begun.
        else
          whenSettled(
            Promise.resolve().then(() => this.#standIn(effect, index, run, input)),
            arrive,
          );
        break;
      }
      case "made-up":
        ready(() => ({ status: "ok", value: madeUp(effect) }));
        break;
      case "given-up":
        ready(() => ({ status: "ok", value: ENDED }));
        break;
      case "refused":
        ready(() => ({ status: "error", error: answer.error }));
    }
    return () => {
      over = true;
      land();
    };
  }

  #recordedCall(call: ObservedCall, index: number, elsewhere: boolean): unknown {
    const opening = this.#item(index, 0);
    if (opening !== NOT_RECORDED) return this.#recordedStream(index, opening);
    const { outcome, asynchronous } = this.#recorded.callAt(index);
    if (outcome.status === "pending") return this.#never();
    const { revive } = call.definition;
    if (!asynchronous) return returnOrThrow(this.#outcome(outcome, revive));
    return new Promise((resolve, reject) => {
      this.#ready(this.#readyCalls, this.#callEndPositions, elsewhere ? NOT_RECORDED : index, () => {
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

  #recordedEffect(effect: EffectCall, index: number, entry: number, elsewhere: boolean): unknown {
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
      this.#ready(this.#readyEffects, this.#effectEndPositions, elsewhere ? NOT_RECORDED : index, () => {
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
      return this.#builder(effect, index, entry, [], "live", result);
    return this.#follow(effect, index, entry, result);
  }

  /** Hands over what a promise is settled with, at the recorded place. */
  #follow(effect: EffectCall, index: number, entry: number, promise: PromiseLike<unknown>): Promise<unknown> {
    const fail = (error: unknown): void => {
      this.#recording.effectEnded(entry, { status: "error", error });
      if (index !== NOT_RECORDED) this.#effectsEnded[index] = 1;
    };
    this.#recording.effectReturned(entry);
    this.#liveInFlight += 1;
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        this.#liveInFlight -= 1;
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

  /** An effect that the record has no answer to. */
  #refuse(effect: EffectCall, entry: number, error: HindcastError): unknown {
    if (effect.asynchronous !== true && !this.#recorded.isAsynchronous(effect.name)) {
      this.#recording.effectEnded(entry, { status: "error", error });
      throw error;
    }
    return this.#inTurn(entry, { status: "error", error });
  }

  /** In a turn of its own, as any other result: a replay of this replay will give it in one. */
  #inTurn(entry: number, outcome: Outcome): Promise<unknown> {
    this.#recording.effectReturned(entry);
    const promise = new Promise((resolve, reject) => {
      this.#ready(this.#readyEffects, this.#effectEndPositions, NOT_RECORDED, () => {
        this.#recording.effectArrived(entry);
        this.#recording.effectEnded(entry, outcome);
        settlePromise(outcome, resolve, reject);
      });
    });
    // A program that lets go of it is diverging already, and must not be killed for it.
    promise.catch(() => undefined);
    return promise;
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
    this.#alive = true;
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
    const { call, item, name } = this.#recorded.effectAt(event.index);
    if (this.#optionalCalls[call] === 1 || isPreparation(name)) return true;
    // Items are what the stage gives, whatever it is made by; but another stream may have more of them, or fewer.
    if (item) return typeof this.#substituteAt(call) === "function";
    return isReplaced(this.#substituteAt(call));
  }

  #stageOf(call: number): string {
    return this.#recorded.capsule.stages[this.#recorded.callAt(call).stage]?.name ?? "";
  }

  /** Nothing moves. Something may still come, until the timeout; where something else can go on, the order is given up. */
  #wait(): void {
    clearTimeoutOriginal(this.#timer);
    this.#timer = undefined;
    this.#stepsAtOnce = 1;
    this.#delay = this.#delayNow();
    if (this.#delay !== UNTIL_TIMEOUT) this.#timer = setTimeoutOriginal(this.#expired, this.#delay);
  }

  /** What the record has next may have become something live since the wait began: that takes its time. */
  readonly #expired = (): void => {
    if (!this.#ended && !this.#armed && this.#delayNow() > this.#delay) this.#wait();
    else this.#giveUp();
  };

  #delayNow(): number {
    const isReady = this.#anyReady();
    const hasRest = this.#neverSettling > 0 || this.#readyLast.length > 0 || this.#neverEnded;
    const event = this.#passOver();
    if (!isReady && (!hasRest || this.#liveInFlight > 0)) return UNTIL_TIMEOUT;
    if (this.#isLive(event)) return UNTIL_TIMEOUT;
    // What is not declared takes its time again: as long as it took then, and as much again.
    const then = event?.kind === "call-end" ? (2 * this.#recorded.callAt(event.index).duration) / 1000 : 0;
    return this.#options.patience + then;
  }

  /** Whether what the record has next is the end of something that runs for real, and takes its time. */
  #isLive(event: CapsuleEvent | undefined): boolean {
    if (event?.kind === "call-end") {
      const { delivered } = this.#recorded.callAt(event.index);
      return delivered || typeof this.#substituteAt(event.index) === "function";
    }
    if (event?.kind !== "effect-end" || this.#effectsStarted[event.index] !== 1) return false;
    const { item, call, delivered } = this.#recorded.effectAt(event.index);
    if (item) return delivered || typeof this.#substituteAt(call) === "function";
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

/**
 * Whether it settled in the turn that made it settle. What had not when the recorded run ended does not
 * settle at once either, however quick it is now.
 */
function isConsequence({ delivered, outcome }: Pick<CallRecord, "delivered" | "outcome">): boolean {
  return !delivered && outcome.status !== "pending";
}

/** Calls what an effect that is given as recorded has called. */
function callBackDuring(effect: EffectCall): void {
  if (effect.during !== undefined) effect.during();
  else if (effect.declared === true) callBack(effect.call.run);
}

function attempt(perform: () => unknown): Outcome {
  try {
    return { status: "ok", value: perform() };
  } catch (error) {
    return { status: "error", error };
  }
}

/** What a function gives, in a promise: also what it gives, or throws, at once. */
function asPromise(run: () => unknown): unknown {
  const outcome = attempt(run);
  if (outcome.status === "error") return Promise.reject(outcome.error);
  return isThenable(outcome.value) ? outcome.value : Promise.resolve(outcome.value);
}

/** Made up from the run's seed, in a stream that nothing else draws from: what follows it is not shifted. */
function madeUp({ call, name, ordinal, madeUp: make }: EffectCall): unknown {
  return make?.(seededRandom(call.run.seed, `made up ${call.index} ${name}#${ordinal}`), call.run);
}

/** What the recorded run had ready is ready at once, and is no part of the order. */
function prepared(effect: EffectCall, hand: (outcome: Outcome) => void): () => void {
  let over = false;
  queueMicrotask(() => {
    if (!over) hand({ status: "ok", value: madeUp(effect) });
  });
  return () => {
    over = true;
  };
}

/** A function in place of an effect is inside the effect: what it reads is its own business. */
function standIn(substitute: (...input: never[]) => unknown, input: readonly unknown[]): unknown {
  return suspend(() => Reflect.apply(substitute, undefined, input as never[]));
}

function returnOrThrow(outcome: Outcome): unknown {
  if (outcome.status === "ok") return outcome.value;
  throw outcome.error;
}
