/**
 * The order of a run that is being recorded: whatever comes from outside is handed to the program
 * one result to a macrotask, and entered in the recording as it is handed over. A replay hands the
 * same results over in the same order under the same discipline, which is all that exactness takes.
 */
import type { BuilderLog } from "../capsule/recorded-handle.js";
import { openBuilder } from "../effects/builder.js";
import { given, streamGiven } from "../effects/handle.js";
import { isLazy } from "../effects/live.js";
import type { Turns } from "../effects/turns.js";
import type { Outcome } from "../stage/definition.js";
import {
  UNCAUGHT,
  type Conductor,
  type EffectCall,
  type ObservedCall,
  type Place,
  type StreamItem,
} from "../stage/seam.js";
import { suspend } from "../stage/scopes.js";
import { settlePromise, whenSettled } from "../stage/settlement.js";
import { isThenable } from "../stage/stage.js";
import { effectStream } from "../streams/effect-stream.js";
import type { Passage } from "../streams/passage.js";
import type { Recording } from "./recording.js";

export class RecordingConductor implements Conductor {
  readonly replaying = false;
  readonly #recording: Recording;
  readonly #turns: Turns;
  #uncaught: { readonly error: unknown } | undefined;
  /** Whether something was handed over at once, and no microtask has run since. */
  #joining = false;

  constructor(recording: Recording, turns: Turns) {
    this.#recording = recording;
    this.#turns = turns;
  }

  give(effect: EffectCall, value: unknown): unknown {
    return given(effect, value, this.#recording.classes);
  }

  isOpen(): boolean {
    return this.#turns.open || this.#turns.waiting;
  }

  doubt(name: string, message: string): void {
    this.#recording.doubted(name, message);
  }

  turn(body: () => void): void {
    this.#turns.enqueue(body);
  }

  replace(): undefined {
    return undefined;
  }

  undeclared(call: ObservedCall, source: string, place: Place | undefined): void {
    this.#recording.askedUndeclared(call, source, place);
  }

  /** Once for each error: it is caught where it is handed on, and again where the process is told. */
  uncaught(call: ObservedCall, error: unknown): void {
    if (call.run.closed || (this.#uncaught !== undefined && Object.is(this.#uncaught.error, error))) return;
    this.#uncaught = { error };
    const effect = { call, name: UNCAUGHT, ordinal: call.nextEffect(UNCAUGHT) };
    this.#recording.effectEnded(this.#recording.effectStarted(effect, [error]), {
      status: "ok",
      value: undefined,
    });
  }

  opened(call: ObservedCall, recorded: unknown, delivered: boolean): void {
    this.#recording.streamOpened(call, recorded, delivered);
  }

  settle(call: ObservedCall, pass: (delivered: boolean) => void): void {
    // Within a turn it is a consequence of what that turn brought, and a replay will see the same.
    if (this.#turns.open) return pass(false);
    // In another run's turn it is a consequence of that run.
    this.#recording.mayBeWoken(call);
    this.#turns.enqueue(() => pass(true));
  }

  start(
    effect: EffectCall,
    input: readonly unknown[],
    begin: (arrive: (outcome: Outcome, atOnce?: boolean) => void) => void,
    hand: (outcome: Outcome) => void,
  ): () => void {
    const recording = this.#recording;
    const index = recording.effectStarted(effect, input);
    recording.effectReturned(index);
    this.#turns.outstanding += 1;
    let over = false;
    begin((outcome, atOnce = false) => {
      if (over) return;
      recording.effectArrived(index);
      const pass = (): void => {
        if (over) return;
        over = true;
        this.#turns.outstanding -= 1;
        recording.effectEnded(index, outcome);
        try {
          hand(outcome);
        } catch (error) {
          this.uncaught(effect.call, error);
          throw error;
        }
      };
      if (!atOnce) return this.#turns.enqueue(pass);
      this.#turns.enter();
      if (this.#joining) recording.effectJoined(index);
      this.#joining = true;
      queueMicrotask(() => {
        this.#joining = false;
      });
      pass();
    });
    return () => {
      if (!over) this.#turns.outstanding -= 1;
      over = true;
    };
  }

  item(item: StreamItem, perform: () => unknown, settled: (outcome: Outcome) => void): unknown {
    const recording = this.#recording;
    const outward = item.call.parent === undefined;
    // Who reads a root's items at once does so in a macrotask of their own.
    if (outward) this.#turns.enter();
    const index = recording.itemStarted(item);
    const end = (outcome: Outcome, delivered: boolean): void => {
      recording.itemEnded(index, item.call, outcome, delivered);
      settled(outcome);
    };
    let result: unknown;
    try {
      result = perform();
    } catch (error) {
      end({ status: "error", error }, false);
      throw error;
    }
    if (!isThenable(result)) {
      end({ status: "ok", value: result }, false);
      return result;
    }
    recording.effectReturned(index);
    const promise = result;
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        const pass = (delivered: boolean): void => {
          end(outcome, delivered);
          settlePromise(outcome, resolve, reject);
        };
        // Who reads the stream of a root is outside: there is no order for them to keep.
        if (outward) pass(false);
        else this.settle(item.call, pass);
      };
      whenSettled(promise, arrive);
    });
  }

