/**
 * What a framework makes around a request and a response of `node:http` and hands to its handlers in their place: the
 * request and the reply of Fastify, the context of Koa. What the program uses of it is an effect, and the request and the
 * response inside of it are what they are as arguments of their own.
 */
import { Stream } from "node:stream";
import { recordAs } from "../capsule/recorded-head.js";
import { RecordedStream } from "../capsule/recorded-stream.js";
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import { incomingRequest, isIncomingMessage, replayedRequest } from "./incoming-request.js";
import { addedTo } from "./node-exchange.js";
import { isServerResponse, replayedResponse, serverResponse } from "./server-response.js";
import { type Members, membersOf, stand, watch } from "./watched.js";

const NAME = "handler";

type Open = (call: StageCall, conductor: Conductor) => unknown;

interface Exchange {
  readonly recorded: RecordedStream;
  readonly open: Open;
}

/** Under which a framework keeps what it is made around. */
const STREAMS = ["raw", "req", "res"] as const;
/** Under which Koa keeps the objects that its context passes on to. */
const OBJECTS = ["request", "response"] as const;

/** Whether `value` is made around a request or a response of `node:http`. */
export function isFrameworkObject(value: object): boolean {
  return STREAMS.some((key) => streamAt(value, key) !== undefined);
}

/** Of Fastify's reply the response is its own, and so is its request. */
export function frameworkObject(value: object): Exchange {
  const parts: Record<string, Exchange> = {};
  for (const key of STREAMS) {
    const stream = streamAt(value, key);
    if (stream !== undefined)
      parts[key] = isIncomingMessage(stream) ? incomingRequest(stream) : serverResponse(stream as never);
  }
  // Koa's: a reply of Fastify has its request there, which is an argument of its own.
  const isContext = "req" in parts;
  for (const key of OBJECTS) {
    const own: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
    if (isContext && typeof own === "object" && own !== null) parts[key] = plainObject(own);
  }
  return plainObject(value, parts);
}

function plainObject(value: object, parts: Readonly<Record<string, Exchange>> = {}): Exchange {
  const members = membersOf(value, Object.prototype);
  const recorded = new RecordedStream("handler", {
    members,
    added: addedTo(value, NOT_ADDED),
    parts: Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, part.recorded])),
    logs: Object.hasOwn(value, "log"),
  });
  recordAs(value, recorded);
  return {
    recorded,
    open: (call, conductor) => {
      for (const part of Object.values(parts)) part.open(call, conductor);
      watch(value, members, { call, conductor, name: NAME });
      return value;
    },
  };
}

/** An object like the recorded one: what the program uses of it gives what is recorded. */
export function replayedObject(recorded: RecordedStream, call: StageCall, conductor: Conductor): object {
  const { members, added, parts, logs } = recorded.fields as {
    readonly members: Members;
    readonly added: Readonly<Record<string, unknown>>;
    readonly parts: Readonly<Record<string, RecordedStream>>;
    readonly logs: boolean;
  };
  const object: Record<string, unknown> = { ...added };
  for (const [key, part] of Object.entries(parts)) object[key] = replayedPart(part, call, conductor);
  if (logs) object["log"] = silentLog();
  recordAs(object, recorded);
  stand(object, members, { call, conductor, name: NAME });
  return object;
}

function replayedPart(part: RecordedStream, call: StageCall, conductor: Conductor): unknown {
  if (part.kind === "IncomingMessage") return replayedRequest(part, call, conductor);
  return part.kind === "ServerResponse"
    ? replayedResponse(part, call, conductor)
    : replayedObject(part, call, conductor);
}

/** What a run logs is nobody's reading. */
function silentLog(): object {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
  const log: Record<string, unknown> = { level: "silent", child: () => log };
  for (const level of levels) log[level] = () => undefined;
  return log;
}

function streamAt(value: object, key: string): object | undefined {
  const own: unknown = Object.getOwnPropertyDescriptor(value, key)?.value;
  if (!(own instanceof Stream)) return undefined;
  return isIncomingMessage(own) || isServerResponse(own) ? own : undefined;
}

const NOT_ADDED: ReadonlySet<string> = new Set(["app", "log", "server", ...STREAMS, ...OBJECTS]);
