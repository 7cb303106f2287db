/**
 * Hands what comes from outside a run to its program, one result to a macrotask.
 *
 * Invariants
 * 1. One turn hands over one result; all microtasks it sets off have run before the next turn.
 * 2. Results are handed over in the order in which they arrived.
 * 3. `open` is true while the program runs because of a turn (or because the run has just begun),
 *    or in a macrotask that was taken for a turn, and false in one that something else has begun.
 * 4. When the run has ended nothing waits any more: what has come by then is handed over, one after the other with all
 *    that each sets off, before anything else comes from outside; and what comes later is handed over as it comes.
 *
 * A turn is an immediate, and its closing is the immediate scheduled right behind it: Node runs both
 * in one phase, in this order, with nothing but microtasks between them.
 */
import { performance } from "node:perf_hooks";
import { queueMicrotaskOriginal, setImmediateOriginal } from "../originals.js";
import { beginTurn, endTurn, noteIdle, type WakingRun, type WakingTurns } from "./waking.js";

interface LoopPosition {
  readonly loopCount: number;
  readonly events: number;
}

/** Rounds of the event loop, and events it has taken; asking costs about a tenth of a microsecond. */
function loopPosition(): LoopPosition {
  return timing?.uvMetricsInfo ?? UNKNOWN_POSITION;
}

// Typed as always there, and missing in runtimes that only resemble Node.
const timing = performance.nodeTiming as { readonly uvMetricsInfo?: LoopPosition } | undefined;

const UNKNOWN_POSITION: LoopPosition = { loopCount: 0, events: 0 };

/** To be called when the macrotask that is running, and perhaps some that follow it at once, are over. */
let closing: Turns[] | undefined;

/** One immediate closes all runs that have begun before it: an immediate of its own costs each run more. */
function closeAfterMacrotask(turns: Turns): void {
  if (closing === undefined) {
    closing = [];
    setImmediateOriginal(closeAll);
  }
  closing.push(turns);
}

function closeAll(): void {
  const closed = closing;
  closing = undefined;
  if (closed !== undefined) for (const turns of closed) turns.close();
}

export class Turns implements WakingTurns {
  /** How much the run has begun that has not been handed over. */
  outstanding = 0;
  /** Whose turns they are. */
  owner: WakingRun | undefined;
  readonly #waiting: (() => void)[] = [];
  #armed = false;
  #open = true;
  #ended = false;
  /** Whether what waited when the run ended is being handed over. */
  #leaving = false;
  /** Where the event loop stood when the run began; undefined once its first macrotask is certainly over. */
  #beginning: LoopPosition | undefined = loopPosition();

  constructor() {
    closeAfterMacrotask(this);
  }

  get open(): boolean {
    // The first macrotask is not of this class's making, and no immediate comes right behind it: between
    // the two the loop may have gone round, or have taken an event from outside.
    if (this.#beginning !== undefined && this.#open) {
      const { loopCount, events } = loopPosition();
      if (loopCount !== this.#beginning.loopCount || events !== this.#beginning.events) {
        this.#open = false;
        this.#beginning = undefined;
      }
    }
    return this.#open;
  }

  /** Whether something waits to be handed over. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Takes the macrotask that is running for a turn: what runs in it is known, and is in the record. */
  enter(): void {
    if (this.open) return;
    this.#open = true;
    this.#beginning = loopPosition();
    closeAfterMacrotask(this);
  }

  /** Calls `hand` in a turn of its own. */
  enqueue(hand: () => void): void {
    if (this.#ended && !this.#leaving) {
      beginTurn(this);
      closeAfterMacrotask(this);
      return hand();
    }
    this.#waiting.push(hand);
    if (!this.#armed && !this.#ended) this.#arm();
  }

  /** The run has ended: nothing more is in its order. */
  end(): void {
    this.#ended = true;
    if (this.#waiting.length === 0) return;
    this.#leaving = true;
    process.nextTick(leave, this);
  }

  /** Hands over what is next of what waited at the end, and has the rest follow when all that this sets off has run. */
  leave(): void {
    const hand = this.#waiting.shift();
    this.#leaving = hand !== undefined;
    if (hand === undefined) return;
    try {
      hand();
    } finally {
      // A tick of its own, which comes when no microtask is left.
      queueMicrotaskOriginal(() => process.nextTick(leave, this));
    }
  }

  #arm(): void {
    this.#armed = true;
    setImmediateOriginal(takeTurn, this);
    setImmediateOriginal(closeTurn, this);
  }

  /** Hands over the next result. Called in a macrotask of its own. */
  take(): void {
    this.#open = true;
    this.#beginning = undefined;
    this.#armed = false;
    if (this.#ended) return;
    beginTurn(this);
    this.#waiting.shift()?.();
  }

  /** The macrotask is over. */
  close(): void {
    this.#open = false;
    this.#beginning = undefined;
    endTurn(this);
    if (this.#armed || this.#ended) return;
    if (this.#waiting.length > 0) this.#arm();
    else if (this.outstanding === 0 && this.owner?.closed === false) noteIdle(this);
  }
}

function takeTurn(turns: Turns): void {
  turns.take();
}

function leave(turns: Turns): void {
  turns.leave();
}

function closeTurn(turns: Turns): void {
  turns.close();
}
