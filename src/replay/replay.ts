/** Runs a program again under the conditions of a capsule, and says whether it did the same. */
import { watchUncaught } from "../ambient/uncaught.js";
import { captureAmbient, type Captures } from "../ambient/ambient.js";
import { type Capsule, rootCall, runIdOf } from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import type { ClassTable } from "../capsule/decode-value.js";
import { compareEnvironments, currentEnvironment } from "../capsule/environment.js";
import { type Duration, milliseconds } from "../duration.js";
import { HindcastError } from "../errors.js";
import { type ReplayHost, replayHostOf } from "../hindcast.js";
import { Recording } from "../record/recording.js";
import { convertInput } from "../stage/conversion.js";
import { Run } from "../stage/run.js";
import { type AnyFunction, callInRun } from "../stage/stage.js";
import { type Entry, entryOf } from "../stage/wrap.js";
import { ABANDONED } from "../streams/pull.js";
import { abandonStream } from "../streams/stage-stream.js";
import { streamKindOf } from "../streams/stream-kind.js";
import { CallSites } from "./call-sites.js";
import { declarationsOf, declaredChanges } from "./changes.js";
import { childCapsule } from "./child-capsule.js";
import { ComparedRun, type IsStageReplaced } from "./compared-run.js";
import { RunningComparison } from "./running-comparison.js";
import { type ConditionOptions, type Conditions, conditionsOf } from "./conditions.js";
import { type Divergence, firstDivergence, sameOutcome } from "./divergence.js";
import type { HiddenOutput } from "./hidden-state.js";
import { formatPath } from "../json-path.js";
import { MissingParts } from "./missing-parts.js";
import { type CapsuleSource, readCapsule } from "./read-capsule.js";
import type { ReplayOutcome } from "./replay-outcome.js";
import { recordedCaptures, refusal } from "./recorded-captures.js";
import { RecordedRun } from "./recorded-run.js";
import { type Asked, askingsOf, streamedOutcome } from "./streamed-outcome.js";
import { type Pace, ReplayingConductor, type Timeout } from "./replaying-conductor.js";
import { formatStale, restsOnStale, type StaleAnswer } from "./stale-answers.js";
import { isReplaced, type SubstituteOptions, Substitutes } from "./substitutes.js";
import { type TelemetryOfReplay, type TelemetryOptions, telemetryOfReplay } from "./telemetry-of-replay.js";
import { sameNumber, type Tolerance } from "./tolerance.js";

export interface ReplayOptions extends ConditionOptions, SubstituteOptions, TelemetryOptions {
  /** How far apart two numbers may be and still count as the same. Default: not at all. */
  readonly tolerance?: Tolerance;
  /** `this` for the entry, where it is a method. */
  readonly self?: unknown;
  /** `immediate` (the default): no time passes. `recorded`: each result is given when it came then. */
  readonly pace?: Pace;
  /** How long the recorded order is waited for when something else could go on. Default 1 s. */
  readonly patience?: Duration;
  /**
   * How long the replay may take in all. Without it, a replay is given up when nothing has happened for 5 s and twice as
   * long as the recorded run took; for 30 s more where an option lets something run for real.
   */
  readonly timeout?: Duration;
}

interface Replayed<Value> {
  /** How the replay ended. */
  readonly outcome: ReplayOutcome<Value>;
  /** How the recorded run ended. Its code may have been another, so its value's type is not known. */
  readonly recorded: ReplayOutcome<unknown>;
  /**
   * Whether both ended alike: in a what-if, whether the decision would have been the same. Undefined where that cannot be
   * said, since something was asked that the record has no answer to (`stale`).
   */
  readonly sameOutcome: boolean | undefined;
  /** The replay, as a capsule with an id of its own. `storedCapsule` makes of it what a store takes. */
  readonly replayed: Capsule;
  /** What the options changed: `another input`, `seed 7 -> 8`, `stage risk: a function`. */
  readonly given: readonly string[];
  /** What of the environment is another: `node 20.20.2 -> 24.9.0`. */
  readonly environment: readonly string[];
  /** What was declared otherwise, the environment first: `stage risk: model risk@7 -> risk@8`. */
  readonly changes: readonly string[];
  /** What was asked that the record has no answer to, in order, and what was given. */
  readonly stale: readonly StaleAnswer[];
  /** Effects that were given what is recorded with the same input at another place. */
  readonly notes: readonly string[];
}

