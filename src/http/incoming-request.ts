/**
 * A request that a server of `node:http` has got, as an argument of a root. What it brings after the run has begun
 * (the chunks of its body, its end, a client that hangs up) is handed over in turns, by the request itself: the program
 * reads it as it likes. A replay makes one of what is recorded, and hands it the same.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage } from "node:http";
import { RecordedStream } from "../capsule/recorded-stream.js";
import { recordAs } from "../capsule/recorded-head.js";
import type { Outcome } from "../stage/definition.js";
import { activeCall } from "../stage/scopes.js";
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { addedTo, nodeHttp, nodeNet } from "./node-exchange.js";
import { holdBack, type Members, membersOf, stand, watch } from "./watched.js";

const NAME = "IncomingMessage";

/** What a request brings. */
type Brought =
  | { readonly event: "data"; readonly chunk: Uint8Array | string }
  | { readonly event: "end"; readonly trailers: readonly string[] }
  | { readonly event: "destroy"; readonly error: unknown };

/** What is recorded of a request when it comes. */
interface Fields extends Record<string, unknown> {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly rawHeaders: readonly string[];
  readonly socket: Readonly<Record<string, unknown>>;
  /** Read before the run began, and not given to anybody yet. */
  readonly buffered: readonly (Uint8Array | string)[];
  readonly encoding: string | null;
  /** Whether nothing more comes: it has ended, or was destroyed. */
  readonly ended: boolean;
  /** Whether its end has been read as well. */
  readonly read: boolean;
  /** What a framework has put on it, such as `params` and `body`. */
  readonly added: Readonly<Record<string, unknown>>;
  readonly members: Members;
}

export function isIncomingMessage(value: object): value is IncomingMessage {
  return (
    typeof (value as Partial<IncomingMessage>).httpVersion === "string" &&
    value instanceof nodeHttp().IncomingMessage
  );
}

/** The recorded request, and what begins to follow it. */
export function incomingRequest(message: IncomingMessage): {
  readonly recorded: RecordedStream;
  readonly open: (call: StageCall, conductor: Conductor) => unknown;
} {
  const members = membersOf(message, nodeHttp().IncomingMessage.prototype);
  const recorded = new RecordedStream(NAME, fieldsOf(message, members));
  recordAs(message, recorded);
  return {
    recorded,
    open: (call, conductor) => {
      watch(message, members, { call, conductor, name: NAME });
      if (recorded.fields["ended"] !== true) new Following(call, conductor, message).intercept();
      return message;
    },
  };
}

/** A request like the recorded one, to which the record brings what it brought. */
export function replayedRequest(
  recorded: RecordedStream,
  call: StageCall,
  conductor: Conductor,
): IncomingMessage {
  const fields = recorded.fields as Fields;
  const socket = new (nodeNet().Socket)();
  for (const [key, value] of Object.entries(fields.socket)) define(socket, key, value);
  const message = new (nodeHttp().IncomingMessage)(socket);
  const [major = 1, minor = 1] = fields.httpVersion.split(".").map(Number);
  Object.assign(message, {
    method: fields.method,
    url: fields.url,
    httpVersion: fields.httpVersion,
    httpVersionMajor: major,
    httpVersionMinor: minor,
    rawHeaders: [...fields.rawHeaders],
    headers: fields.headers,
    _read: () => undefined,
    ...fields.added,
  });
  recordAs(message, recorded);
  stand(message, fields.members, { call, conductor, name: NAME });
  if (fields.encoding !== null) message.setEncoding(fields.encoding as BufferEncoding);
  for (const chunk of fields.buffered)
    message.push(chunk, (fields.encoding as BufferEncoding | null) ?? undefined);
  if (fields.ended) {
    message.complete = true;
    message.push(null);
    if (fields.read) message.resume();
  } else new Following(call, conductor, message).await();
  return message;
}

function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Hands what a request brings to it, one to a turn. */
class Following {
  readonly #call: StageCall;
  readonly #conductor: Conductor;
  readonly #message: IncomingMessage;
  readonly #push: IncomingMessage["push"];
  readonly #destroy: IncomingMessage["destroy"];
  /** In the scope of the call: who listens to the request is part of the run. */
  readonly #inside = AsyncLocalStorage.snapshot() as (body: () => void) => void;
  readonly #brought: Brought[] = [];
  /** Bytes that have come and have not been handed over. */
  #waiting = 0;
  #arrive: ((outcome: Outcome) => void) | undefined;
  #over = false;
  #reveal: () => void = () => undefined;

  constructor(call: StageCall, conductor: Conductor, message: IncomingMessage) {
    this.#call = call;
    this.#conductor = conductor;
    this.#message = message;
    this.#push = message.push.bind(message);
    this.#destroy = message.destroy.bind(message);
  }

