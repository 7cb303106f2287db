/**
 * Hands what comes from outside a run to its program, one result to a macrotask.
 *
 * Invariants
 * 1. One turn hands over one result; all microtasks it sets off have run before the next turn.
 * 2. Results are handed over in the order in which they arrived.
 * 3. `open` is true while the program runs because of a turn (or because the run has just begun),
 *    and false in a macrotask that something else has begun.
 *
 * A turn is an immediate, and its closing is the immediate scheduled right behind it: Node runs both
 * in one phase, in this order, with nothing but microtasks between them.
 */
import { setImmediateOriginal } from "../originals.js";

export class Turns {
  readonly #waiting: (() => void)[] = [];
  #armed = false;
  #open = true;

  constructor() {
    setImmediateOriginal(this.#close);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Calls `hand` in a turn of its own. */
  enqueue(hand: () => void): void {
    this.#waiting.push(hand);
    if (!this.#armed) this.#arm();
  }

  #arm(): void {
    this.#armed = true;
    setImmediateOriginal(this.#turn);
    setImmediateOriginal(this.#close);
  }

  readonly #turn = (): void => {
    this.#open = true;
    this.#armed = false;
    this.#waiting.shift()?.();
  };

  readonly #close = (): void => {
    this.#open = false;
    if (!this.#armed && this.#waiting.length > 0) this.#arm();
  };
}
