/**
 * Timers. Within a run a timer is an effect: recorded, it fires when it fires and is handed over in
 * its turn; replayed, it is handed over in its turn and no time passes.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import type { Outcome } from "../stage/definition.js";
import { below, captured, type Captured, nextEffect } from "./captured.js";
import { createIntervalIterator } from "./interval-iterator.js";
import { patch, resemble, type Undo } from "./patch.js";

type Callback = (...input: unknown[]) => void;
type Start = (callback: Callback, delay?: number, ...input: unknown[]) => NodeJS.Timeout;
type StartImmediate = (callback: Callback, ...input: unknown[]) => NodeJS.Immediate;

const FIRED: Outcome = { status: "ok", value: undefined };
const nothing = (): void => undefined;

/** What gives a timer up that this file has started, by the handle that the program has of it. */
const running = new WeakMap<object, () => void>();

export function patchTimers(): Undo[] {
  const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = timers;
  const promised = { ...timersPromises };
  const undo: Undo[] = [];

  const wait = resemble(
    <T>(delay?: number, value?: T, options?: Parameters<typeof promised.setTimeout>[2]): Promise<T> => {
      const capture = captured("timers");
      if (capture === undefined) return promised.setTimeout(delay, value, options);
      return waitFor(
        capture,
        "setTimeout",
        [delay],
        () => below(() => promised.setTimeout(delay, undefined, options)),
        value as T,
      );
    },
    promised.setTimeout,
  );
  const waitImmediate = resemble(
    <T>(value?: T, options?: Parameters<typeof promised.setImmediate>[1]): Promise<T> => {
      const capture = captured("timers");
      if (capture === undefined) return promised.setImmediate(value, options);
      return waitFor(
        capture,
        "setImmediate",
        [],
        () => below(() => promised.setImmediate(undefined, options)),
        value as T,
      );
    },
    promised.setImmediate,
  );
  undo.push(
    patch(timersPromises, "setTimeout", () => wait),
    patch(timersPromises, "setImmediate", () => waitImmediate),
    patch(timersPromises.scheduler, "yield", (original) =>
      resemble(() => {
        const capture = captured("timers");
        const pass = (): Promise<void> => below(() => original.call(timersPromises.scheduler));
        return capture === undefined ? pass() : waitFor(capture, "scheduler.yield", [], pass, undefined);
      }, original),
    ),
    patch(timersPromises.scheduler, "wait", () => (delay, options) => wait(delay, undefined, options)),
  );

  const startTimeout = createTimeout(setTimeout, clearTimeout);
  const startInterval = createInterval(setInterval, clearInterval);
  undo.push(
    patch(timersPromises, "setInterval", (original) =>
      createIntervalIterator(
        original,
        startInterval as never,
        createClear(clearInterval) as never,
        promised.setTimeout,
      ),
    ),
  );
  const startImmediate = createImmediate(setImmediate, clearImmediate);
  for (const target of [timers, globalThis] as (typeof timers)[]) {
    undo.push(
      patch(target, "setTimeout", () => startTimeout as unknown as typeof setTimeout),
      patch(target, "setInterval", () => startInterval as unknown as typeof setInterval),
      patch(target, "setImmediate", () => startImmediate as unknown as typeof setImmediate),
      patch(target, "clearTimeout", createClear),
      patch(target, "clearInterval", createClear),
      patch(target, "clearImmediate", createClear),
    );
  }
  return undo;
}

