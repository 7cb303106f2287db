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
import type { Conductor, Place } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { captured } from "./captured.js";
import { resemble } from "./patch.js";

/** A call that has asked something, and waits for its answer. */
export interface Suspect {
  readonly call: WeakRef<StageCall>;
  /** Such as `a socket`. */
  readonly source: string;
}

/** What reading one is called. */
export const FILE = "a file";

/** A method of the platform's. */
export type Method = (this: object, ...input: unknown[]) => unknown;

interface Waiting extends Suspect {
  /** What happens to the thing when it answers. */
  readonly event: string;
}

/** How far up the program may be, above a client library. */
const FRAMES = 32;

/** Places of one call that are kept. */
const MAXIMUM_PLACES = 64;

/** Calls that have had an answer: once is enough. */
const told = new WeakSet<StageCall>();

/** What is asked so often without an answer is only told, and places need not be kept: each takes microseconds. */
const SILENT = 8;

/** Those who have asked a thing since it last answered, as far as their runs are open. */
interface Asked {
  readonly waiting: readonly Waiting[];
  /** How many there were. */
  readonly count: number;
}

/** Where each call asked. Not in what the thing that was asked holds: functions in a stack hold the run. */
const places = new WeakMap<StageCall, Map<Suspect, Place>>();

const NOT_ASKED: Asked = { waiting: [], count: 0 };

/** By the thing that was asked. */
const suspects = new WeakMap<object, Asked>();
/** Whether the platform is doing what a run asked: what it asks for that purpose is part of it. */
let asking = false;

/** The recorded call that the current code is part of, where what it asks is to be noticed. */
function noticing(source: string): StageCall | undefined {
  if (asking) return undefined;
  const capture = captured("undeclared");
  if (capture?.conductor.undeclared === undefined || told.has(capture.call)) return undefined;
  if (source === FILE && capture.call.run.captures.has("files")) return undefined;
  return capture.call;
}

/**
 * The current call as one that asks `source` once, in the function `substitute`; undefined where there is nothing
 * to notice.
 */
export function suspect(
  source: string,
  substitute: Method,
  isPlatform?: (stack: string) => boolean,
): Suspect | undefined {
  const call = noticing(source);
  if (call === undefined) return undefined;
  const place = placeAbove(call, substitute);
  if (isExcused(place, isPlatform)) return undefined;
  const one = { call: new WeakRef(call), source };
  keepPlace(call, one, place);
  return one;
}

/** What it asked has answered. */
export function answered(one: Suspect): void {
  const asker = one.call.deref();
  if (asker === undefined || asker.run.closed) return;
  told.add(asker);
  const conductor: Conductor | undefined = asker.run.conductor;
  conductor?.undeclared?.(asker, one.source, places.get(asker)?.get(one));
}

function keepPlace(call: StageCall, one: Suspect, place: Place | undefined): void {
  if (place === undefined) return;
  const known = places.get(call);
  if (known === undefined) places.set(call, new Map([[one, place]]));
  else known.set(one, place);
}

/** The platform's own method, which asks `source`: `eventOf` says by which event it answers, if it is asked at all. */
export interface Asking {
  readonly source: string;
  /** Given the thing and the arguments. */
  readonly eventOf: (thing: object, input: readonly unknown[]) => string | undefined;
  /** Given the stack: whether it is the platform that asks, for reasons of its own. */
  readonly isPlatform?: (stack: string) => boolean;
}

/** Reaches nothing outside: what stands in for something captured. */
const inside = new WeakSet<object>();

/** Whatever is asked of `thing` is captured elsewhere. */
export function neverSuspected(thing: object): void {
  inside.add(thing);
}

/** What is asked of `thing` is asked of the outside world from now on. */
export function suspectedAgain(thing: object): void {
  inside.delete(thing);
}

/** Stands for a method that asks. */
export function asks(original: Method, { source, eventOf, isPlatform }: Asking): Method {
  const substitute: Method = function (...input) {
    const event = eventOf(this, input);
    const call = event === undefined || inside.has(this) ? undefined : noticing(source);
    if (event === undefined || call === undefined) return Reflect.apply(original, this, input);
    ask(call, this, event, source, substitute, isPlatform);
    asking = true;
    try {
      return Reflect.apply(original, this, input);
    } finally {
      asking = false;
    }
  };
  return resemble(substitute, original);
}

/** Stands for a method that the platform calls when something has come from outside. */
export function answers(
  original: Method,
  eventOf: (input: readonly unknown[]) => string | undefined,
): Method {
  return resemble<Method>(function (...input) {
    const event = eventOf(input);
    if (event !== undefined) answer(this, event);
    return Reflect.apply(original, this, input);
  }, original);
}

function ask(
  call: StageCall,
  thing: object,
  event: string,
  source: string,
  substitute: Method,
  isPlatform?: (stack: string) => boolean,
): void {
  const { waiting, count } = suspects.get(thing) ?? NOT_ASKED;
  if (waiting.some((one) => one.event === event && one.call.deref() === call)) return;
  const place = count < SILENT || isPlatform !== undefined ? placeAbove(call, substitute) : undefined;
  if (isExcused(place, isPlatform)) return;
  const open = waiting.filter((one) => one.call.deref()?.run.closed === false);
  const one: Waiting = { call: new WeakRef(call), event, source };
  keepPlace(call, one, place);
  open.push(one);
  suspects.set(thing, { waiting: open, count: count + 1 });
}

/** `event` has happened to `thing`. */
function answer(thing: object, event: string): void {
  const asked = suspects.get(thing);
  if (asked === undefined) return;
  const others = asked.waiting.filter((one) => one.event !== event);
  if (others.length > 0) suspects.set(thing, { waiting: others, count: others.length });
  else suspects.delete(thing);
  for (const one of asked.waiting) if (one.event === event) answered(one);
}

function isExcused(place: Place | undefined, isPlatform: ((stack: string) => boolean) | undefined): boolean {
  if (place === undefined || isPlatform === undefined) return false;
  try {
    return isPlatform(String(place.stack));
  } catch {
    return false; // whoever writes stacks out in this process has failed: it is taken for the program
  }
}

/** The program is what is above `substitute` in the stack. Undefined where the call has enough places. */
function placeAbove(call: StageCall, substitute: Method): Place | undefined {
  if ((places.get(call)?.size ?? 0) >= MAXIMUM_PLACES) return undefined;
  const { stackTraceLimit } = Error;
  // By `Reflect`, as it may be locked.
  Reflect.set(Error, "stackTraceLimit", FRAMES);
  const place = { stack: "" };
  Error.captureStackTrace(place, substitute);
  Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  return place;
}
