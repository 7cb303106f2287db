/** What an emitter tells of by itself, whenever its server likes. What a run listens to is an effect of it. */
import type { Undo } from "../ambient/patch.js";
import type { CapturedMethod, CaptureTools } from "./define-capture.js";

type Listener = (...input: unknown[]) => void;

interface Followed {
  readonly event: unknown;
  readonly listener: Listener;
  readonly end: () => void;
}

/**
 * Captures `events` of the emitters that have this prototype. `plain` makes of what is told what is recorded of it, and
 * what the program is given.
 */
export function captureEvents(
  prototype: object,
  events: readonly string[],
  { run, method, inside }: CaptureTools,
  plain: (told: unknown) => unknown = asItIs,
): Undo[] {
  const followed = new WeakMap<object, Set<Followed>>();
  const methods = prototype as Record<
    "on" | "addListener" | "off" | "removeListener" | "removeAllListeners",
    CapturedMethod
  >;

  const listen = (original: CapturedMethod): CapturedMethod =>
    function (this: unknown, event, listener) {
      const current = events.includes(event as string) && typeof listener === "function" ? run() : undefined;
      if (current === undefined) return original.call(this, event, listener);
      const emitter = this as object;
      let tell: ((told: readonly unknown[]) => void) | undefined;
      // In the emitter's list as any other, and to be taken out of it by the listener that it stands for.
      const heard = Object.assign((...told: unknown[]) => tell?.(told.map(plain)), { listener });
      const end = current.follow<readonly unknown[]>(
        { name: event as string, input: [] },
        (next) => {
          tell = next;
        },
        (told) => {
          Reflect.apply(listener as Listener, emitter, told);
          return undefined;
        },
      );
      const mine = followed.get(emitter) ?? new Set();
      mine.add({ event, listener: listener as Listener, end });
      followed.set(emitter, mine);
      return inside(() => original.call(this, event, heard));
    };
  const forget = (emitter: object, event: unknown, listener?: unknown): void => {
    const mine = followed.get(emitter);
    for (const one of mine ?? []) {
      if (event !== undefined && one.event !== event) continue;
      if (listener !== undefined && one.listener !== listener) continue;
      one.end();
      mine?.delete(one);
      if (listener !== undefined) return;
    }
  };
  const unlisten = (original: CapturedMethod): CapturedMethod =>
    function (this: unknown, event, listener) {
      forget(this as object, event, listener);
      return original.call(this, event, listener);
    };
  return [
    method(methods, "on", listen),
    method(methods, "addListener", listen),
    method(methods, "off", unlisten),
    method(methods, "removeListener", unlisten),
    method(
      methods,
      "removeAllListeners",
      (original) =>
        function (this: unknown, ...input: unknown[]) {
          forget(this as object, input[0]);
          return original.apply(this, input);
        },
    ),
  ];
}

function asItIs(told: unknown): unknown {
  return told;
}
