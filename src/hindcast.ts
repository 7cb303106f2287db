/** Puts the layers together: `hindcast()` makes an instance, and an instance makes stages. */
import { propagation } from "@opentelemetry/api";
import { watchUncaught } from "./ambient/uncaught.js";
import { captureAmbient, installDormant, type Captures } from "./ambient/ambient.js";
import { nameBystanders } from "./ambient/bystander-packages.js";
import type { CallKind, Version } from "./capsule/capsule.js";
import { resolveLimits } from "./capsule/limits.js";
import type { RecordableClass } from "./capsule/decode-value.js";
import { consistsOf } from "./consists-of.js";
import { type ContractMode, createContract } from "./contract/contract.js";
import { type Duration, milliseconds } from "./duration.js";
import {
  createClock,
  createEffect,
  createEffects,
  type EffectMethods,
  type EffectOptions,
} from "./effects/effect.js";
import { createBystander } from "./effects/create-bystander.js";
import { createShared } from "./effects/shared.js";
import { Turns } from "./effects/turns.js";
import { ContractViolation, HindcastError } from "./errors.js";
import {
  bystandersOf,
  MAXIMUM_SEED,
  capturesOf,
  modeOf,
  mustBeHooks,
  mustBeSeed,
  mustBeSeedSource,
  queueBytesOf,
  revisionOf,
  rulesOf,
  serviceOf,
  shutdownOf,
  storeOf,
  versionOf,
  type HindcastOptions,
} from "./hindcast-options.js";
import { createRunId, drawSeed } from "./ids.js";
import { clearTimeoutOriginal, mathRandom, setTimeoutOriginal, wallClock } from "./originals.js";
import { CapsuleQueue, type LossReason, type Losses } from "./record/capsule-queue.js";
import { FailureReport } from "./record/failure-report.js";
import { type KeepRule, worthOf } from "./record/keep.js";
import { Recording, type RecordingOptions, type RunSummary } from "./record/recording.js";
import { RecordingConductor } from "./record/recording-conductor.js";
import { conversionOf } from "./stage/conversion.js";
import { createDecorator } from "./stage/decorator.js";
import type { Conversion, Definition, VersionSource } from "./stage/definition.js";
import { Run } from "./stage/run.js";
import { activeCallOf, detached } from "./stage/scopes.js";
import { isQuiet } from "./stage/quiet.js";
import type { Host } from "./stage/host.js";
import type { FailureSource, RunListener } from "./stage/seam.js";
import type { AnyFunction } from "./stage/stage.js";
import type {
  DataOptions,
  ModelOptions,
  PipelineOptions,
  StageFactory,
  VersionOptions,
} from "./stage/stage-options.js";
import { mustBeFunction, nameOf, wrapStage } from "./stage/wrap.js";
import type { Store } from "./stores/store.js";
import { SEED_BAGGAGE } from "./telemetry/names.js";
import { keepTelemetryQuiet } from "./telemetry/quiet-telemetry.js";
import { createSpanListener } from "./telemetry/spans.js";
import { unawaited } from "./unawaited.js";
import { LIBRARY_VERSION } from "./version.js";

/** The run that the current code is part of. */
export interface CurrentRun {
  /** The run's id, and its capsule's. */
  readonly id: string;
  readonly traceId: string | undefined;
  readonly seed: number;
  readonly pipeline: string;
  /** The innermost stage. */
  readonly stage: string;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
}

/** Counters since the instance was made. Every run is in one of `discarded`, `waiting`, `stored`, `lost` once it has ended. */
export interface HindcastStats {
  readonly runs: {
    readonly started: number;
    readonly ended: number;
    /** Ended, and kept by no rule. */
    readonly discarded: number;
    /** Ended, and not exactly replayable: their capsules say why. */
    readonly inexact: number;
  };
  readonly capsules: {
    /** On their way to the store. */
    readonly waiting: number;
    /** Acknowledged by the store. */
    readonly stored: number;
    readonly storedBytes: number;
    /** Kept, but lost: to a full queue, a failing codec, a failing store, the end of the process. */
    readonly lost: Losses;
    /** The same, by the rule that kept them; rules that lost nothing are not there. */
    readonly lostByRule: Readonly<Record<string, Losses>>;
  };
  /** Failures that were caught, by where. */
  readonly failures: Readonly<Record<FailureSource, number>>;
}

