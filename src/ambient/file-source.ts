/**
 * Files: all that `node:fs` does within a run, by callbacks, promises, file handles or at once, and read and write streams,
 * which are made of those. Reading gives what was read; what was written is not written again: a replay touches no file.
 *
 * Left alone: standard input and output, watching, `opendir`, and what a module is loaded by.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import fs from "node:fs";
import { effectNotRecorded } from "../effects/perform-effect.js";
import { HindcastError } from "../errors.js";
import type { EffectCall } from "../stage/seam.js";
import { suspend } from "../stage/scopes.js";
import { captured, type Captured, nextEffect } from "./captured.js";
import type { Method } from "./computed.js";
import { type Operation, packResult, toldOf, unpackResult, WRITES } from "./file-values.js";
import { patch, resemble, type Undo } from "./patch.js";

type Methods = Record<string, Method>;
type Callback = (this: unknown, ...outcome: unknown[]) => void;

/** Without `Sync`. */
const OPERATIONS =
  /^(?:access|appendFile|chmod|chown|close|copyFile|cp|exists|f(?:chmod|chown|datasync|stat|sync|truncate|utimes)|futimes|l?chmod|lchown|link|lstat|lutimes|mkdir|mkdtemp|open|read|readFile|readdir|readlink|readv|realpath|rename|rm|rmdir|stat|statfs|symlink|truncate|unlink|utimes|write|writeFile|writev)$/;
const HANDLE_METHODS = [
  ...["appendFile", "chmod", "chown", "close", "datasync", "read", "readFile", "readv", "stat", "sync"],
  ...["truncate", "utimes", "write", "writeFile", "writev"],
];
/** Standard input, output and error. */
const STANDARD = 2;

export function patchFiles(): Undo[] {
  const functions = fs as unknown as Methods;
  const promised = fs.promises as unknown as Methods;
  return [
    ...Object.keys(fs).flatMap((name) => {
      const operation = name.replace(/Sync$/, "");
      // Not every platform has each of them.
      if (!OPERATIONS.test(operation) || typeof functions[name] !== "function") return [];
      const make = operation === name ? withCallback : withResult;
      return [patch(functions, name, (original) => make(name, operation, original))];
    }),
    ...Object.keys(fs.promises)
      .filter((name) => OPERATIONS.test(name) && name !== "open" && typeof promised[name] === "function")
      .map((name) => patch(promised, name, (original) => withPromise(`promises.${name}`, name, original))),
    ...patchHandles(promised),
  ];
}

/** The current call, where it asks for a file. */
function asker(input: readonly unknown[]): Captured | undefined {
  return typeof input[0] === "number" && input[0] <= STANDARD ? undefined : captured("files");
}

function effectOf(
  capture: Captured,
  name: string,
  operation: Operation,
  input: readonly unknown[],
): EffectCall {
  return {
    ...nextEffect(capture.call, `fs.${name}`),
    record: { output: (result: unknown) => packResult(operation, input, result) },
    revive: {
      output: (recorded: unknown) => unpackResult(operation, input, recorded, openRecorded(capture)),
    },
  };
}

/** Stands for one that does it at once. */
function withResult(name: string, operation: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = asker(input);
    const perform = (): unknown => Reflect.apply(original, this, input);
    if (capture === undefined) return perform();
    const effect = effectOf(capture, name, { name: operation, form: "at once" }, input);
    return capture.conductor.effect(effect, toldOf(operation, input), () => suspend(perform));
  }, original);
}

/** Stands for one that gives a promise. */
function withPromise(name: string, operation: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = asker(input);
    const perform = (): unknown => Reflect.apply(original, this, input);
    if (capture === undefined) return perform();
    const effect = effectOf(capture, name, { name: operation, form: "promise" }, input);
    return capture.conductor.effect({ ...effect, asynchronous: true }, toldOf(operation, input), () =>
      suspend(perform),
    );
  }, original);
}

/** Stands for one that calls back: with an error and its results, or, `exists`, with its result alone. */
function withCallback(name: string, operation: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const callback = input.at(-1);
    const capture = typeof callback === "function" ? asker(input) : undefined;
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const given = input.slice(0, -1);
    const hand = AsyncLocalStorage.bind(callback as Callback);
    const hasError = operation !== "exists";
    conductor.start(
      effectOf(capture, name, { name: operation, form: "callback" }, given),
      toldOf(operation, given),
      (arrive) => {
        const last = (...outcome: unknown[]): void => {
          const [error, ...results] = hasError ? outcome : [null, ...outcome];
          arrive(error == null ? { status: "ok", value: results } : { status: "error", error });
        };
        suspend(() => Reflect.apply(original, this, [...given, last]));
      },
      (outcome) => {
        if (outcome.status === "error") return hand(outcome.error);
        if (Array.isArray(outcome.value)) {
          const results = outcome.value as readonly unknown[];
          return hasError ? hand(null, ...results) : hand(...results);
        }
        const why = "the capsule holds no such effect there";
        return hand(hasError ? effectNotRecorded(`fs.${name}`, call.definition.name, why) : false);
      },
    );
    return undefined;
  }, original);
}

/** The same of a method of a file handle. `original` is undefined where a replay has no handle. */
function withHandle(name: string, original: Method | undefined, of?: Captured): Method {
  const method: Method = function (...input) {
    const capture = of === undefined ? captured("files") : of.call.run.closed ? undefined : of;
    const perform = (): unknown => {
      if (original !== undefined) return Reflect.apply(original, this, input);
      throw new HindcastError(
        "effect-not-recorded",
        `This file was not opened: its ${name}() cannot be done.`,
      );
    };
    if (capture === undefined) return original === undefined ? Promise.reject(thrownBy(perform)) : perform();
    const effect = effectOf(capture, `FileHandle.${name}`, { name, form: "handle" }, input);
    return capture.conductor.effect(
      { ...effect, asynchronous: true },
      WRITES.test(name) ? [input[0]] : [],
      () => suspend(perform),
    );
  };
  return original === undefined ? method : resemble(method, original);
}

function thrownBy(body: () => unknown): unknown {
  try {
    return body();
  } catch (error) {
    return error;
  }
}

/** Stands for a handle in a replay: each of its methods gives what is recorded. */
function openRecorded(capture: Captured): (fd: number) => object {
  return (fd) => {
    const handle: Record<PropertyKey, unknown> = { fd };
    for (const name of HANDLE_METHODS) handle[name] = withHandle(name, undefined, capture);
    if ("asyncDispose" in Symbol) handle[Symbol.asyncDispose] = handle["close"];
    return handle;
  };
}

/** The class of file handles is to be had from one alone: the first that is opened. */
function patchHandles(promised: Methods): Undo[] {
  let handles: readonly Undo[] | undefined;
  const follow = (opened: unknown): unknown => {
    // Each has a `close` of its own.
    const own = opened as Methods;
    if (Object.hasOwn(own, "close")) patch(own, "close", (original) => withHandle("close", original));
    if (handles !== undefined) return opened;
    const methods = Object.getPrototypeOf(opened) as Methods;
    handles = HANDLE_METHODS.filter((name) => typeof methods[name] === "function").map((name) =>
      patch(methods, name, (original) => withHandle(name, original)),
    );
    return opened;
  };
  return [
    patch(promised, "open", (original) => {
      const opens: Method = function (...input) {
        return (Reflect.apply(original, this, input) as Promise<unknown>).then(follow);
      };
      return resemble(withPromise("promises.open", "open", opens), original);
    }),
    () => {
      for (const undoOne of handles ?? []) undoOne();
      handles = [];
    },
  ];
}
