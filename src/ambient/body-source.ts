/**
 * Reading what a Blob, a Request or a Response holds. Their content comes later, so a record has only
 * their head; reading it is an effect, which a replay gives where the object is such a head.
 *
 * A Blob is read by the platform, always. A body that the program has made itself is read by the
 * program's own microtasks, and is none of this: so of Requests and Responses only those count that
 * came from outside, which the recording tells (`comesFromOutside`), and clones of them.
 */
import { platformClass } from "../capsule/platform-values.js";
import { contentNotRecorded, headOf, headReaders } from "../capsule/recorded-head.js";
import { suspend } from "../stage/scopes.js";
import { captured, nextEffect } from "./captured.js";
import { patch, resemble, type Undo } from "./patch.js";

type Content = "Blob" | "Request" | "Response";
type Method = (this: object) => unknown;
type Methods = Record<string, Method>;

const READERS: Readonly<Record<Content, readonly string[]>> = {
  Blob: ["text", "arrayBuffer", "bytes"],
  Request: ["text", "json", "arrayBuffer", "bytes", "blob", "formData"],
  Response: ["text", "json", "arrayBuffer", "bytes", "blob", "formData"],
};

let isPatched = false;
/** Of Request and Response: Node loads them when they are first asked for, so they wait for the first that comes. */
const later: Undo[] = [];
let fromOutside = new WeakSet<object>();

export function patchBodies(): Undo[] {
  isPatched = true;
  const letGo = (): void => {
    isPatched = false;
    for (const undo of later.splice(0).reverse()) undo();
    fromOutside = new WeakSet();
  };
  return [...patchReaders("Blob"), letGo];
}

/** Notes that a Request or Response has come back from a record: what a stage that is not run has returned. */
export function comesFromRecord(body: object): void {
  if (headOf(body) !== undefined) comesFromOutside(body);
}

/** Notes that a Request or Response has come into a run from outside. */
export function comesFromOutside(body: object): void {
  if (!isPatched) return;
  fromOutside.add(body);
  if (later.length > 0) return;
  for (const what of ["Request", "Response"] as const) later.push(...patchReaders(what), patchClone(what));
}

function patchReaders(what: Content): Undo[] {
  const prototype = platformClass(what).prototype as unknown as Methods;
  // Not every Node has each of them.
  return READERS[what]
    .filter((name) => name in prototype)
    .map((name) => patch(prototype, name, (original) => createReader(what, name, original)));
}

function patchClone(what: "Request" | "Response"): Undo {
  return patch(platformClass(what).prototype as unknown as Methods, "clone", (original) =>
    resemble(function (this: object): unknown {
      const copy = original.call(this) as object;
      if (fromOutside.has(this)) fromOutside.add(copy);
      return copy;
    }, original),
  );
}

function createReader(what: Content, name: string, original: Method): Method {
  const blob = platformClass("Blob");
  const reader = resemble(function (this: object): unknown {
    const isHead = headOf(this) !== undefined;
    const capture = captured("bodies");
    if (capture === undefined || !(what === "Blob" ? this instanceof blob : fromOutside.has(this))) {
      return isHead && what === "Blob" ? Promise.reject(contentNotRecorded(what)) : original.call(this);
    }
    const { call, conductor } = capture;
    const perform = isHead ? consumeHead(what, this, original) : () => suspend(() => original.call(this));
    // What is no head is here, and is read here: in a replay as well, in its recorded place.
    const effect = { ...nextEffect(call, `${what}.${name}`), live: !isHead };
    return conductor.effect(effect, [this], perform);
  }, original);
  headReaders.add(reader);
  return reader;
}

/** A head's body is used up by being read, although there is nothing in it. */
function consumeHead(what: Content, head: object, original: Method): () => unknown {
  if (what === "Blob") return () => Promise.reject(contentNotRecorded(what));
  const failed = suspend(() => original.call(head)) as Promise<unknown>;
  failed.catch(() => undefined); // it says that the content is not there, to whoever asks for it for real
  return () => failed;
}
