/**
 * One exchange of a run. The program gets a `ClientRequest` of Node's own, whose socket is a stand-in;
 * while it is recorded, a second one, made as the program asked for it, does the exchange.
 *
 * Invariants
 * 1. The program's request is driven by what is handed to it in turns and by nothing else, recorded and
 *    replayed alike. What it shows, when, is Node's own doing.
 * 2. The real request has the caller's own agent, options and bytes, and runs outside of the run.
 * 3. What comes from it is handed over in the order in which it came, whatever kind it is.
 * 4. The real one reads no further ahead than the program does, but for one buffer.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Captured, nextEffect } from "../ambient/captured.js";
import { withoutCredentials } from "../ambient/credentials.js";
import { isPropagationHeader } from "../ambient/propagation-headers.js";
import { effectNotRecorded } from "../effects/perform-effect.js";
import type { Outcome } from "../stage/definition.js";
import { suspend } from "../stage/scopes.js";
import type { EffectCall } from "../stage/seam.js";
import type { AskedRequest } from "./request-arguments.js";
import {
  bytesOfChunk,
  bytesOfEnd,
  bytesOfHead,
  type Framing,
  framingOf,
  headOf,
  type HeaderPairs,
  pairsOf,
  type ResponseHead,
} from "./response-head.js";
import { type FarEnd, StandInSocket } from "./stand-in-socket.js";

type Request = (...input: unknown[]) => ClientRequest;
type Run = <R>(body: () => R) => R;

/** What is told of an exchange besides the head of its response, which is the result of the effect itself. */
type ExchangeEvent =
  | {
      readonly event: "socket";
      readonly reused: boolean;
      readonly connecting: boolean;
      readonly encrypted: boolean;
    }
  | { readonly event: "connect" | "secureConnect"; readonly socket: Readonly<Record<string, unknown>> }
  | { readonly event: "sent"; readonly calls: number }
  | { readonly event: "information"; readonly head: ResponseHead }
  | { readonly event: "data"; readonly chunk: Uint8Array }
  | { readonly event: "end"; readonly trailers: HeaderPairs }
  | { readonly event: "timeout" | "close" };

interface Arrived {
  /** Whether it is the result of the effect, and not an event of its stream. */
  readonly answers: boolean;
  readonly outcome: Outcome;
}

type Arrive = (outcome: Outcome) => void;

/** The request that the program gets. `request` is the platform's own. */
export function startExchange(capture: Captured, asked: AskedRequest, request: Request): ClientRequest {
  return new Exchange(capture, asked, request).program;
}

/** The same for a request that the program has already, and that has no socket yet. */
export function takeOver(
  program: ClientRequest,
  capture: Captured,
  asked: AskedRequest,
  request: Request,
): void {
  void new Exchange(capture, asked, request, program);
}

class Exchange implements FarEnd {
  readonly program: ClientRequest;
  readonly #capture: Captured;
  readonly #asked: AskedRequest;
  readonly #request: Request;
  readonly #effect: EffectCall;
  readonly #streamName: string;
  /** In the scope of the program that asked. */
  readonly #inside = AsyncLocalStorage.snapshot() as Run;
  #socket: StandInSocket | undefined;
  #framing: Framing = "close";
  #begun = false;
  /** Whether all of the response has been handed over. */
  #whole = false;
  /** Whether the end of the real connection has. */
  #closed = false;
  /** How often the program has written, and how much of that has been sent, as far as it has been told. */
  #written = 0;
  #sent = 0;

  // Of the real one.
  #real: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #realSent = 0;
  #answered = false;
  #full = false;

  // The order.
  readonly #arrived: Arrived[] = [];
  #answer: Arrive | undefined;
  #tell: Arrive | undefined;
  #handing = false;