export interface FlushOptions {
  /** How long a store may take that does not answer. Default 30 s. */
  readonly timeout?: Duration;
}

export interface Hindcast extends AsyncDisposable {
  readonly store: Store;
  readonly ingest: StageFactory<DataOptions & VersionOptions>;
  readonly feature: StageFactory<DataOptions & VersionOptions>;
  readonly infer: StageFactory<ModelOptions & VersionOptions>;
  readonly decide: StageFactory<VersionOptions>;
  readonly tool: StageFactory<VersionOptions>;
  readonly agent: StageFactory<VersionOptions>;
  /** A function in which stages run; a call of it from outside is the root of a run. */
  readonly pipeline: StageFactory<PipelineOptions & VersionOptions>;
  /** Declares a function to read from the outside world. */
  effect<F extends AnyFunction>(options: EffectOptions, body: F): F;
  /** Declares methods of a client to do so, as effects named `<name>.<method>`. */
  effects<C extends object, M extends keyof C & string>(
    name: string,
    client: C,
    methods: EffectMethods<M>,
  ): C;
  /**
   * Declares state that runs share: a Map, a cache, a counter, a DataLoader, a memoised function. What a run reads and
   * writes of it is recorded, as effects named `<name>.<method>` and `<name>.<property>`; a replay is given that, and
   * never touches the object. A function is an effect itself; what it gives that is no plain data, such as a client,
   * is the process's own in a replay as well.
   */
  shared<S extends object>(name: string, state: S): S;
  /**
   * Declares a function to be no part of the program: it traces, logs or measures. Nothing of what it reads is captured,
   * and a replay calls it as well. It must not call the program back, and the program must not go on by what it gives.
   */
  bystander<F extends AnyFunction>(body: F): F;
  /** A float in [0, 1): from the stage's seeded stream within a run, from `Math.random` outside. */
  random(): number;
  /** Milliseconds since the epoch; within a run the reading is recorded, and replayed. */
  now(): number;
  /** The run that the current code is part of; undefined outside of runs. */
  current(): CurrentRun | undefined;
  /** Resolves when everything kept so far has been stored, or lost and counted, or at the timeout. Never rejects. */
  flush(options?: FlushOptions): Promise<void>;
  /** Flushes, and closes the store. Stages go on working; their runs are no longer recorded. Never rejects. */
  close(options?: FlushOptions): Promise<void>;
  stats(): HindcastStats;
}

// What modules take that are imported after the library, lodash say, can then be captured.
installDormant();

const DEFAULT_FLUSH_TIMEOUT = 30_000;

/** Makes an instance. Throws `invalid-options` for options that make no sense, and never again after that. */
export function hindcast(options: HindcastOptions): Hindcast {
  return new Instance(options);
}

type AnyOptions = {
  readonly name?: string;
  readonly mode?: ContractMode;
  readonly data?: VersionSource;
  readonly model?: VersionSource;
  readonly input?: unknown;
  readonly output?: unknown;
  readonly seed?: Definition["seed"];
  readonly record?: Conversion;
  readonly revive?: Conversion;
};

/** What a replay needs of an instance. */
export interface ReplayHost extends Host {
  readonly recordingOptions: RecordingOptions;
  readonly captures: Captures;
  /** By name, those whose instances it can give back. */
  readonly classes: ReadonlyMap<string, RecordableClass>;
}

/** The instance a wrapped function belongs to. */
export function replayHostOf(host: Host): ReplayHost {
  if (host instanceof Instance) return host;
  throw new HindcastError(
    "replay-entry",
    "The entry was not wrapped by hindcast(): wrap it with hc.pipeline or a stage.",
  );
}

