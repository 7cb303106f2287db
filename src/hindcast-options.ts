/** What `hindcast()` is given, and what becomes of it: each function gives an option's value, or says what is wrong with it. */
import { BUILT_IN_CAPTURES, type Captures, ON_DEMAND } from "./ambient/ambient.js";
import type { Capture } from "./capture/capture.js";
import type { RecordableClass } from "./capsule/decode-value.js";
import type { Limits } from "./capsule/limits.js";
import type { ContractMode } from "./contract/contract.js";
import { type Duration, milliseconds } from "./duration.js";
import { HindcastError } from "./errors.js";
import type { Failure, Logger } from "./record/failure-report.js";
import { keep, type KeepRule, priorityOf } from "./record/keep.js";
import type { VersionSource } from "./stage/definition.js";
import type { BuiltInSource } from "./stage/seam.js";
import { memoryStore } from "./stores/memory-store.js";
import type { Store } from "./stores/store.js";

export interface HindcastOptions {
  /** The service's name, or its name and version. */
  readonly service: string | { readonly name: string; readonly version: string };
  /**
   * The revision of its source. Default: what the environment says (`GITHUB_SHA`, `VERCEL_GIT_COMMIT_SHA` and the
   * like), or what is checked out in the nearest `.git` above the main module when the process starts.
   */
  readonly revision?: string;
  /** Where capsules go. Default: `memoryStore()`, a ring of the newest 1,000. */
  readonly store?: Store;
  /** Which runs are kept: by any of these rules. Default: all. An empty list records nothing. */
  readonly keep?: KeepRule | readonly KeepRule[];
  /** What a contract violation does, where a stage does not say. Default `enforce`. */
  readonly contracts?: ContractMode;
  /** The seed of runs whose pipeline and caller give none. Default: drawn for each run. */
  readonly seed?: number | (() => number);
  /**
   * What runs read without declaring it: all of what the library captures by itself (the default), none, or by
   * source. What more there is to capture is given under its name: `{ http: httpCapture(), pg: pgCapture(pg) }`.
   */
  readonly capture?:
    | boolean
    | (Partial<Readonly<Record<BuiltInSource, boolean>>> & {
        readonly [name: string]: Capture | boolean | undefined;
      });
  /**
   * Packages besides the known ones that trace, log or measure, such as `@acme/tracing`: what their code reads of the
   * clock and of chance is no part of a run. It holds for the process.
   */
  readonly bystanders?: readonly string[];
  /** How much of a value and of a run is recorded. */
  readonly limits?: Partial<Limits>;
  /** Classes whose instances a replay gives back as such; others come back as plain objects or errors. */
  readonly classes?: readonly RecordableClass[];
  /** Bytes that may wait for the store before runs are lost. Default 64 MiB. */
  readonly queueBytes?: number;
  /** What to do when the process is asked to end. Default: nothing, it is the service that calls `close()`. */
  readonly shutdown?: ShutdownOptions;
  /**
   * Called at the end of each run that is kept, in that run's context, with a promise that resolves once its capsule
   * is stored or lost (30 s at the most): for platforms that stop a process when it has answered. It never rejects.
   */
  readonly waitUntil?: (stored: Promise<void>) => void;
  /** Called when something of the library's, or given to it, fails; at most once for each kind of failure. */
  readonly onError?: (failure: Failure) => void;
  /** Told of the same failures; a pino logger fits. Default: process warnings. */
  readonly logger?: Logger;
}

export interface ShutdownOptions {
  /**
   * On these, what is on its way is stored. Where nothing else in the process listens to the signal, the process then
   * ends by it; where something does, that decides. Default: none.
   */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long that may take. Default 5 s. */
  readonly deadline?: Duration;
}

const DEFAULT_SHUTDOWN_DEADLINE = "5s";
const DEFAULT_QUEUE_BYTES = 64 * 1024 * 1024;
export const MAXIMUM_SEED = 0xffff_ffff;

