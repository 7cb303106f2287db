/**
 * Randomness of `node:crypto` and of Web Crypto. It is never seeded: what is drawn is recorded, since
 * tokens that somebody could predict must not reach production.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import crypto from "node:crypto";
import type { MadeUp } from "../stage/seam.js";
import { bytesOf, captured, nextEffect, read } from "./captured.js";
import { randomnessDrawn } from "./id-pools.js";
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
    patch(crypto, "randomFillSync", createRandomFillSync),
    patch(crypto, "randomFill", createRandomFill),
    // The same under old names; not every Node has each of them.
    ...(["randomBytes", "pseudoRandomBytes", "prng", "rng"] as const).flatMap((name) =>
      name in crypto
        ? [patch(crypto as unknown as Record<typeof name, RandomBytes>, name, createRandomBytes)]
        : [],
    ),
    ...("randomUUIDv7" in crypto
      ? [patch(crypto as unknown as Record<"randomUUIDv7", Uuid7>, "randomUUIDv7", createUuid7)]
      : []),
    patch(crypto, "randomInt", createRandomInt),
  ];
}

/** Of Node 24 and later. */
type Uuid7 = (...input: unknown[]) => string;

function createUuid7(original: Uuid7): Uuid7 {
  // What a replay makes up without a record is another one, and a divergence anyway.
  return resemble(
    (...input) =>
      read(
        "crypto",
        "crypto.randomUUIDv7",
        [],
        () => original(...input),
        () => original(...input),
      ),
    original,
  );
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
  fillRange("crypto.getRandomValues", target, perform);
  return view;
}

function fillRange(name: string, target: Uint8Array, perform: () => unknown): void {
  randomnessDrawn();
  const draw = (): Uint8Array => {
    perform();
    return Uint8Array.from(target);
  };
  target.set(read("crypto", name, [target.length], draw, (random) => bytesFor(target, random)));
}

function bytesFor(target: Uint8Array, random: () => number): Uint8Array {
  return Uint8Array.from(bytesOf(random, target.length));
}

type Fillable = NodeJS.ArrayBufferView | ArrayBuffer;
type Fill = (view: Fillable, ...range: unknown[]) => unknown;

function createRandomFillSync(original: typeof crypto.randomFillSync): typeof crypto.randomFillSync {
  const substitute: Fill = (view, ...range) => {
    const perform = (): unknown => (original as Fill)(view, ...range);
    const target = captured("crypto") && rangeOf(view, range);
    if (target === undefined) return perform();
    fillRange("crypto.randomFillSync", target, perform);
    return view;
  };
  return resemble(substitute as typeof original, original);
}

function createRandomFill(original: typeof crypto.randomFill): typeof crypto.randomFill {
  const substitute: Fill = (view, ...input) => {
    const callback = input.at(-1) as Callback<Fillable>;
    const range = input.slice(0, -1);
    const target = captured("crypto") && rangeOf(view, range);
    if (target === undefined || typeof callback !== "function") return (original as Fill)(view, ...input);
    drawLater<Uint8Array>(
      "crypto.randomFill",
      [target.length],
      (done) => {
        (original as Fill)(view, ...range, (error: Error | null) => done(error, Uint8Array.from(target)));
      },
      (error, bytes) => {
        if (error == null) target.set(bytes);
        callback(error, view);
      },
      null,
      (random) => bytesFor(target, random),
    );
    return undefined;
  };
  return resemble(substitute as typeof original, original);
}

/** The bytes that are to be filled; undefined where the platform will say what is wrong with the arguments. */
function rangeOf(view: unknown, range: readonly unknown[]): Uint8Array | undefined {
  const isView = ArrayBuffer.isView(view);
  if (!isView && !(view instanceof ArrayBuffer)) return undefined;
  const bytes = isView ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view);
  const unit = isView ? ((view as { readonly BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1) : 1;
  const offset = range[0] === undefined ? 0 : (range[0] as number) * unit;
  const size = range[1] === undefined ? bytes.length - offset : (range[1] as number) * unit;
  const isInside = offset >= 0 && size >= 0 && offset + size <= bytes.length;
  return isInside ? bytes.subarray(offset, offset + size) : undefined;
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
  const hand = AsyncLocalStorage.bind(callback);
  conductor.start(
    nextEffect(call, name, madeUp),
    input,
    (arrive) =>
      perform((error, value) => arrive(error == null ? { status: "ok", value } : { status: "error", error })),
    (outcome) => {
      if (outcome.status === "ok") hand(noError, outcome.value as T);
      else hand(outcome.error as Error, undefined as T);
    },
  );
}