class Instance implements Hindcast, ReplayHost {
  readonly store: Store;
  readonly recordingOptions: RecordingOptions;
  readonly classes: ReadonlyMap<string, RecordableClass>;
  readonly captures: Captures;
  readonly ingest = this.#factory("ingest") as Hindcast["ingest"];
  readonly feature = this.#factory("feature") as Hindcast["feature"];
  readonly infer = this.#factory("infer") as Hindcast["infer"];
  readonly decide = this.#factory("decide") as Hindcast["decide"];
  readonly tool = this.#factory("tool") as Hindcast["tool"];
  readonly agent = this.#factory("agent") as Hindcast["agent"];
  readonly pipeline = this.#factory("pipeline") as Hindcast["pipeline"];
  readonly now = createClock(this);
  readonly random = (): number => activeCallOf(this)?.random() ?? mathRandom();
  readonly #keep: readonly KeepRule[];
  readonly #mode: ContractMode;
  readonly #seed: HindcastOptions["seed"];
  readonly #failures: FailureReport;
  readonly #queue: CapsuleQueue;
  readonly #releaseAmbient: () => void;
  readonly #waitUntil: HindcastOptions["waitUntil"];
  #releaseSignals: (() => void) | undefined;
  #started = 0;
  #ended = 0;
  #discarded = 0;
  #inexact = 0;
  #closing: Promise<void> | undefined;

  constructor(options: HindcastOptions) {
    if (typeof options !== "object" || options === null) {
      throw new HindcastError("invalid-options", "hindcast({ service }): the options are missing.");
    }
    const service = serviceOf(options);
    mustBeHooks(options);
    this.store = storeOf(options);
    this.#keep = rulesOf(options);
    this.#mode = modeOf(options.contracts, "hindcast({ contracts })") ?? "enforce";
    this.#seed = options.seed;
    mustBeSeedSource(options.seed, "hindcast({ seed })");
    this.#failures = new FailureReport(options.onError, options.logger);
    this.#queue = new CapsuleQueue(this.store, queueBytesOf(options), this.#report);
    // A program may see this library's own errors, in a replay above all.
    this.classes = new Map(
      [HindcastError, ContractViolation, ...(options.classes ?? [])].map((one) => [one.name, one]),
    );
    this.#waitUntil = options.waitUntil;
    const { signals, deadline } = shutdownOf(options);
    this.captures = capturesOf(options);
    this.recordingOptions = {
      service,
      writer: `hindcast ${LIBRARY_VERSION}`,
      revision: revisionOf(options),
      captures: [...this.captures.keys()],
      limits: resolveLimits(options.limits),
      classes: new Set(this.classes.keys()),
      ended: this.#runEnded,
      doubted: this.#runDoubted,
      report: this.#report,
    };
    // Last of all: an instance that could not be made leaves nothing patched.
    // One that keeps nothing records nothing, and has no use for patches, or for an encoder.
    const records = this.#keep.length > 0;
    nameBystanders(bystandersOf(options));
    this.#releaseAmbient = captureAmbient(records ? this.captures : new Map());
    if (records) watchUncaught();
    if (records) this.#queue.prepare();
    if (signals.length > 0) void this.#respondTo(signals, deadline);
  }

