/** Sockets that a run writes to or listens to: TCP, TLS, pipes, and the output of child processes. */
import { Socket } from "node:net";
import { patch, resemble, type Undo } from "./patch.js";
import { answer, ask } from "./undeclared.js";

const SOURCE = "a socket";
/** A socket answers with data, whatever it was asked. */
const DATA = "data";

type Listen = Socket["on"];
type Method = (this: Socket, ...input: unknown[]) => unknown;

export function patchSockets(): Undo[] {
  const { prototype } = Socket;
  return [
    ...(["connect", "write", "end"] as const).map((name) =>
      patch(prototype, name, (original) => createAsking(original as Method) as never),
    ),
    ...(["on", "addListener"] as const).map((name) =>
      patch(prototype, name, (original) => createListening(original)),
    ),
    // Not the event: it comes when somebody reads, which may be at any time after the chunk has come.
    patch(prototype, "push", (original) =>
      resemble(function (this: Socket, chunk: unknown, encoding?: BufferEncoding): boolean {
        if (chunk !== null) answer(this, DATA);
        return original.call(this, chunk, encoding);
      }, original),
    ),
  ];
}

function createAsking(original: Method): Method {
  const substitute: Method = function (this: Socket, ...input: unknown[]): unknown {
    // What a client sends to a server is no answer to what the server sends it.
    if (!("server" in this) || this.server == null) ask(this, DATA, SOURCE, substitute);
    return Reflect.apply(original, this, input);
  };
  return resemble(substitute, original);
}

function createListening(original: Listen): Listen {
  const substitute = function (this: Socket, event: string, listener: () => void): Socket {
    if (event === "data" || event === "readable") {
      ask(this, DATA, SOURCE, substitute);
      // It is there already.
      if (this.readableLength > 0) answer(this, DATA);
    }
    return Reflect.apply(original, this, [event, listener]);
  };
  return resemble(substitute as Listen, original);
}