/** What a replay concludes. */
export type ReplayResult<Value = unknown> =
  /** The same stage outputs, the same order of observations, the same outcome. */
  | (Replayed<Value> & { readonly verdict: "identical" })
  /** Something was different: here is where it began. */
  | (Replayed<Value> & { readonly verdict: "diverged"; readonly divergence: Divergence })
  /** It could not be told. `divergence` is what was seen, where anything was. */
  | (Replayed<Value> & {
      readonly verdict: "unresolved";
      /**
       * `incomplete`: the capsule does not hold all that the program needs; `opaque`: all that is recorded is the same, and a
       * stage gave something that no record can hold; `stale`: a what-if asked what the record has no answer to, and was
       * refused or given the answer to another question; `stalled`: the replay did not come to an end.
       */
      readonly reason: "incomplete" | "opaque" | "stale" | "stalled";
      readonly message: string;
      readonly divergence: Divergence | undefined;
    });

/** The arguments that the run was called with, decoded anew. */
export function inputOf(capsule: Capsule, classes?: ClassTable): unknown[] {
  return rootCall(capsule).input.map((reference) => valueAt(capsule, reference, classes));
}

/** How the run ended, decoded anew; a stream is there to be read again. */
export function outcomeOf(capsule: Capsule, classes?: ClassTable): ReplayOutcome {
  const { outcome } = rootCall(capsule);
  if (outcome.status === "pending") return outcome;
  const value = valueAt(capsule, outcome.value, classes);
  if (outcome.status === "error") return { status: "error", error: value };
  return { status: "ok", value: streamedOutcome(capsule, value, classes) };
}

/**
 * Replays a capsule against its entry: the pipeline, or the stage, that was the root of the run.
 * Effects are given as recorded; nothing outside is touched unless `options` says so by name.
 *
 * Throws `replay-entry` where the entry is not the capsule's, `replay-capsule` where an option names
 * a stage or effect that neither the capsule has nor the replay comes to, and what `readCapsule` throws.
 */
export async function replay<F extends AnyFunction>(
  source: CapsuleSource,
  entry: F,
  options: ReplayOptions = {},
): Promise<ReplayResult<Awaited<ReturnType<F>>>> {
  const capsule = readCapsule(source);
  const found = entryFor(capsule, entry);
  const host = replayHostOf(found.host);
  const substitutes = new Substitutes(capsule, options);
  const conditions = conditionsOf(capsule, options);
  const isSame = sameNumber(options.tolerance, "replay({ tolerance })");
  const missing = new MissingParts();
  const recorded = new RecordedRun(conditions.capsule, host.classes, missing);
  const captures = await recordedCaptures(capsule, host.captures);

  let stuck = (): void => undefined;
  const gaveUp = new Promise<Executed>((resolve) => {
    stuck = () => resolve({ status: "pending" });
  });
  const isStageReplaced: IsStageReplaced = (stage, ordinal) => isReplaced(substitutes.stage(stage, ordinal));
  const sites = new CallSites();
  const { events } = new ComparedRun(capsule, isStageReplaced);
  const comparison = new RunningComparison(recorded, events, isStageReplaced, sites.mark);
  const recording = new Recording({
    ...host.recordingOptions,
    limits: capsule.limits,
    captures: [...captures.keys()],
    ended: () => undefined,
    entered: comparison.entered,
  });
  const telemetry = telemetryOfReplay(capsule, options, host.recordingOptions.report);
  const conductor = new ReplayingConductor(recorded, recording, {
    substitutes,
    isSame,
    isAsRecorded: comparison.isAsRecorded,
    patience: milliseconds(options.patience ?? "1s", "replay({ patience })"),
    timeout: timeoutOf(options, capsule, substitutes),
    pace: paceOf(options.pace),
    stuck,
    report: host.recordingOptions.report,
  });
  // The instance may have been closed, and have let go of what it captures.
  const release = captureAmbient(captures);
  watchUncaught();
  let outcome: Executed;
  try {
    const refused = refusal(capsule, captures);
    const refuse = (): never => {
      throw refused;
    };
    const executed = execute(
      host,
      refused === undefined ? found : { ...found, body: refuse },
      recorded,
      conditions,
      recording,
      conductor,
      captures,
      options.self,
      telemetry,
    );
    outcome = await Promise.race([executed, gaveUp]);
  } finally {
    conductor.stop();
    release();
  }

  const given = [...conditions.changes, ...substitutes.given];
  substitutes.mustBeThere();
  const { stale, notes } = conductor;
  const isKnown = !restsOnStale(stale);
  const changes = declaredChanges(capsule, declarationsOf(recording));
  let made: Capsule | undefined;
  // When it is asked for: to make it takes about as long as the rest of a replay.
  const child = (): Capsule =>
    (made ??= childCapsule(capsule, recording, (stage) => isReplaced(substitutes.wholeStage(stage)), [
      ...given,
      ...changes,
      ...stale.filter((answer) => answer.given === "recorded").map(changeOf),
    ]));
  // A replay that was given up is over, though its program may go on, and into the same recording.
  const asRecorded = comparison.isSame && recording.closed;
  const recordedEnd = recordedOutcome(capsule, host, missing);
  // Where a difference could not be seen, that none was seen says nothing.
  const isSameEnd = (): boolean | undefined =>
    (asRecorded || sameOutcome(capsule, child(), isSame)) && (conductor.hidden === undefined || undefined);
  const isBlind = asRecorded || missing.isUnreadable;
  const divergence = isBlind
    ? undefined
    : firstDivergence(capsule, child(), {
        isStageReplaced,
        isEffectReplaced: (call, effect) => conductor.isEffectReplaced(call, effect),
        isSame,
        changed: conditions.changed,
        isReplay: true,
        missing: missing.message,
        siteOf: ({ kind, index }) => sites.of(kind, index),
      });
  const result: Replayed<unknown> = {
    outcome: outcome === "streamed" ? outcomeOf(child(), host.classes) : outcome,
    recorded: recordedEnd,
    sameOutcome: isKnown && !missing.isUnreadable ? isSameEnd() : undefined,
    given,
    environment: compareEnvironments(capsule.environment, currentEnvironment()),
    changes,
    stale,
    notes,
    get replayed() {
      return child();
    },
  };
  // The value is what the entry just returned.
  const isWhatIf = conditions.changes.length > 0 || substitutes.isWhatIf;
  return conclude(capsule, result, divergence, missing, conductor.hidden, isWhatIf) as ReplayResult<
    Awaited<ReturnType<F>>
  >;
}

