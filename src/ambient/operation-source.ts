/**
 * Operations that ask once and answer once, by a callback or a promise: files and name resolution. Those that only write are
 * left alone, and so is what the platform computes on threads of its own: that is captured.
 */
import dns from "node:dns";
import fs from "node:fs";
import { patch, resemble, type Undo } from "./patch.js";
import { answered, FILE, type Method, suspect, type Suspect } from "./undeclared.js";

type Methods = Record<string, Method>;
type Settled = (this: unknown, ...outcome: unknown[]) => unknown;

const NAMES = "name resolution";

const READS = /^(?:access|exists|fstat|lstat|opendir|readFile|readdir|readlink|readv|realpath|stat|statfs)$/;
const HANDLE_READS = /^(?:read|readFile|readv|stat)$/;
const RESOLUTIONS = /^(?:lookup|resolve|reverse)/;

export function patchOperations(): Undo[] {
  return [
    ...patchAll(fs, READS, FILE, takesCallback),
    ...patchAll(fs, /^read$/, FILE, takesCallback, isOfStream),
    ...patchAll(fs.promises, READS, FILE, givesPromise, isOfLoader),
    ...patchFileHandles(),
    ...[dns, dns.Resolver.prototype].flatMap((target) =>
      patchAll(target, RESOLUTIONS, NAMES, takesCallback, isOfSocket),
    ),
    ...[dns.promises, dns.promises.Resolver.prototype].flatMap((target) =>
      patchAll(target, RESOLUTIONS, NAMES, givesPromise),
    ),
  ];
}

type MakeSubstitute = (original: Method, asks: (substitute: Method) => Suspect | undefined) => Method;

function patchAll(
  target: object,
  names: RegExp,
  source: string,
  make: MakeSubstitute,
  isPlatform?: (stack: string) => boolean,
): Undo[] {
  const methods = target as Methods;
  return Object.getOwnPropertyNames(target)
    .filter((name) => names.test(name) && typeof methods[name] === "function")
    .map((name) =>
      patch(methods, name, (original) =>
        resemble(
          make(original, (substitute) => suspect(source, substitute, isPlatform)),
          original,
        ),
      ),
    );
}

const takesCallback: MakeSubstitute = (original, asks) => {
  const substitute: Method = function (...input) {
    const callback = input.at(-1);
    const asking = typeof callback === "function" ? asks(substitute) : undefined;
    if (asking !== undefined) {
      input[input.length - 1] = function (this: unknown, ...outcome: unknown[]): unknown {
        answered(asking);
        return Reflect.apply(callback as Settled, this, outcome);
      };
    }
    return Reflect.apply(original, this, input);
  };
  return substitute;
};

const givesPromise: MakeSubstitute = (original, asks) => {
  const substitute: Method = function (...input) {
    const result = Reflect.apply(original, this, input);
    const asking = result instanceof Promise ? asks(substitute) : undefined;
    if (asking === undefined) return result;
    // Another promise, and not a look at this one: that would pass for somebody who handles its rejection.
    return (result as Promise<unknown>).finally(() => answered(asking));
  };
  return substitute;
};

/** The class of file handles is to be had from one alone: the first that is opened. */
function patchFileHandles(): Undo[] {
  let handles: readonly Undo[] | undefined;
  const undo = patch(fs.promises, "open", (original) =>
    resemble((...input: Parameters<typeof original>) => {
      const opening = original(...input);
      if (handles !== undefined) return opening;
      return opening.then((handle) => {
        const methods = Object.getPrototypeOf(handle) as object;
        handles ??= patchAll(methods, HANDLE_READS, FILE, givesPromise);
        return handle;
      });
    }, original),
  );
  return [
    undo,
    () => {
      for (const undoOne of handles ?? []) undoOne();
      handles = [];
    },
  ];
}

/** A stream of a file is seen where the program listens to it. */
function isOfStream(stack: string): boolean {
  return callerIn(stack).includes("node:internal/fs/streams");
}

/** Node 20 loads modules through it. */
function isOfLoader(stack: string): boolean {
  return callerIn(stack).includes("node:internal/modules/");
}

/** A socket looks up where it is to go, be it only to write there. */
function isOfSocket(stack: string): boolean {
  const caller = callerIn(stack);
  return ["node:net:", "node:dgram:", "node:internal/dgram:"].some((module) => caller.includes(module));
}

function callerIn(stack: string): string {
  return stack.split("\n")[1] ?? "";
}