  constructor(capture: Captured, asked: AskedRequest, request: Request, program?: ClientRequest) {
    this.#capture = capture;
    this.#asked = asked;
    this.#request = uninstrumented(request);
    this.program = program ?? programRequest(asked, request);
    this.#effect = nextEffect(capture.call, "http");
    const { name, ordinal } = this.#effect;
    this.#streamName = `${name}${ordinal === 0 ? "" : `#${ordinal}`}.stream`;
    this.#follow();
    process.nextTick(() => this.#begin());
  }

  // What the program does.

  #follow(): void {
    const { program } = this;
    const write = program.write.bind(program);
    const end = program.end.bind(program);
    const flushHeaders = program.flushHeaders.bind(program);
    const destroy = program.destroy.bind(program);
    const addTrailers = program.addTrailers.bind(program);
    const writes =
      (original: (...input: never[]) => unknown, method: "write" | "end") =>
      (...input: unknown[]): unknown => {
        const over = program.writableEnded || program.destroyed;
        const result = original(...(input as never[]));
        if (!over) this.#write(method, input);
        return result;
      };
    Object.assign(program, {
      write: writes(write as never, "write"),
      end: writes(end as never, "end"),
      flushHeaders: () => {
        flushHeaders();
        this.#begin();
        suspend(() => this.#real?.flushHeaders());
      },
      addTrailers: (trailers: Parameters<typeof addTrailers>[0]) => {
        addTrailers(trailers);
        this.#begin();
        this.#real?.addTrailers(trailers);
      },
      destroy: (error?: Error) => {
        destroy(error);
        this.destroyed(error ?? null);
        return program;
      },
    });
  }

  #write(method: "write" | "end", input: readonly unknown[]): void {
    const [first, second] = input;
    const chunk = typeof first === "function" ? undefined : first;
    const encoding = typeof second === "string" ? second : undefined;
    this.#written += 1;
    const calls = this.#written;
    const send = (): void =>
      suspend(() => {
        if (method === "end") this.#real?.end(chunk, encoding as BufferEncoding);
        else this.#real?.write(chunk, encoding as BufferEncoding, () => this.#flushed(calls));
      });
    if (!this.#begun && method === "end") {
      this.#begin(chunk);
      return send();
    }
    this.#begin();
    if (chunk === undefined || chunk === null) return send();
    // What is sent in pieces is recorded in pieces.
    const { call, conductor } = this.#capture;
    const name = this.#streamName.replace(/stream$/, "sent");
    conductor.effect({ ...nextEffect(call, name), of: "http" }, [chunk], send);
  }

  /** Begins the effect: when all of the request is known, or after the macrotask's own work. */
  #begin(body?: unknown): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#capture.conductor.start(
      this.#effect,
      [this.#description(body)],
      (arrive) => {
        this.#answer = arrive;
        suspend(() => this.#connect());
      },
      (outcome) => {
        this.#handing = false;
        this.#inside(() => this.#handAnswer(outcome));
        this.#pump();
      },
    );
    this.#await();
  }

