/** Arguments and results of file operations, as they are recorded, and as a replay gives them. */
import fs from "node:fs";
import { relative, isAbsolute, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Something of a class of the platform's, as it is recorded. */
type Recorded =
  | { readonly stats: Readonly<Record<string, unknown>>; readonly big: boolean }
  | { readonly entry: string; readonly kind: number; readonly parent: string }
  | { readonly handle: number }
  | { readonly bytes: Uint8Array };

/** Not in the types. */
const constants = fs.constants as unknown as Readonly<Record<string, number>>;

const KINDS = [
  ["isFile", constants["UV_DIRENT_FILE"]],
  ["isDirectory", constants["UV_DIRENT_DIR"]],
  ["isSymbolicLink", constants["UV_DIRENT_LINK"]],
  ["isFIFO", constants["UV_DIRENT_FIFO"]],
  ["isSocket", constants["UV_DIRENT_SOCKET"]],
  ["isCharacterDevice", constants["UV_DIRENT_CHAR"]],
  ["isBlockDevice", constants["UV_DIRENT_BLOCK"]],
] as const;

/** A file's name: below the folder of the process as what it is there, so that it is the same elsewhere. */
export function fileNameOf(given: unknown): unknown {
  if (typeof given === "number") return given;
  const path = given instanceof URL ? fileURLToPath(given) : given;
  if (path instanceof Uint8Array) return fileNameOf(Buffer.from(path).toString());
  if (typeof path !== "string") return undefined;
  if (!isAbsolute(path)) return path.split(sep).join("/");
  const below = relative(process.cwd(), path);
  const isBelow = !below.startsWith("..") && !isAbsolute(below);
  return (isBelow ? below : path).split(sep).join("/");
}

/** What is asked, and how its result is given. */
export interface Operation {
  readonly name: string;
  readonly form: "at once" | "promise" | "callback" | "handle";
}

/** What they are given is recorded. */
export const WRITES: RegExp = /^(?:append|write)/;
const READS = /^readv?$/;

/** What is recorded of the arguments: which files, and what is written. */
export function toldOf(operation: string, input: readonly unknown[]): unknown[] {
  const names = /^(?:copyFile|cp|link|rename|symlink)$/.test(operation) ? 2 : 1;
  const files = input.slice(0, names).map(fileNameOf);
  return WRITES.test(operation) ? [...files, input[1]] : files;
}

/** The result of a callback is the list of what it is given. */
export function packResult({ name, form }: Operation, input: readonly unknown[], result: unknown): unknown {
  if (READS.test(name)) return { bytes: readBytes(input, result) } satisfies Recorded;
  // The others of what is given are the program's own.
  if (/^writev?$/.test(name)) return countOf(result);
  return form === "callback" ? (result as readonly unknown[]).map(pack) : pack(result);
}

export function unpackResult(
  operation: Operation,
  input: readonly unknown[],
  recorded: unknown,
  open: (fd: number) => object,
): unknown {
  if (READS.test(operation.name)) {
    if (typeof recorded !== "object" || recorded === null || !("bytes" in recorded)) return recorded;
    const bytes = recorded.bytes as Uint8Array;
    return asGiven(operation, bytes.length, fill(input, bytes));
  }
  if (typeof recorded === "number" && /^writev?$/.test(operation.name)) {
    return asGiven(operation, recorded, operation.form === "handle" ? input[0] : input[1]);
  }
  return unpack(recorded, open);
}

/** How many bytes were read or written, and by what: as each way of asking gives it. */
function asGiven({ name, form }: Operation, count: number, buffer: unknown): unknown {
  if (form === "at once") return count;
  if (form === "callback") return [count, buffer];
  return {
    [name.startsWith("read") ? "bytesRead" : "bytesWritten"]: count,
    [name.endsWith("v") ? "buffers" : "buffer"]: buffer,
  };
}

function countOf(result: unknown): unknown {
  if (Array.isArray(result)) return result[0] as unknown;
  if (typeof result !== "object" || result === null) return result;
  const { bytesRead, bytesWritten } = result as {
    readonly bytesRead?: unknown;
    readonly bytesWritten?: unknown;
  };
  return bytesRead ?? bytesWritten;
}

function readBytes(input: readonly unknown[], result: unknown): Uint8Array {
  const count = countOf(result) as number;
  const targets = targetsOf(input);
  if (targets.length > 0) return Uint8Array.from(Buffer.concat(targets).subarray(0, count));
  // A read without a buffer makes one, which it gives.
  const made = (
    Array.isArray(result) ? result[1] : (result as { readonly buffer: unknown }).buffer
  ) as unknown;
  return ArrayBuffer.isView(made) ? Uint8Array.from(bytesOfView(made).subarray(0, count)) : new Uint8Array();
}

/** Puts `bytes` where the program wants them, and gives what it gave. */
function fill(input: readonly unknown[], bytes: Uint8Array): unknown {
  let left = bytes;
  for (const target of targetsOf(input)) {
    target.set(left.subarray(0, target.length));
    left = left.subarray(target.length);
  }
  return givenTarget(input) ?? Buffer.from(bytes);
}

function bytesOfView(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

interface ReadOptions {
  readonly buffer?: unknown;
  readonly offset?: number;
}

/** Where the program has what is read put. */
function targetsOf(input: readonly unknown[]): readonly Uint8Array[] {
  const given = givenTarget(input);
  if (Array.isArray(given)) return given.filter((one) => ArrayBuffer.isView(one)).map(bytesOfView);
  if (!ArrayBuffer.isView(given)) return [];
  const next = input[input.indexOf(given) + 1];
  const offset = typeof next === "number" ? next : (optionsOf(input)?.offset ?? 0);
  return [bytesOfView(given).subarray(offset)];
}

function givenTarget(input: readonly unknown[]): unknown {
  return input.find((one) => ArrayBuffer.isView(one) || Array.isArray(one)) ?? optionsOf(input)?.buffer;
}

function optionsOf(input: readonly unknown[]): ReadOptions | undefined {
  const isOptions = (one: unknown): boolean =>
    typeof one === "object" && one !== null && !ArrayBuffer.isView(one) && !Array.isArray(one);
  return input.find(isOptions) as ReadOptions | undefined;
}

function pack(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pack);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (value instanceof fs.Stats || isBigStats(value)) {
    return { stats: { ...value }, big: !(value instanceof fs.Stats) } satisfies Recorded;
  }
  if (value instanceof fs.Dirent) {
    const kind = KINDS.find(([is]) => value[is]())?.[1] ?? 0;
    return { entry: value.name, kind, parent: String(fileNameOf(parentOf(value))) } satisfies Recorded;
  }
  const { fd } = value as { readonly fd?: unknown };
  if (typeof fd === "number" && "readFile" in value) return { handle: fd } satisfies Recorded;
  return value;
}

function parentOf(entry: fs.Dirent): unknown {
  return Reflect.get(entry, "parentPath") ?? Reflect.get(entry, "path");
}

function unpack(recorded: unknown, open: (fd: number) => object): unknown {
  if (Array.isArray(recorded)) return recorded.map((one) => unpack(one, open));
  if (typeof recorded !== "object" || recorded === null || ArrayBuffer.isView(recorded)) return recorded;
  if ("stats" in recorded) {
    const { stats, big } = recorded as Extract<Recorded, { stats: unknown }>;
    const prototype = big ? bigStats() : fs.Stats.prototype;
    return Object.assign(Object.create(prototype as object) as object, stats);
  }
  if ("entry" in recorded) {
    const { entry, kind, parent } = recorded as Extract<Recorded, { entry: unknown }>;
    const Entry = fs.Dirent as unknown as new (name: string, kind: number, parent: string) => fs.Dirent;
    return new Entry(entry, kind, parent);
  }
  if ("handle" in recorded) return open((recorded as { readonly handle: number }).handle);
  return recorded;
}

function isBigStats(value: object): boolean {
  return typeof (value as { readonly mtimeNs?: unknown }).mtimeNs === "bigint";
}

/** Its class is to be had from one alone; that the folder of the process is there is all it reads. */
function bigStats(): unknown {
  return Object.getPrototypeOf(fs.statSync(".", { bigint: true }));
}