  /** Takes what the server brings to the request. */
  intercept(): void {
    const message = this.#message;
    this.#reveal = holdBack(message, "complete", this.#call);
    const own = {
      push: (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean => {
        if (this.#isOver()) return this.#push(chunk, encoding);
        this.#bring(
          chunk === null ? { event: "end", trailers: [...message.rawTrailers] } : { event: "data", chunk },
        );
        return this.#waiting + message.readableLength < message.readableHighWaterMark;
      },
      destroy: (error?: Error): IncomingMessage => {
        // The program's own doing, or what a stream does when it has been read to its end.
        const isOwn = activeCall()?.run === this.#call.run || message.readableEnded;
        if (isOwn || this.#isOver()) return this.#destroy(error);
        this.#bring({ event: "destroy", error });
        return message;
      },
    };
    for (const [key, value] of Object.entries(own)) {
      Object.defineProperty(message, key, { value, writable: true, configurable: true, enumerable: false });
    }
    this.await();
  }

  /** Begins to wait for the next that it brings. */
  await(): void {
    const name = `${NAME}.stream`;
    this.#conductor.start(
      { call: this.#call, name, ordinal: this.#call.nextEffect(name), madeUp: () => undefined },
      [],
      (arrive) => {
        this.#arrive = arrive;
        this.#pump();
      },
      (outcome) => {
        if (outcome.status !== "ok" || outcome.value === undefined) return;
        this.#inside(() => this.#hand(outcome.value as Brought));
      },
    );
  }

  /** Nothing waits for its turn, and nothing will. */
  #isOver(): boolean {
    return this.#over || (this.#call.run.closed && this.#brought.length === 0 && this.#waiting === 0);
  }

  #bring(brought: Brought): void {
    this.#brought.push(brought);
    this.#waiting += sizeOf(brought);
    this.#pump();
  }

  #pump(): void {
    const arrive = this.#arrive;
    if (arrive === undefined || this.#brought.length === 0) return;
    this.#arrive = undefined;
    arrive({ status: "ok", value: this.#brought.shift() });
  }

  #hand(brought: Brought): void {
    this.#waiting = Math.max(this.#waiting - sizeOf(brought), 0);
    this.#over = brought.event !== "data";
    if (!this.#over) this.await();
    switch (brought.event) {
      case "data":
        this.#push(brought.chunk);
        return;
      case "end":
        Object.assign(this.#message, { complete: true, rawTrailers: [...brought.trailers] });
        this.#reveal();
        this.#push(null);
        return;
      case "destroy":
        this.#destroy(brought.error as Error | undefined);
        return;
      default:
        brought satisfies never;
    }
  }
}

function sizeOf(brought: Brought): number {
  return brought.event === "data" ? Math.max(brought.chunk.length, 1) : 1;
}

const SOCKET_FIELDS = [
  "remoteAddress",
  "remotePort",
  "remoteFamily",
  "localAddress",
  "localPort",
  "localFamily",
  "encrypted",
  "alpnProtocol",
  "authorized",
] as const;

function fieldsOf(message: IncomingMessage, members: Members): Fields {
  const { method, url, httpVersion, headers, rawHeaders, readableEncoding } = message;
  const socket: Record<string, unknown> = {};
  for (const key of SOCKET_FIELDS) {
    const value: unknown = Reflect.get(message.socket ?? {}, key);
    if (value !== undefined) socket[key] = value;
  }
  const state = (message as unknown as { readonly _readableState: ReadableState })._readableState;
  const buffered = [...state.buffer].slice(state.bufferIndex ?? 0);
  const read = message.readableEnded || message.destroyed;
  const ended = read || state.ended;
  return {
    method,
    url,
    httpVersion,
    headers,
    rawHeaders,
    socket,
    buffered: read ? [] : buffered,
    encoding: readableEncoding,
    ended,
    read,
    added: addedTo(message, OWN),
    members,
  };
}

/** What Node keeps of what has come and was not read. It can be looked at nowhere else without being taken. */
interface ReadableState {
  readonly buffer: Iterable<Uint8Array | string>;
  readonly bufferIndex?: number;
  readonly ended: boolean;
}

/** What Node itself puts on each, and what frameworks put there to find their way. */
const OWN: ReadonlySet<string> = new Set([
  "aborted",
  "app",
  "client",
  "complete",
  "headers",
  "httpVersion",
  "httpVersionMajor",
  "httpVersionMinor",
  "joinDuplicateHeaders",
  "method",
  "next",
  "rawHeaders",
  "rawTrailers",
  "res",
  "route",
  "socket",
  "statusCode",
  "statusMessage",
  "upgrade",
  "url",
]);
