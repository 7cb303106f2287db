/**
 * Runs that are woken by each other: in a turn of one, another goes on, since something that they share (a queue, a
 * batcher, a promise in a cache) has handed it over. What belongs to one may then be in the other's record.
 *
 * Invariants
 * 1. Both are told, and each by the other's pipeline.
 * 2. A run that ends before something that it has begun, while another waits for what is not its own, is told as well:
 *    when that other is woken, this one's capsule is on its way.
 * 3. No run is kept alive by this.
 */

import type { ObservedCall } from "../stage/seam.js";

/** A run that is recorded, as those it may wake see it. */
export interface WakingRun {
  readonly closed: boolean;
  readonly id: string;
  /** The name of its root. */
  readonly pipeline: string;
  /** Whether a model may be at work for it outside of the platform's sight. */
  readonly infers: boolean;
  /** The ids of the runs, of other instances, that its root was called in. */
  readonly outer: readonly string[];
  /** It has, or may have, done work of a run of `pipeline`, or woken it. */
  worked(pipeline: string, may: boolean): void;
}

/** What this file needs to know of a run's turns. */
export interface WakingTurns {
  /** How much it has begun that has not been handed over. */
  readonly outstanding: number;
  readonly owner?: WakingRun | undefined;
}

/** Whose turn it is. */
let turning: WakingTurns | undefined;

export function beginTurn(turns: WakingTurns): void {
  turning = turns;
}

export function endTurn(turns: WakingTurns): void {
  if (turning === turns) turning = undefined;
}

/** The run in whose turn the code of `call` runs, where that is another than its own and neither is part of the other. */
export function wakerOf(call: ObservedCall): WakingRun | undefined {
  const waker = turning?.owner;
  if (waker === undefined) return undefined;
  const { id } = call.run;
  if (waker.id === id || waker.outer.includes(id) || outerRuns(call).includes(waker.id)) return undefined;
  return waker;
}

/** The ids of the runs of other instances that a call is made in. */
export function outerRuns(call: ObservedCall): readonly string[] {
  if (call.outer === undefined) return NONE;
  const ids: string[] = [];
  for (let one: ObservedCall | undefined = call.outer; one !== undefined; one = one.outer)
    ids.push(one.run.id);
  return ids;
}

const NONE: readonly string[] = [];

/** Runs that wait, and for nothing that they have begun themselves. */
const idle = new Set<WeakRef<WakingTurns>>();
const MOST_IDLE = 256;

export function noteIdle(turns: WakingTurns): void {
  if (idle.size >= MOST_IDLE) prune();
  idle.add(new WeakRef(turns));
}

function prune(): void {
  for (const one of idle) if (!isIdle(one.deref())) idle.delete(one);
  const [first] = idle;
  if (idle.size >= MOST_IDLE && first !== undefined) idle.delete(first);
}

/** A run that waits for what it has not begun, other than `run`; undefined where there is none. */
export function idleBeside(run: WakingRun): WakingRun | undefined {
  for (const one of idle) {
    const turns = one.deref();
    if (!isIdle(turns)) idle.delete(one);
    else if (turns?.owner !== run && turns?.owner?.infers === false) return turns.owner;
  }
  return undefined;
}

function isIdle(turns: WakingTurns | undefined): boolean {
  return turns?.outstanding === 0 && turns.owner?.closed === false;
}