/** Adds the verdict to `result`. Not a copy: its capsule is made when somebody asks for it. */
function conclude(
  capsule: Capsule,
  result: Replayed<unknown>,
  divergence: Divergence | undefined,
  missing: MissingParts,
  hidden: HiddenOutput | undefined,
  isWhatIf: boolean,
): ReplayResult {
  // Where the capsule says that it is exact, what it does not hold is a finding, and no excuse; unless it was read.
  const isExcused =
    divergence?.cause === "uncontrolled" && (!capsule.replayable.exact || missing.message !== undefined);
  if (isExcused || missing.isUnreadable) {
    const said = capsule.replayable.reasons.map((reason) => reason.message);
    const reasons = (missing.message === undefined ? said : [missing.message, ...said]).join(" ");
    const message = `The capsule does not hold all that the program needs, so nothing can be concluded. ${reasons}`;
    return Object.assign(result, {
      verdict: "unresolved" as const,
      reason: "incomplete" as const,
      message,
      divergence,
    });
  }
  // Without a what-if the first divergence is known all the same: what follows does not change it.
  if (restsOnStale(result.stale) && (isWhatIf || divergence === undefined)) {
    const asked = result.stale.filter(({ given }) => given !== "live");
    const more = asked.length === 1 ? "" : `, and ${asked.length - 1} more`;
    return Object.assign(result, {
      verdict: "unresolved" as const,
      reason: "stale" as const,
      message:
        `The replay asked what the record has no answer to, so it is not known what would have come of it: ` +
        `${formatStale(asked[0] as StaleAnswer)}${more}. Let it be asked for real, or give a function in its place.`,
      divergence,
    });
  }
  if (divergence !== undefined) return Object.assign(result, { verdict: "diverged" as const, divergence });
  // A recorded replay may not have come to its end; then this one has done the same.
  if (result.outcome.status === "pending" && result.recorded.status !== "pending") {
    const message =
      "The replay did everything that is recorded, and then did not come to its end: " +
      "it waits for something that is not declared as an effect, or for longer than `timeout`.";
    return Object.assign(result, {
      verdict: "unresolved" as const,
      reason: "stalled" as const,
      message,
      divergence: undefined,
    });
  }
  if (hidden !== undefined) {
    return Object.assign(result, {
      verdict: "unresolved" as const,
      reason: "opaque" as const,
      message: opaqueMessage(hidden),
      divergence: undefined,
    });
  }
  return Object.assign(result, { verdict: "identical" as const });
}

function opaqueMessage({ stage, path, what }: HiddenOutput): string {
  const place = path.length === 0 ? "" : ` at ${formatPath(path)}`;
  return (
    `All that is recorded is the same, but what stage "${stage}" gave holds ${what}${place}, which no record can hold, ` +
    "so it is not known whether that is the same: give the stage `record`, or let it give plain data."
  );
}

