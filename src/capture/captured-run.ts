/**
 * A run as a capture sees it. What a capture begins here is an effect of the run: performed and recorded, or given
 * as recorded.
 *
 * Invariants
 * 1. What is performed runs as the inside of an effect: what it reads, its timers and its sockets are its own business.
 * 2. What is handed over is handed over in its turn, and in the scope of the program that asked.
 * 3. A replay performs nothing. One that has ended answers nothing more, and throws nothing that nobody would catch.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Captured, captured, nextEffect } from "../ambient/captured.js";
import { effectNotRecorded } from "../effects/perform-effect.js";
import type { HindcastError } from "../errors.js";
import { activeCall, suspend } from "../stage/scopes.js";
import type { EffectCall } from "../stage/seam.js";

/** How something ended. */
export type CapturedOutcome<Value = unknown> =
  | { readonly status: "ok"; readonly value: Value }
  | { readonly status: "error"; readonly error: unknown };

/** What a run is about to do. */
export interface CapturedEffect {
  /** Follows the capture's own name: `query` of the capture `pg` is the effect `pg.query`. */
  readonly name: string;
  /** What is recorded as its input: plain data. */
  readonly input: readonly unknown[];
  /**
   * Plain data in place of a result or an error that is none, and what a replay makes of that again. Without them
   * both are recorded as they are.
   */
  readonly record?: ResultConversion;
  readonly revive?: ResultConversion;
  /** The effect, of the same capture, that this is a part of: what an option of a replay says of that goes for this as well. */
  readonly of?: string;
  /** What a replay gives for a preparation that the recorded run did not need. */
  readonly otherwise?: () => unknown;
}

export interface ResultConversion {
  readonly output?: (value: never) => unknown;
  readonly error?: (error: never) => unknown;
}

/** The run that the current code is part of. */
export interface CapturedRun {
  /** Whether this is a replay, in which nothing may reach the outside world. */
  readonly replaying: boolean;
  /** One object for each run: what a capture keeps for a run is kept under it, in a `WeakMap`. */
  readonly key: object;
  /** An effect whose result `perform` gives at once or in a promise, and that the caller gets in the same way. */
  effect<Value>(effect: CapturedEffect, perform: () => Value): Value;
  /**
   * An effect that ends once, by a callback: `begin` does it and tells how it ended; `hand` gives that to the program
   * in its turn. In a replay only `hand` is called. Returns what gives it up: `hand` is not called after that.
   */
  start<Value = unknown>(
    effect: CapturedEffect,
    begin: (arrive: (outcome: CapturedOutcome<Value>) => void) => void,
    hand: (outcome: CapturedOutcome<Value>) => void,
  ): () => void;
  /** The same, in a promise. */
  promise<Value>(
    effect: CapturedEffect,
    begin: (arrive: (outcome: CapturedOutcome<Value>) => void) => void,
  ): Promise<Value>;
  /**
   * Things that go on happening, such as notifications: each is an effect of its own, and is handed over in its turn,
   * in the order in which `tell` was called. `hand` returns true after the last. When the run has ended, what is told
   * is handed over at once. Returns what ends it.
   */
  follow<Value = unknown>(
    effect: CapturedEffect,
    begin: (tell: (value: Value) => void) => void,
    hand: (value: Value) => boolean | undefined,
  ): () => void;
  /** Throws what a replay throws where it would have to reach the outside world. Does nothing while recording. */
  mustNotReplay(name: string, why: string): void;
}

/** Gives the run that the current code is part of; undefined outside of runs and inside of effects. */
export function capturedRun(source: string): CapturedRun | undefined {
  const capture = captured(source);
  if (capture !== undefined) return new LiveRun(source, capture);
  const run = activeCall()?.run;
  const isOver = run?.closed === true && run.conductor?.replaying === true && run.captures.has(source);
  return isOver ? endedReplay(source, run) : undefined;
}

class LiveRun implements CapturedRun {
  readonly #source: string;
  readonly #captured: Captured;

  constructor(source: string, capture: Captured) {
    this.#source = source;
    this.#captured = capture;
  }

  get key(): object {
    return this.#captured.call.run;
  }

  get replaying(): boolean {
    return this.#captured.conductor.replaying;
  }

  effect<Value>(effect: CapturedEffect, perform: () => Value): Value {
    const { conductor } = this.#captured;
    const errors = new Errors(effect, this.replaying);
    const result = errors.attempt(() =>
      conductor.effect(this.#effectCall(effect), effect.input, () =>
        suspend(() => {
          const performed = errors.record(perform);
          return performed instanceof Promise
            ? performed.catch((error: unknown) => {
                throw errors.recorded(error);
              })
            : performed;
        }),
      ),
    );
    if (!(result instanceof Promise) || !errors.converts) return result as Value;
    return result.catch((error: unknown) => {
      throw errors.handed(error);
    }) as Value;
  }

