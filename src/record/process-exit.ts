/**
 * What is on its way when the process ends. Where it ends because nothing is left to do, the way is
 * waited for, for a while; where somebody ends it, what was on its way is counted as lost.
 *
 * There is one process, so there is one set of queues for it, and one listener for each of its two
 * events, however many instances there are. A queue is in the set only while something is on its
 * way: nothing here keeps an instance alive.
 */
import { clearTimeoutOriginal, setTimeoutOriginal } from "../originals.js";

interface OnItsWay {
  drain(): Promise<void>;
  abandon(): void;
}

/** A store whose sockets keep no process alive needs someone to wait for it; one that never answers must not hold it. */
const WAIT_MILLISECONDS = 5_000;

const onTheirWay = new Set<OnItsWay>();
const waitedFor = new WeakSet<OnItsWay>();
let listening = false;

export function watchExit(queue: OnItsWay): void {
  onTheirWay.add(queue);
  if (listening) return;
  listening = true;
  process.on("beforeExit", wait);
  // Before the service's own listeners, which may look at the counters.
  process.prependListener("exit", abandon);
}

export function unwatchExit(queue: OnItsWay): void {
  onTheirWay.delete(queue);
  waitedFor.delete(queue);
}

function wait(): void {
  for (const queue of onTheirWay) {
    // Node asks again after each wait: once is enough.
    if (waitedFor.has(queue)) continue;
    waitedFor.add(queue);
    const timer = setTimeoutOriginal(() => undefined, WAIT_MILLISECONDS);
    void queue.drain().then(() => clearTimeoutOriginal(timer));
  }
}

function abandon(): void {
  for (const queue of onTheirWay) queue.abandon();
}
