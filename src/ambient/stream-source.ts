/** Streams of bytes that a run listens to or writes to: sockets of all kinds, the output of child processes, files. */
import fs from "node:fs";
import { Socket } from "node:net";
import { patch, type Undo } from "./patch.js";
import { answers, asks, FILE, type Method } from "./undeclared.js";

/** They answer with data, whatever they were asked. */
const DATA = "data";

/** A class, what it is called, and its methods that ask. */
const SOURCES: readonly (readonly [object, string, readonly string[]])[] = [
  [Socket, "a socket", ["connect", "write", "end"]],
  [fs.ReadStream, FILE, []],
];

export function patchStreams(): Undo[] {
  return SOURCES.flatMap(([owner, source, asking]) => {
    const methods = (owner as { readonly prototype: Record<string, Method> }).prototype;
    return [
      ...asking.map((name) =>
        patch(methods, name, (original) => asks(original, { source, eventOf: answerToSpeaking })),
      ),
      ...["on", "addListener"].map((name) =>
        patch(methods, name, (original) =>
          asks(original, {
            source,
            eventOf: (_stream, [event]) => (event === DATA || event === "readable" ? DATA : undefined),
          }),
        ),
      ),
      // Not the event: it comes when somebody reads, which may be at any time after the chunk has come.
      patch(methods, "push", (original) =>
        answers(original, ([chunk]) => (chunk === null ? undefined : DATA)),
      ),
    ];
  });
}

/** What a client sends to a server is no answer to what the server sends it. */
function answerToSpeaking(socket: object): string | undefined {
  return (socket as { readonly server?: unknown }).server == null ? DATA : undefined;
}
