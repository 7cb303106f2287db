/** What a client tells of by itself: notifications and notices. Those that a run listens to are effects of it. */
import type { Undo } from "../ambient/patch.js";
import type { CapturedMethod, CaptureTools } from "../capture/define-capture.js";

type Listener = (...input: unknown[]) => void;

/** Events that come from the server, whenever it likes. */
const EVENTS = new Set<unknown>(["notification", "notice"]);

interface Followed {
  readonly event: unknown;
  readonly listener: Listener;
  readonly end: () => void;
}

export function patchNotifications(client: object, { run, method, inside }: CaptureTools): Undo[] {
  const followed = new WeakMap<object, Set<Followed>>();
  const methods = client as Record<
    "on" | "addListener" | "off" | "removeListener" | "removeAllListeners",
    CapturedMethod
  >;

  const listen = (original: CapturedMethod): CapturedMethod =>
    function (this: unknown, event, listener) {
      const current = EVENTS.has(event) && typeof listener === "function" ? run() : undefined;
      if (current === undefined) return original.call(this, event, listener);
      const emitter = this as object;
      let tell: ((message: unknown) => void) | undefined;
      // In the emitter's list as any other, and to be taken out of it by the listener that it stands for.
      const heard = Object.assign((message: unknown) => tell?.(plain(message)), { listener });
      const end = current.follow(
        { name: event as string, input: [] },
        (next) => {
          tell = next;
        },
        (message) => {
          Reflect.apply(listener as Listener, emitter, [message]);
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

/** A message of the driver's is of a class of its own. */
function plain(message: unknown): unknown {
  return message instanceof Error || typeof message !== "object" ? message : { ...message };
}