export function serviceOf({ service }: HindcastOptions): { name: string; version: string | undefined } {
  const { name, version } =
    typeof service === "string" ? { name: service, version: undefined } : (service ?? {});
  if (typeof name !== "string" || name === "") {
    throw new HindcastError(
      "invalid-options",
      'hindcast({ service }) is missing: name the service, such as "loan-approval".',
    );
  }
  if (version !== undefined && typeof version !== "string") {
    throw new HindcastError("invalid-options", "hindcast({ service: { version } }): give a text.");
  }
  return { name, version };
}

export function revisionOf({ revision }: HindcastOptions): string | undefined {
  if (revision !== undefined && (typeof revision !== "string" || revision === "")) {
    throw new HindcastError(
      "invalid-options",
      "hindcast({ revision }): give a text, such as a commit's hash.",
    );
  }
  return revision;
}

export function mustBeHooks({ onError, logger, classes, waitUntil }: HindcastOptions): void {
  if (waitUntil !== undefined && typeof waitUntil !== "function") {
    throw new HindcastError("invalid-options", "hindcast({ waitUntil }): give a function.");
  }
  if (onError !== undefined && typeof onError !== "function") {
    throw new HindcastError("invalid-options", "hindcast({ onError }): give a function.");
  }
  if (logger !== undefined && typeof logger?.warn !== "function") {
    throw new HindcastError("invalid-options", "hindcast({ logger }): the logger has no warn().");
  }
  if (
    classes !== undefined &&
    !(Array.isArray(classes) && classes.every((one) => typeof one === "function"))
  ) {
    throw new HindcastError("invalid-options", "hindcast({ classes }): give a list of classes.");
  }
}

export function bystandersOf({ bystanders = [] }: HindcastOptions): readonly string[] {
  if (!Array.isArray(bystanders) || !bystanders.every((name) => typeof name === "string" && name !== "")) {
    throw new HindcastError(
      "invalid-options",
      'hindcast({ bystanders }): give a list of names of packages, such as ["@acme/tracing"].',
    );
  }
  return bystanders as readonly string[];
}

export function storeOf({ store }: HindcastOptions): Store {
  const given = store ?? memoryStore();
  for (const member of ["append", "get", "find", "close"] as const) {
    if (typeof given[member] !== "function") {
      throw new HindcastError("invalid-options", `hindcast({ store }): the store has no ${member}().`);
    }
  }
  return given;
}

export function rulesOf(options: HindcastOptions): readonly KeepRule[] {
  const rules =
    options.keep === undefined ? [keep.all()] : Array.isArray(options.keep) ? options.keep : [options.keep];
  for (const rule of rules as readonly Partial<KeepRule>[]) {
    if (typeof rule?.keeps !== "function" || typeof rule.name !== "string") {
      throw new HindcastError(
        "invalid-options",
        "hindcast({ keep }): each rule is { name, keeps }, such as keep.errors().",
      );
    }
  }
  for (const { name, priority } of rules as readonly KeepRule[]) {
    if (priority !== undefined && !Number.isFinite(priority)) {
      throw new HindcastError(
        "invalid-options",
        `hindcast({ keep }): the priority of "${name}" is ${String(priority)}; give a number.`,
      );
    }
  }
  return [...(rules as readonly KeepRule[])].sort((a, b) => priorityOf(b) - priorityOf(a));
}

export function shutdownOf({ shutdown = {} }: HindcastOptions): {
  readonly signals: readonly NodeJS.Signals[];
  readonly deadline: number;
} {
  const { signals = [], deadline = DEFAULT_SHUTDOWN_DEADLINE } = shutdown;
  for (const signal of Array.isArray(signals) ? (signals as readonly unknown[]) : [signals]) {
    if (typeof signal !== "string" || !/^SIG[A-Z\d]+$/.test(signal) || /^SIG(?:KILL|STOP)$/.test(signal)) {
      throw new HindcastError(
        "invalid-options",
        `hindcast({ shutdown: { signals } }): ${JSON.stringify(signal)} is no signal one can listen to; give some such as "SIGTERM".`,
      );
    }
  }
  return { signals: [...signals], deadline: milliseconds(deadline, "hindcast({ shutdown: { deadline } })") };
}

