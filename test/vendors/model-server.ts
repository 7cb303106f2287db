/**
 * A server that speaks the protocols of OpenAI (chat completions, responses) and Anthropic (messages),
 * plain and streaming, and does what such servers do on bad days.
 *
 * The name of the model says how a stream is sent: `whole-20` one event in 20 ms, `split-20` cut anywhere,
 * in pieces that hold half an event or several, up to 20 ms apart.
 */
import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { chatCompletion, message, type Reply, response } from "./model-replies.js";

/** What happens to a request in place of an answer, or in the middle of one. */
export type Mishap =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** What the body says, in place of the error that both protocols know. */
      readonly text?: string;
    }
  /** The connection is closed before anything has been sent. */
  | { readonly kind: "drop" }
  /** The connection is closed when about half of the stream has been sent. */
  | { readonly kind: "cut" }
  /** Half of the stream, and then an event that says that it failed. */
  | { readonly kind: "error-event" }
  /** No answer for that long. */
  | { readonly kind: "stall"; readonly milliseconds: number };

export interface ModelServer {
  /** To be used as a client's base address; of OpenAI's with `/v1`. */
  readonly url: string;
  /** The headers of each request so far. */
  readonly requests: readonly IncomingMessage["headers"][];
  /** The events of `whole-…` streams, and when each was sent, by `performance.now()`. */
  readonly sent: readonly { readonly event: string; readonly at: number }[];
  /** When the next request has come. */
  nextRequest(): Promise<void>;
  /** What befalls the next requests, one each. */
  expect(mishaps: readonly Mishap[]): void;
  close(): Promise<void>;
}

const PROTOCOLS: Readonly<Record<string, (asked: { model: string; tools?: unknown[] }) => Reply>> = {
  "/v1/chat/completions": chatCompletion,
  "/v1/responses": response,
  "/v1/messages": message,
};

export async function startModelServer(): Promise<ModelServer> {
  const requests: IncomingMessage["headers"][] = [];
  const sent: { event: string; at: number }[] = [];
  const mishaps: Mishap[] = [];
  const arrivals = new EventEmitter();
  const server = createServer((request, outgoing) => {
    requests.push(request.headers);
    arrivals.emit("request");
    answer(request, outgoing, mishaps.shift(), sent).catch((error: unknown) => {
      outgoing.destroy(error as Error);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    sent,
    nextRequest: async () => void (await once(arrivals, "request")),
    expect: (more) => void mishaps.push(...more),
    close: () => stop(server),
  };
}

function stop(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}

async function answer(
  request: IncomingMessage,
  outgoing: ServerResponse,
  mishap: Mishap | undefined,
  sent: { event: string; at: number }[],
): Promise<void> {
  const asked = (await bodyOf(request)) as { model: string; stream?: boolean; tools?: unknown[] };
  if (mishap?.kind === "drop") return void request.socket.destroy();
  if (mishap?.kind === "stall") await sleep(mishap.milliseconds);
  const identity = `req_${randomUUID()}`;
  outgoing.setHeader("request-id", identity).setHeader("x-request-id", identity);
  if (mishap?.kind === "status") return fail(outgoing, mishap);
  const reply = PROTOCOLS[request.url ?? ""]?.(asked);
  if (reply === undefined) return fail(outgoing, { kind: "status", status: 404 });
  if (asked.stream !== true) {
    outgoing.setHeader("content-type", "application/json").end(JSON.stringify(reply.whole));
    return;
  }
  outgoing.setHeader("content-type", "text/event-stream; charset=utf-8");
  const [, manner = "whole", pace = "0"] = /^(whole|split)-(\d+)$/.exec(asked.model) ?? [];
  const breaks = mishap?.kind === "cut" || mishap?.kind === "error-event";
  const events = breaks ? reply.events.slice(0, reply.events.length >> 1) : reply.events;
  if (manner === "whole") {
    for (const event of events) {
      outgoing.write(event);
      sent.push({ event, at: performance.now() });
      await sleep(Number(pace));
    }
  } else {
    for (const piece of cutAnywhere(Buffer.from(events.join("")))) {
      outgoing.write(piece);
      await sleep(Math.random() * Number(pace));
    }
  }
  if (mishap?.kind === "cut") return void request.socket.destroy();
  if (mishap?.kind === "error-event") {
    const error = { type: "overloaded_error", message: "Overloaded" };
    outgoing.write(`event: error\ndata: ${JSON.stringify({ type: "error", error })}\n\n`);
  }
  outgoing.end();
}

function fail(outgoing: ServerResponse, { status, headers, text }: Mishap & { kind: "status" }): void {
  const type = status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "api_error";
  const error = { type, code: `code_${status}`, param: null, message: `The server says ${status}` };
  outgoing.writeHead(status, {
    "content-type": text === undefined ? "application/json" : "text/html",
    ...headers,
  });
  outgoing.end(
    text ?? JSON.stringify({ type: "error", error, request_id: outgoing.getHeader("request-id") }),
  );
}

/** In pieces of any size, in the middle of events and of characters. */
function* cutAnywhere(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(Math.random() * 400);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
}