  effect(effect: EffectCall, input: readonly unknown[], perform: () => unknown): unknown {
    const recording = this.#recording;
    const index = recording.effectStarted(effect, input);
    let performed: unknown;
    try {
      performed = perform();
    } catch (error) {
      recording.effectEnded(index, { status: "error", error });
      throw error;
    }
    if (!isThenable(performed)) return this.#result(effect, index, performed, streamGiven(effect, performed));
    return effect.declared === true && isLazy(performed)
      ? this.#builder(effect, index, input, performed)
      : this.#follow(effect, index, performed);
  }

  /** Gives a builder, which may be asked for the effect's result. */
  #builder(effect: EffectCall, index: number, given: readonly unknown[], real: object): object {
    const recording = this.#recording;
    const log: BuilderLog = [];
    return openBuilder(
      {
        conductor: this,
        effect,
        input: recording.effectBuilds(index, log),
        given,
        log,
        recorded: undefined,
        hold: (step) => recording.hold(step),
        ask: (asked, _given, perform) => {
          recording.effectAsked(index, asked);
          let promise: Promise<unknown>;
          try {
            promise = suspend(perform, true) as Promise<unknown>;
          } catch (error) {
            recording.effectEnded(index, { status: "error", error });
            throw error;
          }
          return this.#follow(effect, index, promise);
        },
      },
      real,
    );
  }

  /** Hands over what a promise is settled with, in its turn. */
  #follow(effect: EffectCall, index: number, promise: PromiseLike<unknown>): Promise<unknown> {
    const recording = this.#recording;
    recording.effectReturned(index);
    this.#turns.outstanding += 1;
    return new Promise((resolve, reject) => {
      const arrive = (outcome: Outcome): void => {
        recording.effectArrived(index);
        // Before its turn: a stream may fail while it waits, with nobody else to hear of it.
        const passage = outcome.status === "ok" ? streamGiven(effect, outcome.value) : undefined;
        this.#turns.enqueue(() => {
          this.#turns.outstanding -= 1;
          if (outcome.status === "ok") return resolve(this.#result(effect, index, outcome.value, passage));
          recording.effectEnded(index, outcome);
          reject(outcome.error);
        });
      };
      whenSettled(promise, arrive);
    });
  }

  /** Enters a result, and gives what the program gets of it: of a stream, one that is recorded as it is read. */
  #result(effect: EffectCall, index: number, value: unknown, passage: Passage | undefined): unknown {
    if (passage !== undefined) {
      this.#recording.effectEnded(index, { status: "ok", value: passage.recorded });
      return effectStream(this, effect, passage);
    }
    const result = effect.declared === true ? this.give(effect, value) : value;
    this.#recording.effectEnded(index, { status: "ok", value: result });
    return result;
  }
}