  #description(body: unknown): Record<string, unknown> {
    const { program } = this;
    const headers: [string, unknown][] = [];
    const add = (name: string, value: unknown): void => {
      if (!isPropagationHeader(name)) headers.push([name, withoutCredentials(name, value)]);
    };
    for (const name of program.getRawHeaderNames()) add(name, program.getHeader(name));
    // A list is sent as it is, and is not to be asked for.
    const { listed = [] } = this.#asked;
    for (const [name, value] of pairsOf(listed.map(String))) add(name, value);
    const host = headers.find(([name]) => name.toLowerCase() === "host")?.[1];
    const url = `${program.protocol}//${typeof host === "string" ? host : program.host}${program.path}`;
    return { method: program.method, url, headers, ...(body === undefined || body === null ? {} : { body }) };
  }

  // What the real one does.

  #connect(): void {
    const { program } = this;
    const { address, options } = this.#asked;
    const own = { ...options, signal: undefined };
    let real: ClientRequest;
    try {
      real = address === undefined ? this.#request(own) : this.#request(address, own);
    } catch (error) {
      return this.#fail(error as Error);
    }
    this.#real = real;
    if (!real.headersSent) imitateHead(real, program);
    real.on("socket", (socket) => this.#relay(real, socket));
    real.on("finish", () => this.#flushed(this.#written));
    real.on("information", (information) => this.#enter({ event: "information", head: headOf(information) }));
    real.on("response", (response) => this.#receive(response));
    real.on("error", (error) => this.#fail(error));
    real.on("close", () => {
      if (!this.#answered) this.#fail(new Error("The request was closed without a response."));
      this.#enter({ event: "close" });
    });
    if (program.destroyed) real.destroy();
  }

  #relay(real: ClientRequest, socket: Socket): void {
    const encrypted = (socket as Partial<TLSSocket>).encrypted === true;
    this.#enter({ event: "socket", reused: real.reusedSocket, connecting: socket.connecting, encrypted });
    const listeners: Record<string, () => void> = {
      connect: () => this.#enter({ event: "connect", socket: addressesOf(socket) }),
      secureConnect: () => this.#enter({ event: "secureConnect", socket: securityOf(socket as TLSSocket) }),
      timeout: () => this.#enter({ event: "timeout" }),
    };
    if (!socket.connecting)
      this.#enter({
        event: "connect",
        socket: { ...addressesOf(socket), ...(encrypted ? securityOf(socket as TLSSocket) : {}) },
      });
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    // A socket that is kept alive goes on to others.
    real.once("close", () => {
      for (const [event, listener] of Object.entries(listeners)) socket.removeListener(event, listener);
    });
  }

  #receive(response: IncomingMessage): void {
    this.#response = response;
    this.#answered = true;
    this.#arrive({ answers: true, outcome: { status: "ok", value: headOf(response) } });
    response.on("data", (chunk: Buffer) => {
      this.#enter({ event: "data", chunk });
      if (this.#full || this.#arrived.length > AHEAD) response.pause();
    });
    response.on("end", () => this.#enter({ event: "end", trailers: pairsOf(response.rawTrailers) }));
    response.on("error", () => undefined); // the request closes then, which says it
  }

  #flushed(calls: number): void {
    this.#realSent = Math.max(this.#realSent, calls);
    // Only when nothing is on its way: what is in between changes nothing.
    if (this.#realSent === this.#written) this.#enter({ event: "sent", calls: this.#realSent });
  }

  #fail(error: Error): void {
    const answers = !this.#answered;
    this.#answered = true;
    this.#arrive({ answers, outcome: { status: "error", error } });
  }

  // The order.

  #enter(event: ExchangeEvent): void {
    this.#arrive({ answers: false, outcome: { status: "ok", value: event } });
  }

  #arrive(arrived: Arrived): void {
    this.#arrived.push(arrived);
    this.#pump();
  }

  /** One at a time: the next arrives when the one before has been handed over. */
  #pump(): void {
    const [first] = this.#arrived;
    if (this.#handing || first === undefined) return;
    const arrive = first.answers ? this.#answer : this.#tell;
    if (arrive === undefined) return;
    if (!first.answers) this.#tell = undefined;
    this.#arrived.shift();
    this.#handing = true;
    arrive(first.outcome);
  }

  #await(): void {
    const { call, conductor } = this.#capture;
    conductor.start(
      { ...nextEffect(call, this.#streamName), of: "http" },
      [],
      (arrive) => {
        this.#tell = arrive;
        this.#pump();
      },
      (outcome) => {
        this.#handing = false;
        if (!isLast(outcome)) this.#await();
        this.#inside(() => this.#hand(outcome));
        this.#pump();
      },
    );
  }

  // What the program is handed.

  #handAnswer(outcome: Outcome): void {
    if (outcome.status === "error") return this.#break(outcome.error as Error);
    if (!isHead(outcome.value))
      return this.#break(this.#notRecorded("the capsule holds no such exchange there"));
    if (this.#socket === undefined) return this.#answerWhole(outcome.value);
    this.#framing = framingOf(outcome.value);
    this.#push(bytesOfHead(outcome.value));
  }

  /** A response that a replay was given a function for: it comes whole, and nothing comes before it. */
  #answerWhole({ status, headers = [], body = "" }: Partial<WholeResponse>): void {
    const head = { status: status ?? 200, message: "", version: "1.1", headers };
    this.#framing = "close";
    this.#sent = Number.POSITIVE_INFINITY;
    this.#attach(false, false, false);
    this.#push(bytesOfHead({ ...head, headers: headers.filter(([name]) => !FRAMING_HEADERS.test(name)) }));
    const bytes = Buffer.from(body as string);
    if (bytes.length > 0) this.#push(bytes);
    this.#socket?.push(null);
  }

  #hand(outcome: Outcome): void {
    if (outcome.status === "error") return this.#break(outcome.error as Error);
    const told = outcome.value as ExchangeEvent | undefined;
    switch (told?.event) {
      case undefined:
        return this.#break(this.#notRecorded("the capsule holds no more of the exchange"));
      case "socket":
        return this.#attach(told.reused, told.connecting, told.encrypted);
      case "connect":
      case "secureConnect":
        return this.#connected(told.event, told.socket);
      case "sent":
        this.#sent = told.calls;
        return this.#socket?.release();
      case "information":
        return this.#push(bytesOfHead(told.head));
      case "data":
        if (!ArrayBuffer.isView(told.chunk)) {
          return this.#break(this.#notRecorded("a chunk of the body is over the limits of the capsule"));
        }
        this.#push(bytesOfChunk(told.chunk, this.#framing));
        return this.resume();
      case "end":
        return this.#end(told.trailers);
      case "timeout":
        this.#socket?.emit("timeout");
        return;
      case "close":
        this.#closed = true;
        // What has come whole may still be waiting for a slow reader.
        if (this.#socket?.closing === true || !(this.#whole || this.#isOver())) this.#socket?.destroy();
        return;
      default:
        told satisfies never;
    }
  }

  #attach(reused: boolean, connecting: boolean, encrypted: boolean): void {
    const socket = new StandInSocket(this);
    this.#socket = socket;
    (socket as { connecting: boolean }).connecting = connecting;
    if (encrypted) socket.describe({ encrypted, ...TLS_METHODS });
    (this.program as { reusedSocket: boolean }).reusedSocket = reused;
    this.program.onSocket(socket);
  }

  #connected(event: "connect" | "secureConnect", fields: Readonly<Record<string, unknown>>): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    socket.describe(fields);
    const { connecting } = socket;
    (socket as { connecting: boolean }).connecting = false;
    if (event === "secureConnect") socket.emit("secureConnect");
    else if (connecting) {
      socket.emit("connect");
      socket.emit("ready");
    }
  }

  #push(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || this.#isOver()) return;
    this.#full = !socket.push(bytes);
  }

  #end(trailers: HeaderPairs): void {
    this.#whole = true;
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || this.#isOver()) return;
    if (this.#framing === "chunked") this.#push(bytesOfEnd(trailers));
    else if (this.#framing === "close") socket.push(null);
  }

  #break(error: Error): void {
    const { program } = this;
    if (this.#socket !== undefined) {
      this.#socket.destroy(error);
      return;
    }
    // A request that gets an error in place of a socket; one that is given up already has its own.
    const onSocket = program.onSocket.bind(program) as (...input: unknown[]) => void;
    onSocket(null, program.destroyed ? undefined : error);
  }

  /** The program's request has all of its response. */
  #isOver(): boolean {
    return (this.program as { readonly res?: IncomingMessage }).res?.complete === true;
  }

  #notRecorded(why: string): Error {
    return effectNotRecorded("http", this.#capture.call.definition.name, why);
  }

  // As the far end of the program's socket.

  get busy(): boolean {
    return this.#sent < this.#written;
  }

  get closed(): boolean {
    return this.#closed;
  }

  resume(): void {
    this.#full =
      this.#socket !== undefined && this.#socket.readableLength >= this.#socket.readableHighWaterMark;
    const response = this.#response;
    if (response === undefined || this.#full || this.#arrived.length > AHEAD) return;
    if (response.isPaused()) suspend(() => response.resume());
  }

  destroyed(error: Error | null): void {
    suspend(() => this.#real?.destroy(error ?? undefined));
  }

  setTimeout(milliseconds: number): void {
    suspend(() => this.#real?.socket?.setTimeout(milliseconds));
  }

  setNoDelay(on?: boolean): void {
    this.#real?.socket?.setNoDelay(on);
  }

  setKeepAlive(on?: boolean, delay?: number): void {
    this.#real?.socket?.setKeepAlive(on, delay);
  }

  ref(): void {
    this.#real?.socket?.ref();
  }

  unref(): void {
    this.#real?.socket?.unref();
  }
}

/** What a function gives that stands for `http` in a replay. */
interface WholeResponse {
  readonly status: number;
  readonly headers: HeaderPairs;
  readonly body: string | Uint8Array;
}

/** They say how a body is sent, and this one ends with its connection. */
const FRAMING_HEADERS = /^(?:content-length|transfer-encoding|connection)$/i;

/** What may wait to be handed over before the real response is paused. */
const AHEAD = 8;

function programRequest(
  { agent, options, address, callback }: AskedRequest,
  request: Request,
): ClientRequest {
  const own = { ...options, agent: waitingAgent(agent), createConnection: undefined };
  const program = address === undefined ? request(own, callback) : request(address, own, callback);
  return Object.assign(program, { agent });
}

/** Instrumentations wrap `request`, and note what it was. Of an exchange they see the program's request, and that alone. */
function uninstrumented(request: Request): Request {
  const { __original: original } = request as Request & { readonly __original?: unknown };
  return typeof original === "function" && original !== request
    ? uninstrumented(original as Request)
    : request;
}

/** An agent like `agent`, of which a request gets no socket: it waits for `onSocket`. */
function waitingAgent(agent: AskedRequest["agent"]): unknown {
  if (agent === undefined) return { addRequest: () => undefined };
  if (typeof (agent as { addRequest?: unknown }).addRequest !== "function") return agent;
  return new Proxy(agent, {
    get: (target, key) =>
      key === "addRequest" ? () => undefined : (Reflect.get(target, key, target) as unknown),
  });
}

/** Headers that the program has set since it asked for the request, and how it is to be sent. */
function imitateHead(real: ClientRequest, program: ClientRequest): void {
  for (const name of real.getHeaderNames()) if (!program.hasHeader(name)) real.removeHeader(name);
  for (const name of program.getRawHeaderNames()) {
    const value = program.getHeader(name);
    if (value !== undefined && real.getHeader(name) !== value) real.setHeader(name, value);
  }
  const { useChunkedEncodingByDefault, shouldKeepAlive } = program;
  Object.assign(real, { useChunkedEncodingByDefault, shouldKeepAlive });
}

function addressesOf(socket: Socket): Record<string, unknown> {
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = socket;
  return { remoteAddress, remotePort, remoteFamily, localAddress, localPort };
}

function securityOf(socket: TLSSocket): Record<string, unknown> {
  const { authorized, alpnProtocol } = socket;
  // Typed as an error; where there is one it is its code.
  const authorizationError = (socket.authorizationError as unknown as string | null | undefined) ?? null;
  return { authorized, authorizationError, alpnProtocol };
}

/** What programs ask of an encrypted socket. Its certificates are not recorded. */
const TLS_METHODS = {
  getPeerCertificate: () => ({}),
  getSession: () => undefined,
  isSessionReused: () => false,
};

function isHead(value: unknown): value is ResponseHead {
  return typeof (value as Partial<ResponseHead> | null | undefined)?.status === "number";
}

function isLast(outcome: Outcome): boolean {
  if (outcome.status !== "ok") return false;
  return outcome.value === undefined || (outcome.value as ExchangeEvent).event === "close";
}
