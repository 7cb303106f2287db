/**
 * What a root is called with and is not over when the call begins: streams, and signals that may yet
 * abort. The program gets ones that follow them, so that what comes of them has its turn.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { Readable, Stream } from "node:stream";
import { types } from "node:util";
import { copyMembers } from "../copy-members.js";
import {
  isRequestOfFramework,
  replayedRequestOfFramework,
  requestOfFramework,
} from "../ambient/request-input.js";
import { isExchangeKind, RecordedStream } from "../capsule/recorded-stream.js";
import { frameworkObject, isFrameworkObject, replayedObject } from "../http/framework-object.js";
import { incomingRequest, isIncomingMessage, replayedRequest } from "../http/incoming-request.js";
import { isServerResponse, replayedResponse, serverResponse } from "../http/server-response.js";
import { effectStream } from "../streams/effect-stream.js";
import { type Passage, passageOf } from "../streams/passage.js";
import { resemble } from "../ambient/patch.js";
import type { Conductor } from "./seam.js";
import { settlePromise, whenSettled } from "./settlement.js";
import type { StageCall } from "./stage-call.js";

/** The arguments of a root, as they are recorded and as the program is given them. */
export interface RootInput {
  readonly recorded: readonly unknown[];
  /** Begins to follow what is not over. To be called once the call has begun. */
  readonly open: () => readonly unknown[];
}

/** The arguments that go on after the call has begun; undefined where there are none, and they pass as they are. */
export function rootInput(
  call: StageCall,
  conductor: Conductor,
  input: readonly unknown[],
): RootInput | undefined {
  let openings: (Opening | undefined)[] | undefined;
  for (let index = 0; index < input.length; index++) {
    const opening = openingOf(call, conductor, input[index]);
    // Most roots have none, and then nothing is made.
    if (opening !== undefined) (openings ??= [])[index] = opening;
  }
  if (openings === undefined) return undefined;
  const found = openings;
  if (found.some((opening) => opening?.isExchange === true)) {
    for (const [index, value] of input.entries()) {
      if (typeof value === "function")
        found[index] = functionInput(call, conductor, index, value as AnyFunction);
    }
  }
  return {
    recorded: input.map((value, index) => found[index]?.recorded ?? value),
    open: () => input.map((value, index) => found[index]?.open(index) ?? value),
  };
}

interface Opening {
  /** Whether it is what a server hands to a handler. */
  readonly isExchange?: boolean;
  readonly recorded: unknown;
  readonly open: (index: number) => unknown;
}

function openingOf(call: StageCall, conductor: Conductor, value: unknown): Opening | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    if (isPlainData(value)) return undefined;
    if (value instanceof AbortSignal) {
      return value.aborted ? undefined : { recorded: value, open: () => follow(call, conductor, value) };
    }
    const signal = signalIn(value);
    if (signal !== undefined) {
      return { recorded: value, open: () => withSignal(value, follow(call, conductor, signal)) };
    }
    if (value instanceof RecordedStream && value.kind !== "promise" && isExchangeKind(value.kind)) {
      return { recorded: value, open: (index) => replayed(call, conductor, index, value) };
    }
    const { record, revive } = call.definition;
    // It says itself what to record, and that is whole.
    if (record?.input !== undefined || revive?.input !== undefined) return undefined;
    if (isPromise(value)) {
      return { recorded: PROMISE, open: () => followPromise(call, conductor, value) };
    }
    const promised = promisesIn(value);
    if (promised !== undefined) {
      return {
        recorded: withOwn(value, promised.keys, () => PROMISE),
        open: () => withOwn(value, promised.keys, (one) => followPromise(call, conductor, one)),
      };
    }
    const exchange = exchangeOf(value);
    if (exchange !== undefined) {
      return { recorded: exchange.recorded, open: () => exchange.open(call, conductor), isExchange: true };
    }
    // One of a class of its own says more of itself as it is read than what stands for it could.
    if (value instanceof Readable && Object.getPrototypeOf(value) !== Readable.prototype) return undefined;
    const passage = passageOf(value);
    return (
      passage && { recorded: passage.recorded, open: (index) => stream(call, conductor, index, passage) }
    );
  } catch {
    return undefined; // a Proxy or a getter that throws: the program will hear of it where it looks
  }
}

/** Where a plain object may hold what goes on, or be read in pieces. */
const GOING_ON = ["signal", "params", "searchParams", Symbol.asyncIterator] as const;

/** Whether it is an object that can be none of what follows, as most arguments are: to ask for each of them takes longer. */
function isPlainData(value: object): boolean {
  // Of a Proxy this would run traps that nothing else does.
  if (types.isProxy(value) || types.isPromise(value)) return false;
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const key of GOING_ON) if (key in value) return false;
  return true;
}

type AnyFunction = (...input: never[]) => unknown;

interface Exchange {
  readonly recorded: unknown;
  readonly open: (call: StageCall, conductor: Conductor) => unknown;
}

/** What a server hands to its handlers. */
function exchangeOf(value: object): Exchange | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return undefined;
  if (value instanceof Stream) {
    if (isIncomingMessage(value)) return incomingRequest(value);
    return isServerResponse(value) ? serverResponse(value) : undefined;
  }
  if (isRequestOfFramework(value)) return requestOfFramework(value);
  return isFrameworkObject(value) ? frameworkObject(value) : undefined;
}

/** What a handler is given to call: `next`. Calling it is an effect; what that sets off is none of the run. */
function functionInput(call: StageCall, conductor: Conductor, index: number, body: AnyFunction): Opening {
  const outside = AsyncLocalStorage.snapshot() as <T>(body: () => T) => T;
  return {
    recorded: new RecordedStream("function", { name: body.name, length: body.length }),
    open: () =>
      resemble((...input: unknown[]) => {
        const perform = (): unknown =>
          outside(() => Reflect.apply(body, undefined, input as never[]) as unknown);
        return callOut(call, conductor, index, input, perform);
      }, body),
  };
}

