/** The segments of a directory: reading capsules back, and deleting the oldest. */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CapsuleSummary } from "../capsule/capsule.js";
import { decodeSummary } from "../capsule/summary-codec.js";
import { timeOfRunId } from "../ids.js";
import { limitOf, matcherOf } from "./query.js";
import { type DamagedSegment, type DamagedStretch, decodeSegment } from "./segment.js";
import { isSegmentName } from "./segment-name.js";
import type { CapsuleQuery, StoredCapsule } from "./store.js";

/** A file system's clock, and another machine's, may be behind the one that made an id. */
const CLOCK_SLACK_MILLISECONDS = 60_000;

type OnDamage = (damage: DamagedSegment) => void;

/** The capsule with this id. */
export async function getCapsule(
  dir: string,
  id: string,
  onDamage: OnDamage,
): Promise<StoredCapsule | undefined> {
  // A segment last written to before the run began cannot hold it.
  const oldest = timeOfRunId(id) ?? 0;
  const select = (undecoded: Buffer): CapsuleSummary | undefined => {
    const summary = undecoded.includes(id) ? decodeSummary(undecoded) : undefined;
    return summary?.id === id ? summary : undefined;
  };
  for await (const capsule of read(dir, oldest, onDamage, select)) return capsule;
  return undefined;
}

/** The capsules that match, oldest segment first. */
export async function* findCapsules(
  dir: string,
  query: CapsuleQuery | undefined,
  onDamage: OnDamage,
): AsyncGenerator<StoredCapsule> {
  const matches = matcherOf(query);
  let left = limitOf(query);
  if (left <= 0) return;
  const select = (undecoded: Buffer): CapsuleSummary | undefined => {
    const summary = decodeSummary(undecoded);
    return matches(summary) ? summary : undefined;
  };
  for await (const capsule of read(dir, 0, onDamage, select)) {
    yield capsule;
    left -= 1;
    if (left <= 0) return;
  }
}

async function* read(
  dir: string,
  oldest: number,
  onDamage: OnDamage,
  select: (undecoded: Buffer) => CapsuleSummary | undefined,
): AsyncGenerator<StoredCapsule> {
  for (const name of await segmentNames(dir)) {
    const file = join(dir, name);
    const bytes = await readSegment(file, oldest);
    const tell = (stretch: DamagedStretch): void => {
      try {
        onDamage({ ...stretch, file });
      } catch (error) {
        process.emitWarning(`hindcast: onDamage threw ${String(error)}`);
      }
    };
    if (bytes !== undefined) yield* decodeSegment(bytes, tell, select);
  }
}

/** In order of time: a segment's name is a UUID version 7. */
async function segmentNames(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter(isSegmentName).sort();
}

/** A segment's bytes; undefined where it has gone, or was last written to before `oldest`. */
async function readSegment(file: string, oldest: number): Promise<Buffer | undefined> {
  return ifPresent(async () => {
    if (oldest > 0 && (await stat(file)).mtimeMs + CLOCK_SLACK_MILLISECONDS < oldest) return undefined;
    return readFile(file);
  });
}

/**
 * Deletes the oldest segments until the rest are of at most so many bytes, and gives the newest one's name. `sizes` are of
 * those whose size is known; what has gone is taken out.
 */
export async function deleteOldest(
  dir: string,
  maximumBytes: number,
  sizes: Map<string, number>,
): Promise<string | undefined> {
  const names = await segmentNames(dir);
  const segments = await Promise.all(
    names.map(async (name) => {
      const size = sizes.get(name) ?? (await ifPresent(() => stat(join(dir, name))))?.size ?? 0;
      return { name, size };
    }),
  );
  let total = segments.reduce((sum, { size }) => sum + size, 0);
  const present = new Set(names);
  for (const { name, size } of segments) {
    if (total <= maximumBytes) break;
    await rm(join(dir, name), { force: true });
    present.delete(name);
    total -= size;
  }
  for (const name of sizes.keys()) if (!present.has(name)) sizes.delete(name);
  return names.at(-1);
}

/** What `read` gives, or undefined where the file has gone: another process may delete the oldest segments. */
async function ifPresent<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
