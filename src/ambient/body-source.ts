/**
 * Reading what a Blob, a Request or a Response holds. Their content comes later, so a record has only
 * their head; reading it is an effect, which a replay gives where the object is such a head.
 *
 * A Blob is read by the platform, always. A body that the program has made itself is read by the
 * program's own microtasks, and is none of this: so of Requests and Responses only those count that
 * came from outside, which the recording tells (`comesFromOutside`), and clones of them.
 *
 * A Response that passes through `passageOf` is read chunk by chunk. It is another object than the one
 * that came, and is none of those either, unless a stage gives it on inside of something: then whoever
 * reads it reads the chunks as well, and both are in the record.
 */
import { Readable } from "node:stream";
import { platformClass } from "../capsule/platform-values.js";
import { absentContent, contentNotRecorded, headReaders, isBareHead } from "../capsule/recorded-head.js";
import { quietly } from "../stage/quiet.js";
import { isSuspended, suspend } from "../stage/scopes.js";
import { captured, nextEffect } from "./captured.js";
import { type Getter, patch, patchGetter, resemble, type Undo } from "./patch.js";

type Body = "Request" | "Response";
type Content = "Blob" | Body;
type Method = (this: object) => unknown;
type Pipe = (this: ReadableStream, ...input: unknown[]) => unknown;
type Methods = Record<string, Method>;

const READERS: Readonly<Record<Content, readonly string[]>> = {
  Blob: ["text", "arrayBuffer", "bytes", "stream", "textStream"],
  Request: ["text", "json", "arrayBuffer", "bytes", "blob", "formData", "textStream"],
  Response: ["text", "json", "arrayBuffer", "bytes", "blob", "formData", "textStream"],
};
/** Those that give a stream, whose readings are effects of their own. */
const STREAMING: ReadonlySet<string> = new Set(["stream", "textStream"]);

let isPatched = false;
/** Of Request and Response: Node loads them when they are first asked for, so they wait for the first that comes. */
const later: Undo[] = [];
let fromOutside = new WeakSet<object>();
/** What the program has of the streams of their bodies, and in which run. */
let streams = new WeakMap<object, { readonly stream: ReadableStream; readonly run: object }>();

export function patchBodies(): Undo[] {
  isPatched = true;
  const letGo = (): void => {
    isPatched = false;
    for (const undo of later.splice(0).reverse()) undo();
    fromOutside = new WeakSet();
    streams = new WeakMap();
  };
  return [...patchReaders("Blob"), letGo];
}

/** Notes that a Request or Response has come into a run from outside, or may have in a replay. */
export function comesFromOutside(body: object): void {
  if (!isPatched) return;
  fromOutside.add(body);
  if (later.length === 0) {
    for (const what of ["Request", "Response"] as const)
      later.push(...patchReaders(what), ...patchBody(what));
  }
  followCopies(body);
}

/**
 * The same of what only becomes a Request when it is read: it has the methods of one, and is none to the platform. The
 * readers stand on the object itself, before those of its class.
 */
export function readAsRequest(request: object): void {
  if (!isPatched || fromOutside.has(request)) return;
  fromOutside.add(request);
  for (const name of READERS.Request) {
    const original: unknown = Reflect.get(request, name);
    if (typeof original !== "function") continue;
    const value = createReader("Request", name, original as Method);
    Object.defineProperty(request, name, { value, writable: true, configurable: true });
  }
  const body = (): unknown => {
    Reflect.deleteProperty(request, "body");
    try {
      return Reflect.get(request, "body");
    } finally {
      Object.defineProperty(request, "body", { get, configurable: true });
    }
  };
  const get = createStreamGetter("Request", body);
  Object.defineProperty(request, "body", { get, configurable: true });
}

/** Told of the object that a getter of the platform's is asked for. */
let reveal: ((body: object) => void) | undefined;

/** The Request that a Proxy stands for; undefined where it cannot be told. */
export function targetOf(proxy: object): object | undefined {
  let found: object | undefined;
  reveal = (body) => {
    found = body;
  };
  const undo = patchGetter(platformClass("Request").prototype, "bodyUsed", createUsedGetter);
  try {
    void quietly(() => Reflect.get(proxy, "bodyUsed") as unknown);
  } finally {
    reveal = undefined;
    undo();
  }
  return found;
}

