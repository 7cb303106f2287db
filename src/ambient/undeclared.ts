/**
 * Notices what a run asks of the outside world without declaring it: a socket that it writes to, a file
 * that it reads, a worker that it listens to.
 *
 * Invariants
 * 1. Asking makes a suspect, with the stage and the place in the code, and nothing more: what is written
 *    and never answered (a log line) does not change what the run does.
 * 2. The answer tells the run's conductor, if it comes while the run is open.
 * 3. Inside an effect, in the library's own work, and where tracing is suppressed nobody is a suspect.
 * 4. A suspect keeps no run alive, however long the thing that was asked lives without an answer.
 */
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { captured } from "./captured.js";

/** A call that has asked something, and waits for its answer. */
export interface Suspect {
  readonly call: WeakRef<StageCall>;
  /** Such as `a socket`. */
  readonly source: string;
  /** Made where it asked; its stack is only written out when somebody wants to read it. */
  readonly place: Error;
}

/** The function that asks in place of the platform's own: what is above it in the stack is the program. */
type Substitute = (...input: never[]) => unknown;

interface Waiting extends Suspect {
  /** What happens to the thing when it answers. */
  readonly event: string;
}

/** How far up the program may be, above a client library. */
const FRAMES = 32;

/** By the thing that was asked. */
const suspects = new WeakMap<object, readonly Waiting[]>();

/** The recorded call that the current code is part of, where what it asks is to be noticed. */
function noticing(): StageCall | undefined {
  const capture = captured("undeclared");
  return capture?.conductor.undeclared === undefined ? undefined : capture.call;
}

/** The current call as one that asks `source` once; undefined where there is nothing to notice. */
export function suspect(source: string, substitute: Substitute): Suspect | undefined {
  const call = noticing();
  return call && { call: new WeakRef(call), source, place: placeAbove(substitute) };
}

/** What it asked has answered. */
export function answered({ call, source, place }: Suspect): void {
  const asker = call.deref();
  if (asker === undefined || asker.run.closed) return;
  const conductor: Conductor | undefined = asker.run.conductor;
  conductor?.undeclared?.(asker, source, place);
}

/**
 * The current call asks `thing`, which answers by `event`. `isPlatform` is given the stack, and says whether
 * it is the platform that asks, for reasons of its own.
 */
export function ask(
  thing: object,
  event: string,
  source: string,
  substitute: Substitute,
  isPlatform?: (stack: string) => boolean,
): void {
  const call = noticing();
  if (call === undefined) return;
  const known = suspects.get(thing) ?? [];
  if (known.some((one) => one.event === event && one.call.deref() === call)) return;
  const place = placeAbove(substitute);
  if (isPlatform?.(String(place.stack)) === true) return;
  const open = known.filter((one) => one.call.deref()?.run.closed === false);
  suspects.set(thing, [...open, { call: new WeakRef(call), event, source, place }]);
}

/** `event` has happened to `thing`, because of something outside. */
export function answer(thing: object, event: string): void {
  const known = suspects.get(thing);
  if (known === undefined) return;
  const others = known.filter((one) => one.event !== event);
  if (others.length > 0) suspects.set(thing, others);
  else suspects.delete(thing);
  for (const one of known) if (one.event === event) answered(one);
}

function placeAbove(substitute: Substitute): Error {
  const { stackTraceLimit } = Error;
  // By `Reflect`, as it may be locked.
  Reflect.set(Error, "stackTraceLimit", FRAMES);
  const place = new Error("asked here");
  Error.captureStackTrace(place, substitute);
  Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  return place;
}
