/**
 * Compression that is done on other threads: `zlib.gzip(…, callback)` and its like as a whole, and streams, those of
 * `CompressionStream` and of clients that decompress what they receive included, piece by piece.
 *
 * A stream hands each piece to a handle of the platform's, which calls back when that is done. The callback is what wakes
 * the program, so it is what waits for a turn; how much the stream holds back, and when, is as it was.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import zlib from "node:zlib";
import { captured } from "./captured.js";
import { computesCallback, type Method, nextComputation } from "./computed.js";
import { patch, type Undo } from "./patch.js";

/** The platform's side of a stream. */
interface Handle {
  init: Method;
  write: Method;
  onerror: Method;
}

const COMPRESSIONS = /^(?:gzip|gunzip|unzip|(?:de|in)flate(?:Raw)?|(?:brotli|zstd)(?:Compress|Decompress))$/;
/** One that makes each class of handles. */
const STREAMS = [
  "createInflateRaw",
  "createBrotliCompress",
  "createBrotliDecompress",
  "createZstdCompress",
  "createZstdDecompress",
] as const;

/** Handles whose callback comes through here. */
const followed = new WeakSet<object>();
/** What waits for a handle to be done. */
const writing = new WeakMap<object, (callBack: () => void) => void>();
const substitutes = new WeakMap<Method, Method>();

export function patchCompression(): Undo[] {
  const functions = zlib as unknown as Record<string, Method>;
  const whole = Object.keys(zlib)
    .filter((name) => COMPRESSIONS.test(name))
    .map((name) =>
      patch(functions, name, (original) => computesCallback("computation", `zlib.${name}`, original)),
    );
  return [...whole, ...STREAMS.flatMap(patchHandles)];
}

function patchHandles(create: (typeof STREAMS)[number]): Undo[] {
  // Not every Node has each of them.
  const stream = (zlib as unknown as Partial<Record<string, () => zlib.Gzip>>)[create]?.();
  const handle = stream && (Reflect.get(stream, "_handle") as Handle | undefined);
  const methods = handle && (Object.getPrototypeOf(handle) as Partial<Handle>);
  stream?.destroy();
  if (typeof methods?.init !== "function" || typeof methods.write !== "function") return [];
  return [patch(methods, "init", follow as never), patch(methods, "write", createWrite as never)];
}

/** Puts a function of ours in the place of the one that is called when the handle has done a piece. */
function follow(init: Method): Method {
  return function (this: unknown, ...input) {
    const position = input.findIndex((one) => typeof one === "function");
    if (position === -1) return Reflect.apply(init, this, input);
    followed.add(this as object);
    return Reflect.apply(init, this, input.with(position, substituteFor(input[position] as Method)));
  };
}

function createWrite(write: Method): Method {
  return function (this: unknown, ...input) {
    const handle = this as Handle;
    const capture = followed.has(handle) ? captured("computation") : undefined;
    if (capture === undefined) return Reflect.apply(write, handle, input);
    const { call, conductor } = capture;
    handle.onerror = substituteFor(handle.onerror);
    let callBack = (): void => undefined;
    conductor.start(
      nextComputation(call, "zlib.write"),
      [],
      (arrive) => {
        writing.set(handle, (done) => {
          callBack = done;
          arrive({ status: "ok", value: undefined });
        });
        Reflect.apply(write, handle, input);
      },
      () => callBack(),
    );
    return undefined;
  };
}

/** What the platform calls when a piece is done, or has failed: it waits for its turn where a run has asked for the piece. */
function substituteFor(original: Method): Method {
  const known = substitutes.get(original);
  if (known !== undefined) return known;
  const substitute: Method = function (...input) {
    const handle = this as object;
    const arrived = writing.get(handle);
    if (arrived === undefined) return Reflect.apply(original, handle, input);
    writing.delete(handle);
    // Called back in the context in which the platform does it, which is that of the stream.
    const inContext = AsyncLocalStorage.snapshot();
    arrived(() => inContext(() => void Reflect.apply(original, handle, input)));
    return undefined;
  };
  substitutes.set(original, substitute);
  substitutes.set(substitute, substitute);
  return substitute;
}