/** How the recorded run ended. A value that cannot be read is told of, and given as the error that says so. */
function recordedOutcome(capsule: Capsule, { classes }: ReplayHost, missing: MissingParts): ReplayOutcome {
  try {
    return outcomeOf(capsule, classes);
  } catch (error) {
    const { outcome } = rootCall(capsule);
    if (outcome.status !== "pending") missing.unreadable(outcome.value);
    return { status: "error", error };
  }
}

async function execute(
  host: ReplayHost,
  { definition, body }: Entry,
  recorded: RecordedRun,
  conditions: Conditions,
  recording: Recording,
  conductor: ReplayingConductor,
  captures: Captures,
  self: unknown,
  telemetry: TelemetryOfReplay,
): Promise<Executed> {
  const { capsule } = recorded;
  const run = new Run({
    owner: host,
    id: runIdOf(capsule),
    seed: capsule.seed,
    startedAt: capsule.startedAt,
    definition,
    listeners: [...telemetry.listeners, recording, conductor],
    conductor,
    captures,
    report: () => undefined,
  });
  // The program may ask for its run's id and trace, and must be told the same.
  run.trace = capsule.trace;
  const end = new Promise<void>((resolve) => run.atEnd(resolve));
  const recordedInput = (): readonly unknown[] =>
    convertInput(definition.revive, recorded.input(), host.recordingOptions.report);
  let input: readonly unknown[] = [];
  let entered = body;
  try {
    input = conditions.input ?? recordedInput();
  } catch (error) {
    // It has been told of; the program must not run with anything else.
    entered = () => {
      throw error;
    };
  }
  try {
    const value: unknown = await telemetry.within(() =>
      callInRun(run, undefined, definition, entered, self, input),
    );
    if (run.closed) return { status: "ok", value };
    // A stream: the record tells how it was read.
    if (streamKindOf(value) === "generator") readAgain(value as Generator, askingsOf(capsule, host.classes));
    await end;
    return "streamed";
  } catch (error) {
    return { status: "error", error };
  }
}

/** How the root ended; `streamed` where what it returned has been read to its end, and is in the record. */
type Executed = ReplayOutcome | "streamed";

/** Reads a stream whose items come at once as it was read. */
function readAgain(stream: Generator, askings: readonly Asked[]): void {
  for (const { method, input } of askings) {
    try {
      if (method === ABANDONED) abandonStream(stream);
      else Reflect.apply(stream[method], stream, input);
    } catch {
      return; // it is in the record of the replay, and is the end of the stream
    }
  }
}

function paceOf(pace: Pace = "immediate"): Pace {
  if (pace !== "immediate" && pace !== "recorded") {
    throw new HindcastError(
      "invalid-options",
      `replay({ pace: ${JSON.stringify(pace)} }): give "immediate" or "recorded".`,
    );
  }
  return pace;
}

function entryFor(capsule: Capsule, entry: AnyFunction): Entry {
  const found = entryOf(entry);
  if (found === undefined) {
    throw new HindcastError(
      "replay-entry",
      `The entry is not a wrapped function: give the pipeline "${capsule.pipeline}" itself, as hc.pipeline() returned it ` +
        "(a bound or re-wrapped copy is another function; for a method use { self }).",
    );
  }
  if (found.definition.name !== capsule.pipeline) {
    throw new HindcastError(
      "replay-entry",
      `The capsule is of "${capsule.pipeline}", the entry is "${found.definition.name}": give the entry it was recorded from.`,
    );
  }
  return found;
}

/** What live code may take, in milliseconds, without a sign of life. */
const TIMEOUT = 5_000;
const TIMEOUT_OF_LIVE = 30_000;

function timeoutOf({ timeout }: ReplayOptions, capsule: Capsule, substitutes: Substitutes): Timeout {
  if (timeout !== undefined) {
    return {
      milliseconds: Math.min(milliseconds(timeout, "replay({ timeout })"), MAXIMUM_TIMER),
      inAll: true,
    };
  }
  const recorded = (2 * rootCall(capsule).duration) / 1000;
  const live = substitutes.mayTakeTime() ? TIMEOUT_OF_LIVE : 0;
  return { milliseconds: Math.min(TIMEOUT + recorded + live, MAXIMUM_TIMER), inAll: false };
}

/** Node's timers take no more milliseconds. */
const MAXIMUM_TIMER = 2 ** 31 - 1;

/** Without a recorded value, as it is kept with the replay's capsule. */
function changeOf({ effect, call }: StaleAnswer): string {
  return effect === undefined
    ? `stale answer of stage ${call}`
    : `stale answer of effect ${effect} in ${call}`;
}
