/**
 * Capsules in a directory of append-only segments.
 *
 * Invariants
 * 1. Each store object writes to segments of its own, so processes can share a directory without a
 *    lock, and nobody ever appends behind the torn end that a crash left.
 * 2. `append` resolves once the operating system has the bytes (they survive `kill -9`), or once
 *    they are on the disk where `fsync` is asked for (they survive a power cut too) (G9).
 * 3. A write that fails is taken back: the segment ends where it ended before.
 * 4. A torn or damaged record costs itself alone; what follows it is found again.
 */
import { close, existsSync, fdatasync, fstat, ftruncate, mkdirSync, open, statSync, write } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { HindcastError, isHindcastError } from "../errors.js";
import type { DamagedSegment } from "./segment.js";
import { createSegmentName } from "./segment-name.js";
import { type Store, type StoredCapsule, storeClosed } from "./store.js";

export interface FileStoreOptions {
  /** Made where it does not exist. */
  readonly dir: string;
  /** Bytes after which a new segment is begun. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** Bytes of the whole directory: beyond them the oldest segments are deleted. Default 1 GiB. */
  readonly maximumBytes?: number;
  /** Whether each append waits for the disk. Default false. */
  readonly fsync?: boolean;
  /** Called for each stretch that could not be read. Default: a process warning, but for the ends of segments. */
  readonly onDamage?: (damage: DamagedSegment) => void;
}

// By descriptor: a FileHandle is closed, with a warning, when nobody holds the store any more.
const [openFile, statFile, truncateFile, syncFile, writeFile, closeFile] = [
  promisify<string, string, number>(open),
  promisify(fstat),
  promisify(ftruncate),
  promisify(fdatasync),
  promisify(write),
  promisify(close),
] as const;

const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;
const DEFAULT_MAXIMUM_BYTES = 1024 * 1024 * 1024;

/** A store of files under `dir`. Throws `invalid-options` where the directory cannot be made or a limit is none. */
export function fileStore(options: FileStoreOptions): Store {
  const {
    dir,
    segmentBytes = DEFAULT_SEGMENT_BYTES,
    maximumBytes = DEFAULT_MAXIMUM_BYTES,
    fsync = false,
    onDamage = warnOfDamage,
  } = options;
  for (const [name, value] of Object.entries({ segmentBytes, maximumBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new HindcastError(
        "invalid-options",
        `fileStore({ ${name}: ${value} }): give a positive integer.`,
      );
    }
  }
  makeDirectory(dir);

  let segment: { readonly file: string; readonly descriptor: number; size: number } | undefined;
  let closed = false;
  // Appends go one after the other, whoever calls.
  let last: Promise<void> = Promise.resolve();

  const appendNow = async (capsules: readonly StoredCapsule[]): Promise<void> => {
    if (capsules.length === 0) return;
    const isFull = segment !== undefined && segment.size >= Math.min(segmentBytes, maximumBytes);
    // Another process may have deleted it to make room.
    if (segment !== undefined && (isFull || (await statFile(segment.descriptor)).nlink === 0)) {
      await closeFile(segment.descriptor);
      segment = undefined;
    }
    if (segment === undefined) {
      const { deleteOldest, segmentNames } = await import("./segments.js");
      await deleteOldest(dir, maximumBytes);
      const file = join(dir, createSegmentName((await segmentNames(dir)).at(-1)));
      segment = { file, descriptor: await openFile(file, "wx"), size: 0 };
    }
    const { descriptor, size } = segment;
    const { encodeRecords } = await import("./segment.js");
    const records = encodeRecords(capsules, size);
    try {
      await writeAll(descriptor, records, size);
      if (fsync) await syncFile(descriptor);
    } catch (error) {
      // Where it cannot be taken back either, the torn end is the last of this segment.
      await truncateFile(descriptor, size).catch(() => {
        segment = undefined;
        return closeFile(descriptor);
      });
      throw error;
    }
    segment.size += records.length;
  };

  return {
    append(capsules) {
      if (closed) return Promise.reject(storeClosed());
      const appended = last.then(() => appendNow(capsules)).catch(failed(dir));
      last = appended.catch(() => undefined); // its caller hears of a failure; the next append is none the worse
      return appended;
    },
    async get(id) {
      await last;
      const { getCapsule } = await import("./segments.js");
      return getCapsule(dir, id, onDamage).catch(unreadable(dir));
    },
    async *find(query) {
      await last;
      const { findCapsules } = await import("./segments.js");
      try {
        yield* findCapsules(dir, query, onDamage);
      } catch (error) {
        unreadable(dir)(error);
      }
    },
    async close() {
      closed = true;
      await last;
      const descriptor = segment?.descriptor;
      segment = undefined;
      if (descriptor !== undefined) await closeFile(descriptor);
    },
  };
}

function makeDirectory(dir: string): void {
  try {
    makeWithParents(resolve(dir));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `fileStore cannot make its directory "${dir}" (${reason}): give a dir that this process may write to.`;
    throw new HindcastError("invalid-options", message, { cause });
  }
}

/** Node's own `recursive` never returns where a parent denies with ENOENT, as those under /proc do. */
function makeWithParents(dir: string): void {
  const missing: string[] = [];
  for (let path = dir; !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const path of missing) {
    try {
      mkdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // another process was quicker
    }
  }
  if (!statSync(dir).isDirectory()) throw new Error("it is a file");
}

function failed(dir: string): (cause: unknown) => never {
  return (cause) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Capsules could not be written under "${dir}": ${reason}. Check its space and permissions.`;
    throw new HindcastError("store-failed", message, { cause });
  };
}

function unreadable(dir: string): (cause: unknown) => never {
  return (cause) => {
    if (isHindcastError(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HindcastError(
      "store-failed",
      `Capsules could not be read from "${dir}": ${reason}. Check that it is there, and its permissions.`,
      { cause },
    );
  };
}

async function writeAll(descriptor: number, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const result = await writeFile(descriptor, bytes, written, bytes.length - written, position + written);
    written += result.bytesWritten;
  }
}

function warnOfDamage(damage: DamagedSegment): void {
  if (damage.tail) return; // what a crash leaves, or another process is just writing
  process.emitWarning(
    `hindcast: ${damage.bytes} damaged bytes at ${damage.offset} of ${damage.file} were skipped.`,
  );
}
