/** Message ports: those of a channel, and the one between a worker and who began it. */
import { MessagePort } from "node:worker_threads";
import { patch, type Undo } from "./patch.js";
import { answers, asks, type Method } from "./undeclared.js";

const MESSAGE = "message";
/** What the platform calls with each message, on all lines of Node; without it messages are not noticed. */
const DISPATCH = Symbol.for("nodejs.internal.kHybridDispatch");
const source = "a message port";

export function patchPorts(): Undo[] {
  const methods = MessagePort.prototype as unknown as Record<string | symbol, Method | undefined>;
  if (methods[DISPATCH] === undefined) return [];
  return [
    patch(methods, "postMessage", (original) =>
      asks(original as Method, { source, eventOf: () => MESSAGE, isPlatform }),
    ),
    // `on`, `once` and `onmessage` come through here.
    patch(methods, "addEventListener", (original) =>
      asks(original as Method, {
        source,
        eventOf: (_port, [event]) => (event === MESSAGE ? MESSAGE : undefined),
        isPlatform,
      }),
    ),
    patch(methods, DISPATCH, (original) =>
      answers(original as Method, ([, event]) => (event === MESSAGE ? MESSAGE : undefined)),
    ),
  ];
}

/** A worker has ports of its own, for its output among others; what the program asks is seen at the worker. */
function isPlatform(stack: string): boolean {
  const frames = stack.split("\n").slice(1);
  return (
    frames
      .find((frame) => !frame.includes("node:internal/event_target"))
      ?.includes("node:internal/worker") === true
  );
}
