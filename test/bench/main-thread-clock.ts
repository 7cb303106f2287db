/**
 * How long the main thread has been at work, in nanoseconds. Where the platform tells it, that is processor time: what other
 * threads (garbage collection, files) and other processes do is not in it, and so a busy machine tells the same as an idle one.
 */
import { openSync, readSync } from "node:fs";
import { performance } from "node:perf_hooks";
import process from "node:process";

/** Where the figures come from; it is part of the results. */
export type ClockSource = "process.threadCpuUsage" | "/proc schedstat" | "event loop utilization";

interface MainThreadClock {
  readonly source: ClockSource;
  readonly read: () => number;
}

export const mainThreadClock: MainThreadClock = create();

function create(): MainThreadClock {
  const read = schedulerClock();
  if (read !== undefined) return { source: "/proc schedstat", read };
  // On the newer lines of Node; some platforms count it in steps of milliseconds.
  const usage = (process as { threadCpuUsage?: () => { user: number; system: number } }).threadCpuUsage;
  if (usage !== undefined) {
    const readUsage = (): number => {
      const { user, system } = usage.call(process);
      return (user + system) * 1000;
    };
    return { source: "process.threadCpuUsage", read: readUsage };
  }
  return { source: "event loop utilization", read: () => performance.eventLoopUtilization().active * 1e6 };
}

/** What Linux counts for the main thread. It counts when the thread gives way, so the thread does that before it reads. */
function schedulerClock(): (() => number) | undefined {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const buffer = Buffer.alloc(64);
  try {
    const file = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
    const read = (): number => {
      Atomics.wait(cell, 0, 0, 0.02);
      readSync(file, buffer, 0, buffer.length, 0);
      let nanoseconds = 0;
      for (let index = 0; buffer[index] !== 0x20; index++) {
        nanoseconds = nanoseconds * 10 + ((buffer[index] as number) - 0x30);
      }
      return nanoseconds;
    };
    return read() > 0 ? read : undefined;
  } catch {
    return undefined; // no Linux, or a kernel that does not count
  }
}
