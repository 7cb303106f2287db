/** Whether an open file is still in its directory: another process may delete segments to make room. */
import { fstat, fstatSync, statfs } from "node:fs";
import { promisify } from "node:util";

const [statFile, statFileSystem] = [promisify(fstat), promisify(statfs)] as const;

/** What file systems of the machine's own say they are: ext, XFS, Btrfs, F2FS, tmpfs, overlay. */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x794c_7630,
]);

/** Whether to look at a file there is done in a microsecond. Of a network's file system, and of one that is not known, it is not. */
export async function isLocal(dir: string): Promise<boolean> {
  if (process.platform !== "linux") return false; // the numbers are Linux's
  const type = await statFileSystem(dir).then(
    ({ type }) => type,
    () => undefined,
  );
  return type !== undefined && LOCAL.has(type >>> 0);
}

/** False also where it cannot be told: what is written twice is not lost. */
export function isLinked(descriptor: number): Promise<boolean> {
  return statFile(descriptor).then(
    ({ nlink }) => nlink > 0,
    () => false,
  );
}

/** The same, at once: of a local file that takes less than to ask another thread. */
export function isLinkedSync(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).nlink > 0;
  } catch {
    return false;
  }
}
