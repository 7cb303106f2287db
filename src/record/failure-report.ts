/** Where failures of the library, or of what was given to it, end: counted each time, told once for each kind. */
import { detached } from "../stage/scopes.js";
import { quietly } from "../stage/quiet.js";
import type { FailureSource } from "../stage/seam.js";
import { unawaited } from "../unawaited.js";

/** A failure that the service was spared. */
export interface Failure {
  readonly source: FailureSource;
  /** What failed and what became of it. */
  readonly message: string;
  readonly error: unknown;
}

/** The part of a logger that is used; pino's fits. */
export interface Logger {
  warn(fields: object, message: string): void;
}

const CONSEQUENCES: Readonly<Record<FailureSource, string>> = {
  listener: "A listener failed: this part of the run is missing from its record.",
  keep: "A keep rule failed: it kept nothing.",
  codec: "A run could not be encoded: its capsule is lost.",
  store: "The store failed: the capsules it was given are counted as lost.",
  version: "A version function threw: the stage's version is recorded as unknown.",
  queue: "The queue to the store is full (queueBytes): runs are lost.",
  exit: "The process ended while capsules were on their way: they are lost. Call close() before process.exit().",
  waitUntil: "waitUntil threw: nobody may be waiting for the capsules.",
  seed: "A seed could not be had: one was drawn.",
  logger: "onError or the logger threw.",
  conversion: "A record or revive function threw: the value is recorded, or given, as it was.",
};

/** A service has so many places that are worth a warning; after that it is a flood. */
const MAXIMUM_NOTICES = 100;

export class FailureReport {
  readonly #onError: ((failure: Failure) => void) | undefined;
  readonly #logger: Logger | undefined;
  readonly #counts = Object.fromEntries(Object.keys(CONSEQUENCES).map((source) => [source, 0])) as Record<
    FailureSource,
    number
  >;

  readonly #noticed = new Set<string>();

  constructor(onError: ((failure: Failure) => void) | undefined, logger: Logger | undefined) {
    this.#onError = onError;
    this.#logger = logger;
  }

  counts(): Readonly<Record<FailureSource, number>> {
    return { ...this.#counts };
  }

  report(source: FailureSource, error: unknown): void {
    this.#counts[source] += 1;
    if (this.#counts[source] > 1) return;
    const message = `hindcast: ${CONSEQUENCES[source]} Further failures of this kind are only counted in stats().`;
    this.#tell(() => this.#onError?.({ source, message, error }));
    if (this.#logger !== undefined) this.#tell(() => this.#logger?.warn({ err: error, source }, message));
    else if (this.#onError === undefined) {
      this.#tell(() => process.emitWarning(message, { detail: describe(error) }));
    }
  }

  /** Warns, once for each message, of something that is no failure but that somebody should know before 03:00. */
  notice(message: string): void {
    if (this.#noticed.has(message) || this.#noticed.size >= MAXIMUM_NOTICES) return;
    this.#noticed.add(message);
    const text = `hindcast: a run cannot be replayed exactly. ${message}`;
    if (this.#logger !== undefined) this.#tell(() => this.#logger?.warn({}, text));
    else this.#tell(() => process.emitWarning(text));
  }

  #tell(listener: () => unknown): void {
    const deaf = (): void => {
      this.#counts.logger += 1; // whoever is to be told cannot hear; the counter is what is left
    };
    try {
      // Whoever is told is no part of the run in which it happened, and nor is what he goes on to do.
      detached(() => quietly(() => unawaited(listener(), deaf)));
    } catch {
      deaf();
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