  async #respondTo(signals: readonly NodeJS.Signals[], deadline: number): Promise<void> {
    try {
      const { respondToSignals } = await import("./record/shutdown-signals.js");
      if (this.#closing !== undefined) return;
      this.#releaseSignals = respondToSignals(signals, {
        flush: () => this.flush({ timeout: deadline }),
        close: async () => {
          await this.close({ timeout: deadline });
          this.#queue.abandon();
        },
      });
    } catch (error) {
      this.#report("listener", error);
    }
  }

  open(root: Definition, input: readonly unknown[]): Run | undefined {
    try {
      return this.#open(root, input);
    } catch (error) {
      // A run that cannot be recorded is one that nobody listens to.
      this.#report("listener", error);
      return undefined;
    }
  }

  #open(root: Definition, input: readonly unknown[]): Run | undefined {
    // What a rule, a hook or a span processor does while it is told of a run is not a run.
    if (isQuiet()) return undefined;
    const recorded = this.#keep.length > 0 && this.#closing === undefined;
    const spans = this.#spanListener();
    if (recorded) this.#keepTelemetryQuiet();
    if (!recorded && spans === undefined) return undefined;
    this.#started += 1;
    const listeners: RunListener[] = [];
    // Spans come first: the recording then finds the trace that the run belongs to.
    if (spans !== undefined) listeners.push(spans);
    const turns = recorded ? new Turns() : undefined;
    const recording = turns && new Recording(this.recordingOptions, turns);
    listeners.push(recording ?? this.#counter);
    const startedAt = wallClock();
    return new Run({
      owner: this,
      id: createRunId(startedAt),
      seed: this.#seedOf(root, input),
      startedAt,
      definition: root,
      listeners,
      conductor: recording && turns && new RecordingConductor(recording, turns),
      captures: this.captures,
      report: this.#report,
    });
  }

  effect<F extends AnyFunction>(options: EffectOptions, body: F): F {
    return createEffect(this, options, body);
  }

  effects<C extends object, M extends keyof C & string>(
    name: string,
    client: C,
    methods: EffectMethods<M>,
  ): C {
    return createEffects(this, name, client, methods);
  }

  shared<S extends object>(name: string, state: S): S {
    return createShared(this, name, state, (className) => this.classes.has(className));
  }

  bystander<F extends AnyFunction>(body: F): F {
    return createBystander(body);
  }

  current(): CurrentRun | undefined {
    const call = activeCallOf(this);
    if (call === undefined) return undefined;
    const { run, definition, data, model } = call;
    return {
      id: run.id,
      traceId: run.trace?.traceId,
      seed: run.seed,
      pipeline: run.definition.name,
      stage: definition.name,
      data,
      model,
    };
  }

  flush({ timeout = DEFAULT_FLUSH_TIMEOUT }: FlushOptions = {}): Promise<void> {
    return within(this.#queue.drain(), milliseconds(timeout, "flush({ timeout })"));
  }

  close({ timeout = DEFAULT_FLUSH_TIMEOUT }: FlushOptions = {}): Promise<void> {
    const limit = milliseconds(timeout, "close({ timeout })");
    this.#closing ??= within(this.#closeStore(limit), limit);
    return this.#closing;
  }

  async #closeStore(limit: number): Promise<void> {
    this.#releaseAmbient();
    this.#releaseSignals?.();
    await within(this.#queue.drain(), limit);
    try {
      // Also where it has not taken everything in time: what it holds open may keep the process alive.
      await this.store.close();
    } catch (error) {
      this.#report("store", error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  stats(): HindcastStats {
    const { stored, lost } = this.#queue;
    const total: Record<LossReason, number> = { queue: 0, codec: 0, store: 0, exit: 0 };
    for (const losses of lost.values()) {
      for (const reason of Object.keys(total) as LossReason[]) total[reason] += losses[reason];
    }
    return {
      runs: {
        started: this.#started,
        ended: this.#ended,
        discarded: this.#discarded,
        inexact: this.#inexact,
      },
      capsules: {
        waiting: this.#queue.waiting,
        stored: stored.count,
        storedBytes: stored.bytes,
        lost: total,
        lostByRule: Object.fromEntries([...lost].map(([rule, losses]) => [rule, { ...losses }])),
      },
      failures: this.#failures.counts(),
    };
  }

  readonly #report = (source: FailureSource, error: unknown): void => this.#failures.report(source, error);

  readonly #counter: RunListener = {
    callStarted: () => undefined,
    callEnded: () => undefined,
    contractViolated: () => undefined,
    runEnded: () => {
      this.#ended += 1;
      this.#discarded += 1;
    },
  };

  readonly #runDoubted = (recording: Recording, message: string): void => {
    if (recording.reasons.length === 1) this.#inexact += 1;
    this.#failures.notice(message);
  };

  readonly #runEnded = (recording: Recording): void => {
    this.#ended += 1;
    // A rule that changed it would change what is stored.
    const summary = Object.freeze(recording.summary());
    if (!summary.exact) this.#inexact += 1;
    for (const { code, message } of recording.reasons) {
      if (code === "uncontrolled") this.#failures.notice(message);
    }
    const rule = this.#keep.find((candidate) => this.#keeps(candidate, summary));
    if (rule === undefined) {
      this.#discarded += 1;
      return;
    }
    const isOnItsWay = this.#queue.add(recording, summary, rule.name, worthOf(summary, rule));
    if (isOnItsWay && this.#waitUntil !== undefined) this.#tellToWait(this.#waitUntil);
  };

  #tellToWait(waitUntil: (stored: Promise<void>) => void): void {
    const stored = detached(() => within(this.#queue.drain(), DEFAULT_FLUSH_TIMEOUT, "unreferenced"));
    const failed = (error: unknown): void => this.#report("waitUntil", error);
    try {
      unawaited(waitUntil(stored), failed);
    } catch (error) {
      failed(error);
    }
  }

  #spanListener(): RunListener | undefined {
    try {
      return createSpanListener(LIBRARY_VERSION);
    } catch (error) {
      this.#report("listener", error);
      return undefined;
    }
  }

  #keepTelemetryQuiet(): void {
    try {
      keepTelemetryQuiet();
    } catch (error) {
      this.#report("listener", error);
    }
  }

  /** A rule that throws keeps nothing. */
  #keeps(rule: KeepRule, summary: RunSummary): boolean {
    try {
      const kept: unknown = rule.keeps(summary);
      // The promise may be rejected as well; that is the same failure, and counted once.
      if (unawaited(kept, () => undefined)) {
        throw new TypeError(`keep rule "${rule.name}" returned a promise: decide at once, from the summary`);
      }
      return kept === true;
    } catch (error) {
      this.#report("keep", error);
      return false;
    }
  }

  /** In this order: the pipeline's own, the caller's, the instance's, one drawn. */
  #seedOf(root: Definition, input: readonly unknown[]): number {
    try {
      const { seed } = root;
      if (seed !== undefined) return drawnSeed(typeof seed === "number" ? seed : seed(...(input as never[])));
      const inherited = propagation.getActiveBaggage()?.getEntry(SEED_BAGGAGE)?.value;
      if (inherited !== undefined && isSeed(inherited)) return Number(inherited);
      if (this.#seed !== undefined) {
        return drawnSeed(typeof this.#seed === "number" ? this.#seed : this.#seed());
      }
    } catch (error) {
      // A seed that cannot be had must not cost the service a decision.
      this.#report("seed", error);
    }
    return drawSeed();
  }

  #factory(kind: CallKind): unknown {
    return (options: AnyOptions, ...rest: unknown[]): unknown => {
      if (typeof options !== "object" || options === null) {
        throw new HindcastError(
          "invalid-options",
          `hc.${kind}(options, fn): the first argument is the options object.`,
        );
      }
      if (rest.length > 0) return this.#wrap(kind, options, rest[0]);
      return createDecorator((method, name) =>
        this.#wrap(kind, { ...options, name: options.name ?? name }, method),
      );
    };
  }

  #wrap(kind: CallKind, options: AnyOptions, body: unknown): AnyFunction {
    mustBeFunction(body, options.name ?? "", kind);
    const name = nameOf(options.name, body, kind);
    mustBeSeedSource(options.seed, `the seed of "${name}"`);
    return wrapStage(
      this,
      {
        name,
        kind,
        data: versionOf(options.data, kind === "ingest" || kind === "feature", name, "data"),
        model: versionOf(options.model, kind === "infer", name, "model"),
        input: options.input === undefined ? undefined : createContract(options.input, name, "input"),
        output: options.output === undefined ? undefined : createContract(options.output, name, "output"),
        mode: modeOf(options.mode, `the mode of "${name}"`) ?? this.#mode,
        record: conversionOf(options.record, `record of "${name}"`),
        revive: conversionOf(options.revive, `revive of "${name}"`),
        seed: options.seed,
      },
      body,
    );
  }
}

/** Baggage comes from outside, and may be anything. */
function isSeed(text: string): boolean {
  return text !== "" && text.length <= 10 && consistsOf(text, "0123456789") && Number(text) <= MAXIMUM_SEED;
}

/** What a seed function gave. It may have given a promise, and that may be rejected: it is no seed, and that is told. */
function drawnSeed(seed: number): number {
  unawaited(seed, () => undefined);
  return mustBeSeed(seed, "seed");
}

/** Waits for `work`, for so long at the most. Who waits for this keeps the process alive, or it would end without an answer. */
async function within(work: Promise<void>, limit: number, timerIs?: "unreferenced"): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeoutOriginal(resolve, limit);
    if (timerIs === "unreferenced") timer.unref();
  });
  await Promise.race([work, timeout]);
  clearTimeoutOriginal(timer);
}
