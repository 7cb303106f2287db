/**
 * What a root is called with and is not over when the call begins: streams, and signals that may yet
 * abort. The program gets ones that follow them, so that what comes of them has its turn.
 */
import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { effectStream } from "../streams/effect-stream.js";
import { type Passage, passageOf } from "../streams/passage.js";
import type { Conductor } from "./seam.js";
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
  return {
    recorded: input.map((value, index) => found[index]?.recorded ?? value),
    open: () => input.map((value, index) => found[index]?.open(index) ?? value),
  };
}

interface Opening {
  readonly recorded: unknown;
  readonly open: (index: number) => unknown;
}

function openingOf(call: StageCall, conductor: Conductor, value: unknown): Opening | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    if (value instanceof AbortSignal) {
      return value.aborted ? undefined : { recorded: value, open: () => follow(call, conductor, value) };
    }
    const signal = signalIn(value);
    if (signal !== undefined) {
      return { recorded: value, open: () => withSignal(value, follow(call, conductor, signal)) };
    }
    // A request that a server has got says more of itself as it is read than what stands for it could.
    if (value instanceof Readable && Object.getPrototypeOf(value) !== Readable.prototype) return undefined;
    const { record, revive } = call.definition;
    // It says itself what to record, and that is whole.
    if (record?.input !== undefined || revive?.input !== undefined) return undefined;
    const passage = passageOf(value);
    return (
      passage && { recorded: passage.recorded, open: (index) => stream(call, conductor, index, passage) }
    );
  } catch {
    return undefined; // a Proxy or a getter that throws: the program will hear of it where it looks
  }
}

/** The signal in an options object, such as `{ signal }`. */
function signalIn(value: object): AbortSignal | undefined {
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined;
  const signal: unknown = Object.getOwnPropertyDescriptor(value, "signal")?.value;
  return signal instanceof AbortSignal && !signal.aborted ? signal : undefined;
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