  start<Value>(
    effect: CapturedEffect,
    begin: (arrive: (outcome: CapturedOutcome<Value>) => void) => void,
    hand: (outcome: CapturedOutcome<Value>) => void,
  ): () => void {
    const { conductor } = this.#captured;
    const errors = new Errors(effect, this.replaying);
    const inside = AsyncLocalStorage.snapshot() as <R>(body: () => R) => R;
    return conductor.start(
      { ...this.#effectCall(effect), madeUp: effect.otherwise ?? (() => ABSENT) },
      effect.input,
      (arrive) => {
        const arrived = (outcome: CapturedOutcome<Value>): void => {
          arrive(
            outcome.status === "error" ? { status: "error", error: errors.recorded(outcome.error) } : outcome,
          );
        };
        suspend(() => {
          try {
            begin(arrived);
          } catch (error) {
            arrived({ status: "error", error });
          }
        });
      },
      (outcome) => {
        const handed =
          outcome.status === "error"
            ? ({ status: "error", error: errors.handed(outcome.error) } as const)
            : outcome.value === ABSENT
              ? ({ status: "error", error: this.#absent(effect) } as const)
              : (outcome as CapturedOutcome<Value>);
        inside(() => hand(handed));
      },
    );
  }

  promise<Value>(
    effect: CapturedEffect,
    begin: (arrive: (outcome: CapturedOutcome<Value>) => void) => void,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.start<Value>(effect, begin, (outcome) => {
        if (outcome.status === "ok") resolve(outcome.value);
        else reject(outcome.error);
      });
    });
  }

  follow<Value>(
    effect: CapturedEffect,
    begin: (tell: (value: Value) => void) => void,
    hand: (value: Value) => boolean | undefined,
  ): () => void {
    const { run } = this.#captured.call;
    const inside = AsyncLocalStorage.snapshot() as <R>(body: () => R) => R;
    const told: Value[] = [];
    let arrive: ((outcome: CapturedOutcome<Value>) => void) | undefined;
    let over = false;
    let begun = false;
    let giveUp = (): void => undefined;
    const end = (): void => {
      over = true;
      giveUp();
    };
    const give = (value: Value): void => {
      if (hand(value) === true) end();
    };
    const offer = (): void => {
      if (arrive === undefined || told.length === 0) return;
      const tell = arrive;
      arrive = undefined;
      tell({ status: "ok", value: told.shift() as Value });
    };
    const tell = (value: Value): void => {
      if (over) return;
      if (run.closed) return inside(() => give(value));
      told.push(value);
      offer();
    };
    const wait = (): void => {
      giveUp = this.start<Value>(
        effect,
        (next) => {
          arrive = next;
          if (!begun) {
            begun = true;
            begin(tell);
          }
          offer();
        },
        (outcome) => {
          // A capsule that holds no more of them: there is nothing to hand over.
          if (over || outcome.status === "error") return;
          const { value } = outcome;
          // Before the program goes on, which may let it be told of the next at once.
          if (!run.closed) wait();
          give(value);
        },
      );
    };
    wait();
    return end;
  }

  mustNotReplay(name: string, why: string): void {
    const { call } = this.#captured;
    if (this.replaying) throw effectNotRecorded(`${this.#source}.${name}`, call.definition.name, why);
  }

  #absent({ name }: CapturedEffect): unknown {
    const stage = this.#captured.call.definition.name;
    return effectNotRecorded(`${this.#source}.${name}`, stage, "the capsule holds no such effect there");
  }

  #effectCall({ name, record, revive, of, otherwise }: CapturedEffect): EffectCall {
    const call = nextEffect(this.#captured.call, `${this.#source}.${name}`);
    return {
      ...call,
      record: record?.output && { output: record.output },
      revive: revive?.output && { output: revive.output },
      of: of && `${this.#source}.${of}`,
      madeUp: otherwise,
    };
  }
}

/** Errors on their way to the record, and from there to the program, which gets its own while it is recorded. */
class Errors {
  readonly #effect: CapturedEffect;
  readonly #replaying: boolean;
  #own: { readonly error: unknown; readonly recorded: unknown } | undefined;

  constructor(effect: CapturedEffect, replaying: boolean) {
    this.#effect = effect;
    this.#replaying = replaying;
  }

  get converts(): boolean {
    return this.#effect.record?.error !== undefined || this.#effect.revive?.error !== undefined;
  }

  /** What goes into the record. */
  recorded(error: unknown): unknown {
    const convert = this.#effect.record?.error;
    if (convert === undefined) return error;
    const recorded = convert(error as never);
    this.#own = { error, recorded };
    return recorded;
  }

  /** What the program gets. */
  handed(error: unknown): unknown {
    if (this.#own !== undefined && this.#own.recorded === error) return this.#own.error;
    const convert = this.#replaying ? this.#effect.revive?.error : undefined;
    return convert === undefined ? error : convert(error as never);
  }

  /** Calls `perform`, and throws what goes into the record. */
  record<Value>(perform: () => Value): Value {
    try {
      return perform();
    } catch (error) {
      throw this.recorded(error);
    }
  }

  /** Calls `body`, and throws what the program gets. */
  attempt<Value>(body: () => Value): Value {
    try {
      return body();
    } catch (error) {
      throw this.handed(error);
    }
  }
}

/** What a replay is given for an effect that ends in a callback and that the capsule does not hold. */
const ABSENT = Object.freeze({ absent: true });

/** A replay that has ended, and whose program goes on. */
function endedReplay(source: string, key: object): CapturedRun {
  const refuse = (name: string): HindcastError =>
    effectNotRecorded(`${source}.${name}`, "", "it began after the run had ended");
  return {
    replaying: true,
    key,
    effect: ({ name }) => {
      throw refuse(name);
    },
    start: () => () => undefined,
    promise: () => new Promise(() => undefined),
    follow: () => () => undefined,
    mustNotReplay: (name) => {
      throw refuse(name);
    },
  };
}