function createTimeout(original: Start, clear: (handle: NodeJS.Timeout) => void): Start {
  return resemble((callback: Callback, delay?: number, ...input: unknown[]) => {
    const capture = captured("timers");
    if (capture === undefined || typeof callback !== "function") return original(callback, delay, ...input);
    const { call, conductor } = capture;
    let handle: NodeJS.Timeout | undefined;
    const fire = AsyncLocalStorage.bind(() => Reflect.apply(callback, handle, input));
    const start = (): void => {
      let real: NodeJS.Timeout | undefined;
      const giveUp = conductor.start(
        nextEffect(call, "setTimeout", nothing),
        [delay],
        (arrive) => {
          real = below(() => original(() => arrive(FIRED), delay));
        },
        fire,
      );
      handle ??= real ?? inert(original, clear);
      running.set(handle, () => {
        giveUp();
        if (real !== undefined) clear(real);
      });
    };
    start();
    const started = handle as unknown as NodeJS.Timeout;
    // A timer that is refreshed begins anew, as another effect.
    started.refresh = () => {
      running.get(started)?.();
      start();
      return started;
    };
    return started;
  }, original);
}

function createInterval(original: Start, clear: (handle: NodeJS.Timeout) => void): Start {
  return resemble((callback: Callback, delay?: number, ...input: unknown[]) => {
    const capture = captured("timers");
    if (capture === undefined || typeof callback !== "function") return original(callback, delay, ...input);
    const { call, conductor } = capture;
    let handle: NodeJS.Timeout | undefined;
    let arrived = nothing;
    let over = false;
    let giveUp = nothing;
    const fire = AsyncLocalStorage.bind(() => {
      try {
        Reflect.apply(callback, handle, input);
      } finally {
        if (!over && !call.run.closed) tick();
      }
    });
    // Each tick is an effect of its own: it begins when the one before has been handed over.
    const tick = (): void => {
      giveUp = conductor.start(
        nextEffect(call, "setInterval", nothing),
        [delay],
        (arrive) => {
          arrived = () => arrive(FIRED);
          // When the run has ended it goes on as any other interval does.
          handle ??= below(() => original(() => (call.run.closed ? fire() : arrived()), delay));
        },
        fire,
      );
    };
    tick();
    handle ??= inert(original, clear);
    running.set(handle, () => {
      over = true;
      giveUp();
    });
    return handle;
  }, original);
}

function createImmediate(
  original: StartImmediate,
  clear: (handle: NodeJS.Immediate) => void,
): StartImmediate {
  return resemble((callback: Callback, ...input: unknown[]) => {
    const capture = captured("timers");
    if (capture === undefined || typeof callback !== "function" || doesNothing(callback)) {
      return original(callback, ...input);
    }
    const { call, conductor } = capture;
    let handle: NodeJS.Immediate | undefined;
    const giveUp = conductor.start(
      nextEffect(call, "setImmediate", nothing),
      [],
      (arrive) => {
        handle = below(() => original(() => arrive(FIRED)));
      },
      AsyncLocalStorage.bind(() => Reflect.apply(callback, handle, input)),
    );
    if (handle === undefined) {
      handle = below(() => original(nothing));
      clear(handle);
    }
    running.set(handle, giveUp);
    return handle;
  }, original);
}

/** Node sets such an immediate when an error has been handled that nobody caught, so that the event loop goes round. */
function doesNothing(callback: Callback): boolean {
  return callback.name === "noop" && Function.prototype.toString.call(callback) === "function noop() {}";
}

function createClear<H>(original: (handle: H) => void): (handle: H) => void {
  return resemble((handle: H) => {
    if (typeof handle === "object" && handle !== null) {
      running.get(handle)?.();
      running.delete(handle);
    }
    original(handle);
  }, original);
}

/** A handle of the platform's own class, of a timer that never fires. */
function inert(original: Start, clear: (handle: NodeJS.Timeout) => void): NodeJS.Timeout {
  // Where one capture lies upon another, the lower one must not take it for the program's.
  const handle = below(() => original(nothing, 1));
  clear(handle);
  return handle;
}

/** A promise that is kept at its turn; what it is kept with is the program's own value, and is not recorded. */
async function waitFor<T>(
  { call, conductor }: Captured,
  name: string,
  input: readonly unknown[],
  perform: () => Promise<unknown>,
  value: T,
): Promise<T> {
  await conductor.effect(nextEffect(call, `timers/promises.${name}`, nothing), input, perform);
  return value;
}
