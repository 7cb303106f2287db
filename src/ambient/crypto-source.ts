/**
 * Randomness of `node:crypto` and of Web Crypto. It is never seeded: what is drawn is recorded, since
 * tokens that somebody could predict must not reach production.
 */
import crypto from "node:crypto";
import type { MadeUp } from "../stage/seam.js";
import { bytesOf, captured, nextEffect, read } from "./captured.js";
import { patch, resemble, type Undo } from "./patch.js";

type WebCrypto = typeof globalThis.crypto;
type RandomBytes = typeof crypto.randomBytes;
type RandomInt = typeof crypto.randomInt;
type Callback<T> = (error: Error | null | undefined, value: T) => void;

export function patchCrypto(): Undo[] {
  const webCrypto = Object.getPrototypeOf(globalThis.crypto) as WebCrypto;
  return [
    patch(crypto, "randomUUID", (original) =>
      resemble((options?: crypto.RandomUUIDOptions) => readUuid(() => original(options)), original),
    ),
    patch(webCrypto, "randomUUID", (original) =>
      resemble(function (this: WebCrypto) {
        return readUuid(() => original.call(this));
      }, original),
    ),
    // `crypto.getRandomValues` is locked, and calls this one.
    patch(webCrypto, "getRandomValues", (original) =>
      resemble(function <T extends Parameters<typeof original>[0]>(this: WebCrypto, view: T): T {
        return fill(view, () => original.call(this, view));
      }, original),
    ),
    patch(crypto, "randomBytes", createRandomBytes),
    patch(crypto, "randomInt", createRandomInt),
  ];
}

type Uuid = ReturnType<typeof crypto.randomUUID>;

function readUuid(perform: () => Uuid): Uuid {
  return read("crypto", "crypto.randomUUID", [], perform, (random): Uuid => {
    const bytes = bytesOf(random, 16);
    bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x40;
    bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80;
    const hex = (from: number, to: number): string => bytes.toString("hex", from, to);
    return `${hex(0, 4)}-${hex(4, 6)}-${hex(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
  });
}

/** Fills a view with what was drawn; what is recorded are the bytes. */
function fill<T>(view: T, perform: () => unknown): T {
  const capture = captured("crypto");
  if (capture === undefined || !ArrayBuffer.isView(view)) {
    perform();
    return view;
  }
  const target = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const draw = (): Uint8Array => {
    perform();
    return Uint8Array.from(target);
  };
  target.set(
    read("crypto", "crypto.getRandomValues", [target.length], draw, (random) =>
      Uint8Array.from(bytesOf(random, target.length)),
    ),
  );
  return view;
}

function createRandomBytes(original: RandomBytes): RandomBytes {
  const substitute = (size: number, callback?: Callback<Buffer>): Buffer | undefined => {
    const madeUp = (random: () => number): Buffer => bytesOf(random, size);
    if (callback === undefined)
      return read("crypto", "crypto.randomBytes", [size], () => original(size), madeUp);
    drawLater("crypto.randomBytes", [size], (done) => original(size, done), callback, null, madeUp);
    return undefined;
  };
  return resemble(substitute as RandomBytes, original);
}

function createRandomInt(original: RandomInt): RandomInt {
  const substitute = (...input: unknown[]): number | undefined => {
    const callback = typeof input.at(-1) === "function" ? (input.at(-1) as Callback<number>) : undefined;
    const range = (callback === undefined ? input : input.slice(0, -1)) as [number, number];
    const [low, high] = range[1] === undefined ? [0, range[0]] : range;
    const madeUp = (random: () => number): number => low + Math.floor(random() * (high - low));
    if (callback === undefined)
      return read("crypto", "crypto.randomInt", range, () => original(...range), madeUp);
    drawLater("crypto.randomInt", range, (done) => original(...range, done), callback, undefined, madeUp);
    return undefined;
  };
  return resemble(substitute as RandomInt, original);
}

function drawLater<T>(
  name: string,
  input: readonly unknown[],
  perform: (done: Callback<T>) => void,
  callback: Callback<T>,
  noError: null | undefined,
  madeUp: MadeUp<T>,
): void {
  const capture = captured("crypto");
  if (capture === undefined) return perform(callback);
  const { call, conductor } = capture;
  conductor.start(
    nextEffect(call, name, madeUp),
    input,
    (arrive) =>
      perform((error, value) => arrive(error == null ? { status: "ok", value } : { status: "error", error })),
    (outcome) => {
      if (outcome.status === "ok") callback(noError, outcome.value as T);
      else callback(outcome.error as Error, undefined as T);
    },
  );
}