function callOut(
  call: StageCall,
  conductor: Conductor,
  index: number,
  input: readonly unknown[],
  perform: () => unknown,
): unknown {
  const name = `input.${index}`;
  if (call.run.closed) return perform();
  return conductor.effect({ call, name, ordinal: call.nextEffect(name) }, input, perform);
}

function replayed(call: StageCall, conductor: Conductor, index: number, recorded: RecordedStream): unknown {
  switch (recorded.kind) {
    case "IncomingMessage":
      return replayedRequest(recorded, call, conductor);
    case "ServerResponse":
      return replayedResponse(recorded, call, conductor);
    case "handler":
      return replayedObject(recorded, call, conductor);
    case "function": {
      const made = (...input: unknown[]): unknown => callOut(call, conductor, index, input, () => undefined);
      for (const key of ["name", "length"]) {
        Object.defineProperty(made, key, { value: recorded.fields[key], configurable: true });
      }
      return made;
    }
    default:
      return replayedRequestOfFramework(recorded);
  }
}

/** The signal in an options object, such as `{ signal }`. */
function signalIn(value: object): AbortSignal | undefined {
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const signal: unknown = Object.getOwnPropertyDescriptor(value, "signal")?.value;
  return signal instanceof AbortSignal && !signal.aborted ? signal : undefined;
}

/** What stands in a record for a promise: what it came to is an effect. */
const PROMISE = new RecordedStream("promise");

function isPromise(value: unknown): boolean {
  return types.isPromise(value) || (value instanceof RecordedStream && value.kind === "promise");
}

/** Where frameworks put promises: Next, in what it gives to a route beside the request. To look at each key would take as long as the input is large. */
const PROMISED = ["params", "searchParams"] as const;

/** Promises that are own properties of a plain object, such as `{ params }`. */
function promisesIn(value: object): { readonly keys: readonly string[] } | undefined {
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  let keys: string[] | undefined;
  for (const key of PROMISED) {
    if (isPromise(Object.getOwnPropertyDescriptor(value, key)?.value)) (keys ??= []).push(key);
  }
  return keys === undefined ? undefined : { keys };
}

/** The same object with other values at `keys`; no getter of it is called. */
function withOwn(value: object, keys: readonly string[], of: (one: unknown) => unknown): object {
  const descriptors: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(value);
  for (const key of keys) {
    const descriptor = descriptors[key] as PropertyDescriptor;
    descriptors[key] = { ...descriptor, value: of(descriptor.value) };
  }
  return Object.create(Object.prototype, descriptors) as object;
}

const SETTLED = "input.promise";

/** A promise that settles as `promise` does, in its turn. */
function followPromise(call: StageCall, conductor: Conductor, promise: unknown): Promise<unknown> {
  const followed = new Promise((resolve, reject) => {
    conductor.start(
      { call, name: SETTLED, ordinal: call.nextEffect(SETTLED) },
      [],
      (arrive) => whenSettled(promise as Promise<unknown>, arrive),
      (outcome) => settlePromise(outcome, resolve, reject),
    );
  });
  if (types.isPromise(promise)) copyMembers(promise, followed);
  return followed;
}

/** The same options with another signal; no getter of theirs is called. */
function withSignal(options: object, signal: AbortSignal): object {
  const descriptors = Object.getOwnPropertyDescriptors(options);
  const value = { value: signal, writable: true, enumerable: true, configurable: true };
  return Object.create(Object.prototype, { ...descriptors, signal: value }) as object;
}

function stream(call: StageCall, conductor: Conductor, index: number, passage: Passage): unknown {
  return effectStream(conductor, { call, name: "input", ordinal: index }, passage);
}

const ABORT = "AbortSignal.abort";

/** A signal that aborts when `signal` does, in its turn. */
function follow(call: StageCall, conductor: Conductor, signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  conductor.start(
    { call, name: ABORT, ordinal: call.nextEffect(ABORT) },
    [],
    (arrive) => {
      const abort = (): void => arrive({ status: "ok", value: signal.reason });
      signal.addEventListener("abort", abort, { once: true });
      call.run.atEnd(() => {
        signal.removeEventListener("abort", abort);
        if (!signal.aborted) followAfter(signal, controller);
      });
    },
    (outcome) => controller.abort(outcome.status === "ok" ? outcome.value : outcome.error),
  );
  return controller.signal;
}

/** Lets go of a signal for whoever is there no more. */
const followers = new FinalizationRegistry<() => void>((release) => release());
const controllers = new WeakMap<AbortSignal, AbortController>();

/**
 * What the run has left behind may still wait for the signal. A signal may outlive very many runs, and
 * holds only those whose own signal somebody listens to, as it would hold the listeners.
 */
function followAfter(signal: AbortSignal, controller: AbortController): void {
  const own = controller.signal;
  if (getEventListeners(own, "abort").length > 0) return followAlways(signal, controller);
  controllers.set(own, controller);
  followers.register(own, followWhileHeld(signal, new WeakRef(own)));
}

function followAlways(signal: AbortSignal, controller: AbortController): void {
  signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
}

/** Functions made in one call hold all that any of them uses: so here nothing may use the controller. */
function followWhileHeld(signal: AbortSignal, own: WeakRef<AbortSignal>): () => void {
  const abort = (): void => {
    const held = own.deref();
    if (held !== undefined) controllers.get(held)?.abort(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}
