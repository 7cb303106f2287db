/**
 * A stream that is sent as the body of a request. Whoever sends it reads it as fast as it can: each time it asks is an
 * input of the run, in its turn, and what it is given is what the run sends. In a replay nobody sends it, and the
 * record asks in their place.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { quietly } from "../stage/quiet.js";
import { detached } from "../stage/scopes.js";
import type { Outcome } from "../stage/definition.js";
import type { Passage } from "../streams/passage.js";
import type { StreamMethod } from "../streams/pull.js";
import { type Captured, nextEffect } from "./captured.js";

interface Asking {
  readonly method: StreamMethod;
  readonly input: readonly unknown[];
}

interface Waiting extends Asking {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class SentBody {
  /** What is sent in place of the program's own stream. */
  readonly stream: unknown;
  readonly #captured: Captured;
  readonly #passage: Passage;
  readonly #name: string;
  /** The effect that sends it. */
  readonly #of: string;
  /** In the scope of the program that sends: what its stream does is part of the run. */
  readonly #inside = AsyncLocalStorage.snapshot() as <T>(body: () => T) => T;
  readonly #waiting: Waiting[] = [];
  #arrive: ((outcome: Outcome) => void) | undefined;
  #over = false;

  constructor(
    capture: Captured,
    effect: { readonly name: string; readonly ordinal: number },
    passage: Passage,
  ) {
    this.#captured = capture;
    this.#passage = passage;
    this.#of = effect.name;
    this.#name = `${effect.name}${effect.ordinal === 0 ? "" : `#${effect.ordinal}`}`;
    this.stream = quietly(() => passage.open((method, input) => this.#ask(method, input)));
  }

  /** Begins to wait for who sends it. */
  await(): void {
    const { call, conductor } = this.#captured;
    conductor.start(
      { ...nextEffect(call, `${this.#name}.body`, () => undefined), of: this.#of },
      [],
      (arrive) => {
        this.#arrive = arrive;
        this.#offer();
      },
      (outcome) => {
        if (outcome.status === "ok" && outcome.value !== undefined) this.#hand(outcome.value as Asking);
      },
    );
  }

  #ask(method: StreamMethod, input: readonly unknown[]): Promise<unknown> {
    if (this.#captured.call.run.closed && this.#waiting.length === 0) return this.#read(method, input);
    return new Promise((resolve, reject) => {
      const outside = {
        resolve: AsyncLocalStorage.bind(resolve),
        reject: AsyncLocalStorage.bind(reject),
      };
      this.#waiting.push({ method, input, ...outside });
      this.#offer();
    });
  }

  #offer(): void {
    const arrive = this.#arrive;
    const [first] = this.#waiting;
    if (first === undefined || arrive === undefined) return;
    this.#arrive = undefined;
    const { method, input } = first;
    detached(() => arrive({ status: "ok", value: { method, input } satisfies Asking }));
  }

  #hand({ method, input }: Asking): void {
    const waiting = this.#waiting.shift();
    this.#over ||= method !== "next";
    if (!this.#over) this.await();
    const answered = this.#read(method, input);
    // Nothing more is asked for: what waits is answered as it comes.
    if (this.#over) {
      for (const late of this.#waiting.splice(0)) {
        this.#read(late.method, late.input).then(late.resolve, late.reject);
      }
    }
    answered.then(
      (value) => waiting?.resolve(value),
      (error: unknown) => waiting?.reject(error),
    );
  }

  async #read(method: StreamMethod, input: readonly unknown[]): Promise<unknown> {
    const result = (await this.#inside(() => this.#passage.source(method, input))) as IteratorResult<unknown>;
    if (method === "next" && result.done !== true) this.#send(result.value);
    return result;
  }

  /** What is sent is the run's output, to be compared. */
  #send(chunk: unknown): void {
    const { call, conductor } = this.#captured;
    if (call.run.closed) return;
    const effect = { ...nextEffect(call, `${this.#name}.sent`, () => undefined), of: this.#of };
    conductor.effect(effect, [chunk], () => undefined);
  }
}
