/** Emitters that tell of something outside: workers, child processes, datagram sockets. */
import { ChildProcess } from "node:child_process";
import dgram from "node:dgram";
import type { EventEmitter } from "node:events";
import { Worker } from "node:worker_threads";
import { patch, resemble, type Undo } from "./patch.js";
import { answer, ask } from "./undeclared.js";

interface Source {
  readonly prototype: EventEmitter;
  /** Such as `a worker`. */
  readonly name: string;
  /** What comes from outside. */
  readonly events: ReadonlySet<string | symbol>;
  /** Methods that ask, and the event that answers them. */
  readonly asks: Readonly<Record<string, string>>;
}

const SOURCES: readonly Source[] = [
  {
    prototype: Worker.prototype,
    name: "a worker",
    events: new Set(["message", "messageerror", "error", "exit"]),
    asks: { postMessage: "message" },
  },
  {
    prototype: ChildProcess.prototype,
    name: "a child process",
    events: new Set(["message", "exit", "close"]),
    asks: { send: "message" },
  },
  {
    prototype: dgram.Socket.prototype,
    name: "a datagram socket",
    events: new Set(["message"]),
    asks: { send: "message" },
  },
];

type Method = (this: EventEmitter, ...input: unknown[]) => unknown;

export function patchEvents(): Undo[] {
  return SOURCES.flatMap(({ prototype, name, events, asks }) => {
    const methods = prototype as unknown as Record<string, Method>;
    return [
      patch(prototype, "emit", (original) =>
        resemble(function (this: EventEmitter, event: string | symbol, ...input: unknown[]): boolean {
          if (events.has(event)) answer(this, String(event));
          return original.call(this, event, ...input);
        }, original),
      ),
      ...["on", "addListener"].map((method) =>
        patch(methods, method, (original) =>
          createAsking(original as Method, name, (event) =>
            events.has(event as string) ? String(event) : undefined,
          ),
        ),
      ),
      ...Object.entries(asks)
        .filter(([method]) => typeof methods[method] === "function")
        .map(([method, event]) =>
          patch(methods, method, (original) => createAsking(original as Method, name, () => event)),
        ),
    ];
  });
}

function createAsking(
  original: Method,
  name: string,
  answeredBy: (first: unknown) => string | undefined,
): Method {
  const substitute: Method = function (this: EventEmitter, ...input: unknown[]): unknown {
    const event = answeredBy(input[0]);
    if (event !== undefined) ask(this, event, name, substitute);
    return Reflect.apply(original, this, input);
  };
  return resemble(substitute, original);
}