export function modeOf(mode: ContractMode | undefined, what: string): ContractMode | undefined {
  if (mode !== undefined && mode !== "enforce" && mode !== "observe") {
    throw new HindcastError(
      "invalid-options",
      `${what} is ${JSON.stringify(mode)}: give "enforce" or "observe".`,
    );
  }
  return mode;
}

export function capturesOf({ capture = true }: HindcastOptions): Captures {
  if (capture === false) return new Map();
  const given = capture === true ? {} : capture;
  const captures = new Map<string, Capture>(
    [...BUILT_IN_CAPTURES].filter(([source]) => given[source] ?? !ON_DEMAND.has(source)),
  );
  for (const [name, value] of Object.entries(given)) {
    if (BUILT_IN_CAPTURES.has(name as BuiltInSource)) mustBeSwitch(name, value);
    else if (value === undefined || value === false) mustBeKnown(name, value);
    else captures.set(name, captureOf(name, value));
  }
  return captures;
}

function mustBeSwitch(name: string, given: unknown): void {
  if (given === undefined || typeof given === "boolean") return;
  throw new HindcastError(
    "invalid-options",
    `hindcast({ capture: { ${name} } }): give true or false; the library captures it by itself.`,
  );
}

/** What the library has a capture for. */
const GIVEN_CAPTURES = ["http", "pg", "knex", "redis", "undici", "mcp", "sqlite", "mysql", "mongodb"];

/** To leave away what there is no capture for is a mistake in writing. */
function mustBeKnown(name: string, given: false | undefined): void {
  if (given === undefined || GIVEN_CAPTURES.includes(name)) return;
  throw unknownSource(name);
}

function captureOf(name: string, given: unknown): Capture {
  const capture = given as Partial<Capture> | null;
  if (typeof capture !== "object" || typeof capture?.patch !== "function") {
    if (!GIVEN_CAPTURES.includes(name)) throw unknownSource(name);
    throw new HindcastError(
      "invalid-options",
      `hindcast({ capture: { ${name} } }): give ${name}Capture(…) of hindcast/${name}, or false.`,
    );
  }
  if (capture.name !== name) {
    throw new HindcastError(
      "invalid-options",
      `hindcast({ capture: { ${name} } }) is given the capture "${String(capture.name)}": give it under its own name, { ${String(capture.name)}: … }.`,
    );
  }
  return capture as Capture;
}

function unknownSource(name: string): HindcastError {
  const known = [...BUILT_IN_CAPTURES.keys(), ...GIVEN_CAPTURES].join(", ");
  return new HindcastError(
    "invalid-options",
    `hindcast({ capture }) has no source "${name}"; the sources are ${known}, and captures of your own.`,
  );
}

export function queueBytesOf({ queueBytes = DEFAULT_QUEUE_BYTES }: HindcastOptions): number {
  if (!Number.isSafeInteger(queueBytes) || queueBytes < 1) {
    throw new HindcastError(
      "invalid-options",
      `hindcast({ queueBytes: ${queueBytes} }): give a positive integer.`,
    );
  }
  return queueBytes;
}

export function mustBeSeedSource(seed: unknown, what: string): void {
  if (seed !== undefined && typeof seed !== "function") mustBeSeed(seed as number, what);
}

export function mustBeSeed(seed: number, what: string): number {
  if (!Number.isInteger(seed) || seed < 0 || seed > MAXIMUM_SEED) {
    throw new HindcastError(
      "invalid-options",
      `${what} is ${String(seed)}: give an integer from 0 to ${MAXIMUM_SEED}.`,
    );
  }
  return seed;
}

export function versionOf(
  source: VersionSource | undefined,
  required: boolean,
  stage: string,
  which: "data" | "model",
): VersionSource | undefined {
  if (source === undefined && !required) return undefined;
  if (typeof source === "function") return source;
  if (typeof source?.name !== "string" || typeof source.version !== "string") {
    throw new HindcastError(
      "invalid-options",
      `Stage "${stage}" needs ${which}: { name, version }, both text, or a function of its input that returns them.`,
    );
  }
  return source;
}
