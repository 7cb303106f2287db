/** Emitters that tell of something outside: workers, child processes, datagram sockets. */
import { ChildProcess } from "node:child_process";
import dgram from "node:dgram";
import { Worker } from "node:worker_threads";
import { patch, type Undo } from "./patch.js";
import { answers, asks, type Method } from "./undeclared.js";

/** A class, what it is called, the method that asks, and the events that come from outside: the first answers it. */
const SOURCES: readonly (readonly [object, string, string, readonly string[]])[] = [
  [Worker, "a worker", "postMessage", ["message", "messageerror", "error", "exit"]],
  [ChildProcess, "a child process", "send", ["message", "exit", "close"]],
  [dgram.Socket, "a datagram socket", "send", ["message"]],
];

export function patchEvents(): Undo[] {
  return SOURCES.flatMap(([owner, source, method, events]) => {
    const methods = (owner as { readonly prototype: Record<string, Method> }).prototype;
    const eventOf = (event: unknown): string | undefined => events.find((one) => one === event);
    const undo = [
      patch(methods, "emit", (original) => answers(original, ([event]) => eventOf(event))),
      ...["on", "addListener"].map((name) =>
        patch(methods, name, (original) =>
          asks(original, { source, eventOf: (_emitter, [event]) => eventOf(event) }),
        ),
      ),
    ];
    // A child process has its own `send`, where it has one.
    if (methods[method] === undefined) return undo;
    return [
      ...undo,
      patch(methods, method, (original) => asks(original, { source, eventOf: () => events[0] })),
    ];
  });
}
