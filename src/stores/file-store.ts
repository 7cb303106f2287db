/**
 * Capsules in a directory of append-only segments.
 *
 * Invariants
 * 1. Each store object writes to segments of its own, so processes can share a directory without a
 *    lock, and nobody ever appends behind the torn end that a crash left.
 * 2. `append` resolves once the operating system has the bytes (they survive `kill -9`), or once
 *    they are on the disk where `fsync` is asked for (they survive a power cut too) (G9).
 * 3. A write that fails is taken back: the segment ends where it ended before.
 * 4. Damage costs the capsule that it is in, or those together with it: a block of about 64 kB where they are compressed,
 *    and else a group, where its entries are hit. What follows is found again.
 */
import { close, existsSync, fdatasync, ftruncate, mkdirSync, open, statSync, writev } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { HindcastError, isHindcastError } from "../errors.js";
import type { DamagedSegment, Packed, Packer } from "./segment.js";
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
  /**
   * Whether capsules that are appended together are compressed together, on the thread pool. Default `deflate`: of their
   * JSON, capsules with 20 fields take 0.14 by fifty and 0.69 alone, those with 8 kB of prose 0.37 and 0.44.
   */
  readonly compression?: "deflate" | "none";
  /** Called for each stretch that was to be read and could not be. Default: a process warning, but for the ends of segments. */
  readonly onDamage?: (damage: DamagedSegment) => void;
}

interface Segment {
  readonly name: string;
  readonly descriptor: number;
  /** Whether the file system tells at once what it knows of a file. */
  readonly isOfLocal: boolean;
  size: number;
}

// By descriptor: a FileHandle is closed, with a warning, when nobody holds the store any more.
const [openFile, truncateFile, syncFile, closeFile] = [
  promisify<string, string, number>(open),
  promisify(ftruncate),
  promisify(fdatasync),
  promisify(close),
] as const;

/** What is loaded for the first append. */
interface Writing {
  readonly packer: Packer;
  readonly encodeSegment: typeof import("./segment.js").encodeSegment;
  readonly link: typeof import("./link.js");
  readonly deleteOldest: typeof import("./segments.js").deleteOldest;
}

const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;
const DEFAULT_MAXIMUM_BYTES = 1024 * 1024 * 1024;

/** A store of files under `dir`. Throws `invalid-options` where the directory cannot be made or a limit is none. */
export function fileStore(options: FileStoreOptions): Store {
  const {
    dir,
    segmentBytes = DEFAULT_SEGMENT_BYTES,
    maximumBytes = DEFAULT_MAXIMUM_BYTES,
    fsync = false,
    compression = "deflate",
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
  if (compression !== "deflate" && compression !== "none") {
    const message = `fileStore({ compression: ${String(compression)} }): give "deflate" or "none".`;
    throw new HindcastError("invalid-options", message);
  }
  makeDirectory(dir);

  let segment: Segment | undefined;
  /** Of each segment that this store has filled: it does not change any more. */
  const sizes = new Map<string, number>();
  let writing: Writing | undefined;
  let closed = false;
  // Appends go one after the other, whoever calls.
  let last: Promise<void> = Promise.resolve();

  const closeSegment = async (): Promise<void> => {
    const descriptor = segment?.descriptor;
    segment = undefined;
    if (descriptor !== undefined) await closeFile(descriptor);
  };

  /** In place of a full one, if there is one. */
  const beginSegment = async ({ deleteOldest, link }: Writing): Promise<Segment> => {
    if (segment !== undefined) sizes.set(segment.name, segment.size);
    const [newest, isOfLocal] = await Promise.all([
      deleteOldest(dir, maximumBytes, sizes),
      link.isLocal(dir),
      closeSegment(),
    ]);
    const name = createSegmentName(newest);
    segment = { name, descriptor: await openFile(join(dir, name), "wx"), isOfLocal, size: 0 };
    return segment;
  };

  const write = async (pieces: readonly Uint8Array[], to: Segment): Promise<void> => {
    const { descriptor, size } = to;
    try {
      const end = await writeAll(descriptor, pieces, size);
      if (fsync) await syncFile(descriptor);
      to.size = end;
    } catch (error) {
      // Where it cannot be taken back either, the torn end is the last of this segment.
      await truncateFile(descriptor, size).catch(closeSegment);
      throw error;
    }
  };

  const writePacked = async (packed: Packed, by: Writing): Promise<void> => {
    const { encodeSegment, link } = by;
    if (segment !== undefined && segment.size < Math.min(segmentBytes, maximumBytes)) {
      const { descriptor, isOfLocal, size } = segment;
      const written = write(encodeSegment(packed, size), segment);
      // Asked while it is written: another process may have deleted it to make room.
      const isThere = isOfLocal ? link.isLinkedSync(descriptor) : link.isLinked(descriptor);
      await written;
      if (typeof isThere === "boolean" ? isThere : await isThere) return;
      await closeSegment();
    }
    await write(encodeSegment(packed, 0), await beginSegment(by));
  };

  const appendNow = async (capsules: readonly StoredCapsule[]): Promise<void> => {
    if (capsules.length === 0) return;
    try {
      writing ??= await loadWriting(compression);
      const packed = writing.packer.pack(capsules);
      await writePacked(packed instanceof Promise ? await packed : packed, writing);
    } catch (error) {
      failed(dir)(error);
    } finally {
      writing?.packer.release();
    }
  };

  return {
    append(capsules) {
      if (closed) return Promise.reject(storeClosed());
      const appended = last.then(() => appendNow(capsules));
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
      writing?.packer.close();
      await closeSegment();
    },
  };
}

async function loadWriting(compression: "deflate" | "none"): Promise<Writing> {
  const [{ createPacker, encodeSegment }, link, { deleteOldest }] = await Promise.all([
    import("./segment.js"),
    import("./link.js"),
    import("./segments.js"),
  ]);
  return { packer: createPacker(compression), encodeSegment, link, deleteOldest };
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

/** Writes the pieces one after the other, and gives the position behind them. */
function writeAll(descriptor: number, pieces: readonly Uint8Array[], position: number): Promise<number> {
  const size = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return new Promise((resolve, reject) => {
    let [rest, end] = [pieces, position];
    const written = (error: Error | null, bytes: number): void => {
      if (error !== null) return reject(error);
      end += bytes;
      if (end === position + size) return resolve(end);
      rest = without(rest, bytes);
      writev(descriptor, rest, end, written);
    };
    writev(descriptor, rest, end, written);
  });
}

/** What is left of the pieces behind so many bytes. */
function without(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.byteLength) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.byteLength;
  }
  return [];
}

function warnOfDamage(damage: DamagedSegment): void {
  if (damage.tail) return; // what a crash leaves, or another process is just writing
  process.emitWarning(
    `hindcast: ${damage.bytes} damaged bytes at ${damage.offset} of ${damage.file} were skipped.`,
  );
}
