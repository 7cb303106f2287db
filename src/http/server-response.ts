/**
 * A response that a server of `node:http` is to send, as an argument of a root. What the program does with it is its
 * output: each call of a method is an effect, with what it was given. A replay gives one that takes it, and sends nothing.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { ServerResponse } from "node:http";
import { RecordedStream } from "../capsule/recorded-stream.js";
import { recordAs } from "../capsule/recorded-head.js";
import type { Outcome } from "../stage/definition.js";
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { addedTo, nodeHttp } from "./node-exchange.js";
import { holdBack, type Members, membersOf, stand, watch, type Watch } from "./watched.js";

const NAME = "ServerResponse";

/** What the classes of Node have, and programs call. */
const OF_NODE: Members = {
  methods: [
    "write",
    "end",
    "writeHead",
    "setHeader",
    "setHeaders",
    "appendHeader",
    "getHeader",
    "getHeaders",
    "getHeaderNames",
    "hasHeader",
    "removeHeader",
    "flushHeaders",
    "addTrailers",
    "writeContinue",
    "writeProcessing",
    "writeEarlyHints",
  ],
  // They depend on whoever reads the response.
  getters: ["closed", "errored", "writableFinished", "writableLength", "writableNeedDrain"],
};

/** Events that come from whoever reads the response. */
const EVENTS: ReadonlySet<unknown> = new Set(["drain", "finish", "close"]);

export function isServerResponse(value: object): value is ServerResponse {
  return (
    typeof (value as Partial<ServerResponse>).writeHead === "function" &&
    value instanceof nodeHttp().ServerResponse
  );
}

export function serverResponse(response: ServerResponse): {
  readonly recorded: RecordedStream;
  readonly open: (call: StageCall, conductor: Conductor) => unknown;
} {
  const members = membersOf(response, nodeHttp().ServerResponse.prototype, OF_NODE);
  const recorded = new RecordedStream(NAME, {
    ...stateOf(response),
    added: addedTo(response, OWN),
    members,
  });
  recordAs(response, recorded);
  return {
    recorded,
    open: (call, conductor) => {
      const events = new Events(call, conductor, response);
      if (
        watch(response, members, { ...watchOf(call, conductor, response), stateOf: () => stateOf(response) })
      ) {
        events.intercept();
      }
      return response;
    },
  };
}

/** A response that takes what is done with it, and sends nothing. */
export function replayedResponse(
  recorded: RecordedStream,
  call: StageCall,
  conductor: Conductor,
): ServerResponse {
  const { added, members, ...state } = recorded.fields as Record<string, unknown> & {
    readonly members: Members;
  };
  const response = new (nodeHttp().ServerResponse)({
    method: "GET",
    httpVersionMajor: 1,
    httpVersionMinor: 1,
  } as never);
  recordAs(response, recorded);
  const restore = (told: Readonly<Record<string, unknown>>): void => {
    for (const [key, value] of Object.entries(told)) {
      Object.defineProperty(response, key, { value, writable: true, enumerable: true, configurable: true });
    }
  };
  restore(state);
  Object.assign(response, added);
  stand(response, members, { ...watchOf(call, conductor, response), restore });
  new Events(call, conductor, response).intercept();
  return response;
}

function watchOf(call: StageCall, conductor: Conductor, response: ServerResponse): Watch {
  return {
    call,
    conductor,
    name: NAME,
    // Set as a property, and not by a method.
    also: () => (response.statusCode === 200 ? [] : [{ statusCode: response.statusCode }]),
    callback: (method, callback) => inTurn(call, conductor, method, callback),
  };
}

/** What is called back when something has been sent is called in its turn. */
function inTurn(
  call: StageCall,
  conductor: Conductor,
  method: string,
  callback: (...input: unknown[]) => unknown,
): () => void {
  const name = `${NAME}.${method}.callback`;
  let arrived: (outcome: Outcome) => void = () => undefined;
  const inside = AsyncLocalStorage.snapshot() as (body: () => void) => void;
  conductor.start(
    { call, name, ordinal: call.nextEffect(name) },
    [],
    (arrive) => {
      arrived = arrive;
    },
    (outcome) =>
      inside(
        () => void callback(...(outcome.status === "ok" ? (outcome.value as unknown[]) : [outcome.error])),
      ),
  );
  return (...input: unknown[]) => arrived({ status: "ok", value: input });
}

/** Has the events of a response come in turns; in a replay only those that are recorded come. */
class Events {
  readonly #call: StageCall;
  readonly #conductor: Conductor;
  readonly #response: ServerResponse;
  readonly #emit: (...input: unknown[]) => boolean;
  /** In the scope of the call: who listens to the response is part of the run. */
  readonly #inside = AsyncLocalStorage.snapshot() as (body: () => void) => void;
  readonly #told: unknown[][] = [];
  #arrive: ((outcome: Outcome) => void) | undefined;
  #handing = false;
  #reveal: () => void = () => undefined;

  constructor(call: StageCall, conductor: Conductor, response: ServerResponse) {
    this.#call = call;
    this.#conductor = conductor;
    this.#response = response;
    this.#emit = response.emit.bind(response) as never;
  }

  intercept(): void {
    const { replaying } = this.#conductor;
    if (!replaying) this.#reveal = holdBack(this.#response, "destroyed", this.#call);
    const emit = (...input: unknown[]): boolean => {
      if (!EVENTS.has(input[0]) || this.#isOver()) return this.#emit(...input);
      if (replaying) return false;
      this.#told.push(input);
      this.#pump();
      return this.#response.listenerCount(input[0] as string) > 0;
    };
    Object.defineProperty(this.#response, "emit", { value: emit, writable: true, configurable: true });
    this.#await();
  }

  #isOver(): boolean {
    return this.#call.run.closed && this.#told.length === 0 && !this.#handing;
  }

  #pump(): void {
    const arrive = this.#arrive;
    const told = this.#told[0];
    if (arrive === undefined || told === undefined) return;
    this.#arrive = undefined;
    this.#handing = true;
    arrive({ status: "ok", value: told.slice(0, 1) });
  }

  #await(): void {
    const name = `${NAME}.event`;
    this.#conductor.start(
      { call: this.#call, name, ordinal: this.#call.nextEffect(name), madeUp: () => undefined },
      [],
      (arrive) => {
        this.#arrive = arrive;
        this.#pump();
      },
      (outcome) => {
        this.#handing = false;
        if (outcome.status !== "ok" || outcome.value === undefined) return;
        const told = this.#told.shift() ?? (outcome.value as unknown[]);
        this.#await();
        if (told[0] === "close") {
          if (this.#conductor.replaying) this.#response.destroyed = true;
          this.#reveal();
        }
        this.#inside(() => void this.#emit(...told));
      },
    );
  }
}

function stateOf(response: ServerResponse): Record<string, unknown> {
  const { statusCode, statusMessage, headersSent, writableEnded, finished } = response;
  return {
    statusCode,
    ...(statusMessage === undefined ? {} : { statusMessage }),
    headersSent,
    writableEnded,
    finished,
  };
}

/** What Node itself puts on each, and what frameworks put there to find their way. */
const OWN: ReadonlySet<string> = new Set([
  "app",
  "chunkedEncoding",
  "destroyed",
  "finished",
  "maxRequestsOnConnectionReached",
  "outputData",
  "outputSize",
  "req",
  "sendDate",
  "shouldKeepAlive",
  "socket",
  "statusCode",
  "statusMessage",
  "strictContentLength",
  "useChunkedEncodingByDefault",
  "writable",
]);
