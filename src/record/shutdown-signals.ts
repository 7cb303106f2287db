/**
 * Stores what is on its way when a signal asks the process to end.
 *
 * Invariants
 * 1. Where the service listens to the signal itself, it decides when the process ends, and how: this
 *    flushes meanwhile, and ends nothing (G2).
 * 2. Where nobody else does, listening has taken away what the signal does by itself. So instances
 *    are closed, and the signal is sent again: the process ends by it, as its parent expects.
 * 3. A second signal is not listened to: whoever is impatient ends the process at once.
 */

/** What a signal has an instance do. */
export interface SignalResponse {
  /** While the service ends by itself. */
  readonly flush: () => Promise<void>;
  /** Before the process ends. */
  readonly close: () => Promise<void>;
}

/** Marks listeners of this kind, also those of another copy of this package. */
const BRAND = Symbol.for("hindcast.shutdown");

/**
 * Responses under way, of all instances, of which there is one process to end: the last ends it, lest it be
 * ended while another instance is still storing.
 */
let underWay = 0;

/** Listens to `signals` until the returned function is called. */
export function respondToSignals(signals: readonly NodeJS.Signals[], response: SignalResponse): () => void {
  const listener = Object.assign(
    (signal: NodeJS.Signals): void => {
      const isAlone = process.listeners(signal).every((other) => BRAND in other);
      release();
      underWay += 1;
      void (isAlone ? response.close() : response.flush()).then(() => {
        underWay -= 1;
        const isLast = underWay === 0 && process.listenerCount(signal) === 0;
        if (isAlone && isLast) process.kill(process.pid, signal);
      });
    },
    { [BRAND]: true },
  );
  const release = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  // Before those of the service: one that listens once is no longer there when its turn is over.
  for (const signal of signals) process.prependListener(signal, listener);
  return release;
}