/** A Request that is made of another one takes its body over through a pipe, whose readings are effects then. */
function followCopies(request: object): void {
  if (!(request instanceof platformClass("Request"))) return;
  const body = quietly(() => request.body);
  if (body === null || body.locked || Object.hasOwn(body, "pipeThrough")) return;
  const original = Reflect.get(body, "pipeThrough") as Pipe;
  const pipeThrough = resemble(function (this: ReadableStream, ...input: unknown[]): unknown {
    const read = request.body ?? body;
    return read === body
      ? Reflect.apply(original, this, input)
      : Reflect.apply(Reflect.get(read, "pipeThrough") as Pipe, read, input);
  }, original);
  Object.defineProperty(body, "pipeThrough", { value: pipeThrough, writable: true, configurable: true });
}

function patchReaders(what: Content): Undo[] {
  const prototype = platformClass(what).prototype as unknown as Methods;
  // Not every Node has each of them.
  return READERS[what]
    .filter((name) => name in prototype)
    .map((name) => patch(prototype, name, (original) => createReader(what, name, original)));
}

function patchBody(what: Body): Undo[] {
  const prototype = platformClass(what).prototype;
  const patchClone = patch(prototype as unknown as Methods, "clone", (original) =>
    resemble(function (this: object): unknown {
      const copy = original.call(this) as object;
      if (!fromOutside.has(this)) return copy;
      // Each has a part of the body now.
      streams.delete(this);
      for (const part of [this, copy]) comesFromOutside(part);
      return copy;
    }, original),
  );
  return [
    patchClone,
    patchGetter(prototype, "body", (original) => createStreamGetter(what, original)),
    patchGetter(prototype, "bodyUsed", createUsedGetter),
  ];
}

function createReader(what: Content, name: string, original: Method): Method {
  const blob = platformClass("Blob");
  const reader = resemble(function (this: object): unknown {
    const isBare = isBareHead(this);
    const capture = captured("bodies");
    if (capture === undefined || !(what === "Blob" ? this instanceof blob : fromOutside.has(this))) {
      return isBare && what === "Blob" ? absentOf(what, name) : original.call(this);
    }
    const { call, conductor } = capture;
    let read = (): unknown => suspend(() => original.call(this));
    if (isBare) {
      const isConsumed = what !== "Blob" && !STREAMING.has(name);
      read = isConsumed ? consumeHead(this, original) : () => absentOf(what, name);
    }
    // What is no head is here, and is read here: in a replay as well, in its recorded place.
    const effect = { ...nextEffect(call, `${what}.${name}`), live: !isBare };
    return conductor.effect(effect, [this], read);
  }, original);
  headReaders.add(reader);
  return reader;
}

/** What reading comes to of which there is a head alone. */
function absentOf(what: Content, name: string): unknown {
  return STREAMING.has(name) ? absentContent(what) : Promise.reject(contentNotRecorded(what));
}

/** A head's body is used up by being read, although there is nothing in it. */
function consumeHead(head: object, original: Method): () => unknown {
  const failed = suspend(() => original.call(head)) as Promise<unknown>;
  failed.catch(() => undefined); // it says that the content is not there, to whoever asks for it for real
  return () => failed;
}

/** The body as a stream, each reading of which is an effect. */
function createStreamGetter(what: Body, original: Getter): Getter {
  return function (this: object): unknown {
    const body = original.call(this) as ReadableStream | null;
    // Inside of an effect it is itself.
    if (body === null || !fromOutside.has(this) || isSuspended()) return body;
    const known = streams.get(this);
    const capture = captured("bodies");
    if (known !== undefined && (capture === undefined || capture.call.run === known.run)) return known.stream;
    if (capture === undefined || body.locked) return body;
    const { call, conductor } = capture;
    // To look whether there is one is no reading: it may be done in a replay alone.
    const effect = { ...nextEffect(call, `${what}.body`, () => body), live: !isBareHead(this) };
    const stream = conductor.effect(effect, [this], () => body) as ReadableStream;
    // As its copy it has all that somebody has put on the body.
    Reflect.deleteProperty(stream, "pipeThrough");
    streams.set(this, { stream, run: call.run });
    return stream;
  };
}

/** A head's body is used once somebody has read the stream that stands for it. */
function createUsedGetter(original: Getter): Getter {
  return function (this: object): unknown {
    reveal?.(this);
    const isUsed = original.call(this);
    const known = streams.get(this);
    return isUsed === false && known !== undefined ? Readable.isDisturbed(known.stream as never) : isUsed;
  };
}
