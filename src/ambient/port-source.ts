/** Message ports: those of a channel, and the one between a worker and who began it. */
import { MessagePort } from "node:worker_threads";
import { patch, resemble, type Undo } from "./patch.js";
import { answer, ask } from "./undeclared.js";

const SOURCE = "a message port";
const MESSAGE = "message";
/** What the platform calls with each message, on all lines of Node; without it messages are not noticed. */
const DISPATCH = Symbol.for("nodejs.internal.kHybridDispatch");

type Method = (this: MessagePort, ...input: unknown[]) => unknown;

export function patchPorts(): Undo[] {
  const methods = MessagePort.prototype as unknown as Record<string | symbol, Method | undefined>;
  if (methods[DISPATCH] === undefined) return [];
  return [
    patch(methods, "postMessage", (original) => createAsking(original as Method, () => true)),
    // `on`, `once` and `onmessage` come through here.
    patch(methods, "addEventListener", (original) =>
      createAsking(original as Method, (event) => event === MESSAGE),
    ),
    patch(methods, DISPATCH, (original) =>
      resemble(function (this: MessagePort, ...input: unknown[]): unknown {
        if (input[1] === MESSAGE) answer(this, MESSAGE);
        return Reflect.apply(original as Method, this, input);
      }, original as Method),
    ),
  ];
}

function createAsking(original: Method, asks: (first: unknown) => boolean): Method {
  const substitute: Method = function (this: MessagePort, ...input: unknown[]): unknown {
    if (asks(input[0])) ask(this, MESSAGE, SOURCE, substitute, isOfWorker);
    return Reflect.apply(original, this, input);
  };
  return resemble(substitute, original);
}

/** A worker has ports of its own, for its output among others; what the program asks is seen at the worker. */
function isOfWorker(stack: string): boolean {
  const caller = stack
    .split("\n")
    .slice(1)
    .find((frame) => !frame.includes("node:internal/event_target"));
  return caller?.includes("node:internal/worker") ?? false;
}
