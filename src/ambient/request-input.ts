/**
 * A Request of a framework's own class as an argument of a root: one of a subclass with fields of its own (Next), one
 * that becomes a Request when somebody reads it (Hono on Node), a Proxy of one. The program gets the very object; it is
 * recorded as the request that it is, and in a replay the program gets the platform's, with what it reads of the rest.
 */
import { types } from "node:util";
import { isAsMade, platformClass, platformNameOf, readSlot, scalarsOf } from "../capsule/platform-values.js";
import { headOf, recordAs } from "../capsule/recorded-head.js";
import { RecordedStream } from "../capsule/recorded-stream.js";
import { reviveRequest } from "../capsule/revive-platform.js";
import { quietly } from "../stage/quiet.js";
import { comesFromOutside, readAsRequest, targetOf } from "./body-source.js";
import { captured, nextEffect } from "./captured.js";
import { cookiesOf, nextUrlOf } from "./next-request.js";

type Fields = Record<string, unknown>;

/** Whether `value` is a Request, and none that the platform has made. */
export function isRequestOfFramework(value: object): value is Request {
  if (platformNameOf(value) !== "Request") return false;
  return (
    types.isProxy(value) ||
    !hasSlots(value) ||
    !isAsMade("Request", value, Object.getPrototypeOf(value) as object)
  );
}

function hasSlots(value: object): boolean {
  try {
    readSlot("Request", value, "method");
    return true;
  } catch {
    return false; // it only inherits from the class
  }
}

/** The recorded request; its body is read in the run from now on. */
export function requestOfFramework(request: Request): {
  readonly recorded: RecordedStream;
  readonly open: () => Request;
} {
  const target = types.isProxy(request) ? (targetOf(request) ?? request) : request;
  const ofNext = isOfNext(target);
  const getters = gettersOf(target).filter((key) => !ofNext || !OF_NEXT.has(key));
  const recorded = new RecordedStream("Request", {
    head: reviveRequest(quietly(() => fieldsOf(target))),
    next: ofNext,
    getters,
    added: addedTo(target),
  });
  for (const one of [request, target]) recordAs(one, recorded);
  return {
    recorded,
    open: () => {
      if (hasSlots(target)) comesFromOutside(target);
      else readAsRequest(target);
      for (const key of getters) watchGetter(target, key);
      return request;
    },
  };
}

/** A request like the recorded one. */
export function replayedRequestOfFramework(recorded: RecordedStream): Request {
  const { head, next, getters, added } = recorded.fields as {
    readonly head: Request;
    readonly next: boolean;
    readonly getters: readonly string[];
    readonly added: Fields;
  };
  // Another one: this is what is recorded, and that is what the program has.
  const request = reviveRequest(headOf(head) as Fields);
  recordAs(request, recorded);
  comesFromOutside(request);
  for (const [key, value] of Object.entries(added)) define(request, key, { value, writable: true });
  for (const key of getters) watchGetter(request, key);
  if (next) {
    define(request, "nextUrl", { value: nextUrlOf(request.url) });
    define(request, "cookies", { value: cookiesOf(request) });
  }
  return request;
}

/** They give objects with methods of their own, which say the same whenever they are asked. */
const OF_NEXT: ReadonlySet<string> = new Set(["nextUrl", "cookies"]);

/** What a subclass computes of a request is an effect. */
function watchGetter(request: object, key: string): void {
  const original = getterOf(request, key);
  define(request, key, {
    get: () => {
      const capture = captured("bodies");
      const read = (): unknown => original?.call(request);
      if (capture === undefined) return read();
      return capture.conductor.effect(nextEffect(capture.call, `Request.${key}`), [], read);
    },
  });
}

function define(target: object, key: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(target, key, { ...descriptor, enumerable: false, configurable: true });
}

function getterOf(request: object, key: string): (() => unknown) | undefined {
  for (const owner of classesOf(request)) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (descriptor !== undefined) return Reflect.get(descriptor, "get") as (() => unknown) | undefined;
  }
  return undefined;
}

/** Those of a framework: up to the platform's own. */
function* classesOf(request: object): Generator<object> {
  const own = platformClass("Request").prototype;
  for (let owner = Object.getPrototypeOf(request) as object | null; owner !== null && owner !== own; ) {
    yield owner;
    owner = Object.getPrototypeOf(owner) as object | null;
  }
}

/** What the classes of a framework have that a Request has not. */
function gettersOf(request: object): string[] {
  const names = new Set<string>();
  for (const owner of classesOf(request)) {
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      if (Object.hasOwn(descriptor, "get") && !(key in platformClass("Request").prototype)) names.add(key);
    }
  }
  return [...names];
}

function isOfNext(request: object): boolean {
  for (const { constructor } of classesOf(request)) if (constructor.name === "NextRequest") return true;
  return false;
}

/** Own data, as far as it is plain. */
function addedTo(request: object): Fields {
  const added: Fields = {};
  for (const [key, { value, enumerable }] of Object.entries(Object.getOwnPropertyDescriptors(request))) {
    if (enumerable === true && (isPlain(value) || value instanceof URL)) added[key] = value;
  }
  return added;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function" && value !== undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype;
}

/** What one that becomes a Request when it is read would be, without making it one. */
const AS_MADE: Fields = {
  mode: "cors",
  credentials: "same-origin",
  cache: "default",
  redirect: "follow",
  referrer: "about:client",
  referrerPolicy: "",
  integrity: "",
  keepalive: false,
};

function fieldsOf(request: object): Fields {
  const slots = hasSlots(request);
  const { method, url, headers } = request as Request;
  const copied = new (platformClass("Headers"))();
  for (const [name, value] of headers) copied.append(name, value);
  const scalars = slots ? scalarsOf("Request", request) : { method, url, ...AS_MADE };
  return {
    ...scalars,
    // What it says of itself, where that is another than it was made with.
    method,
    url,
    headers: copied,
    body: slots ? readSlot("Request", request, "body") !== null : method !== "GET" && method !== "HEAD",
  };
}
