/** Runs a program again under the conditions of a capsule, and says whether it did the same. */
import { captureAmbient } from "../ambient/ambient.js";
import { type Capsule, isReadableFormat, rootCall } from "../capsule/capsule.js";
import { decodeCapsule, valueAt } from "../capsule/decode-capsule.js";
import type { ClassTable } from "../capsule/decode-value.js";
import { type Duration, milliseconds } from "../duration.js";
import { HindcastError } from "../errors.js";
import { type ReplayHost, replayHostOf } from "../hindcast.js";
import { createRunId } from "../ids.js";
import { Recording } from "../record/recording.js";
import { convertInput } from "../stage/conversion.js";
import { Run } from "../stage/run.js";
import { type AnyFunction, callInRun } from "../stage/stage.js";
import { type Entry, entryOf } from "../stage/wrap.js";
import type { StoredCapsule } from "../stores/store.js";
import { declaredChanges } from "./changes.js";
import { type Divergence, firstDivergence, sameOutcome } from "./divergence.js";
import { sealNow } from "./record-run.js";
import { RecordedRun } from "./recorded-run.js";
import { ReplayingConductor, type Substitute } from "./replaying-conductor.js";

/** A capsule, as a store gives it, as bytes, or read. */
export type CapsuleSource = StoredCapsule | Uint8Array | Capsule;

export interface ReplayOptions {
  /**
   * By stage: `"live"` runs its code (the default), `"recorded"` gives what is recorded of it, and a
   * function stands in for it.
   */
  readonly stages?: Readonly<Record<string, Substitute>>;
  /** By effect: `"recorded"` (the default), `"live"` to touch the outside world, or a function that stands in for it. */
  readonly effects?: Readonly<Record<string, Substitute>>;
  /** `this` for the entry, where it is a method. */
  readonly self?: unknown;
  /** How long the recorded order is waited for when something else could go on. Default 1 s. */
  readonly patience?: Duration;
  /** How long live code may take without a sign of life. Default 60 s. */
  readonly timeout?: Duration;
}

/** How the root ended; `pending` where it did not. */
export type ReplayOutcome<Value = unknown> =
  | { readonly status: "ok"; readonly value: Value }
  | { readonly status: "error"; readonly error: unknown }
  | { readonly status: "pending" };

interface Replayed<Value> {
  /** How the replay ended. */
  readonly outcome: ReplayOutcome<Value>;
  /** How the recorded run ended. Its code may have been another, so its value's type is not known. */
  readonly recorded: ReplayOutcome<unknown>;
  /** Whether both ended alike: in a what-if, whether the decision would have been the same. */
  readonly sameOutcome: boolean;
  /** The replay, as a capsule with an id of its own. */
  readonly replayed: Capsule;
  /** What was declared otherwise: `node 20.20.2 -> 24.9.0`, `stage risk: model risk@7 -> risk@8`. */
  readonly changes: readonly string[];
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
      /** `incomplete`: the capsule does not hold all that the program needs; `stalled`: the replay did not come to an end. */
      readonly reason: "incomplete" | "stalled";
      readonly message: string;
      readonly divergence: Divergence | undefined;
    });

/** The arguments that the run was called with, decoded anew. */
export function inputOf(capsule: Capsule, classes?: ClassTable): unknown[] {
  return rootCall(capsule).input.map((reference) => valueAt(capsule, reference, classes));
}

/** How the run ended, decoded anew. */
export function outcomeOf(capsule: Capsule, classes?: ClassTable): ReplayOutcome {
  const { outcome } = rootCall(capsule);
  if (outcome.status === "pending") return outcome;
  const value = valueAt(capsule, outcome.value, classes);
  return outcome.status === "ok" ? { status: "ok", value } : { status: "error", error: value };
}

/** Opens a capsule. Throws `capsule-damaged`, `capsule-newer` or `capsule-shape`. */
export function readCapsule(source: CapsuleSource): Capsule {
  if (source instanceof Uint8Array) return decodeCapsule(source);
  if ("bytes" in source && source.bytes instanceof Uint8Array) return decodeCapsule(source.bytes);
  if ("format" in source && isReadableFormat(source.format)) return source;
  throw new HindcastError(
    "replay-capsule",
    "Not a capsule: give what a store's get() or find() returned, its bytes, or what readCapsule() returned.",
  );
}

/**
 * Replays a capsule against its entry: the pipeline, or the stage, that was the root of the run.
 * Effects are given as recorded; nothing outside is touched unless `options` says so by name.
 *
 * Throws `replay-entry` where the entry is not the capsule's, `replay-capsule` where an option names
 * what the capsule does not have, and what `readCapsule` throws.
 */
export async function replay<F extends AnyFunction>(
  source: CapsuleSource,
  entry: F,
  options: ReplayOptions = {},
): Promise<ReplayResult<Awaited<ReturnType<F>>>> {
  const capsule = readCapsule(source);
  const found = entryFor(capsule, entry);
  const host = replayHostOf(found.host);
  const stages = substitutes(
    options.stages,
    "stage",
    capsule.stages.map((stage) => stage.name),
  );
  const effects = substitutes(
    options.effects,
    "effect",
    capsule.effects.map((effect) => effect.name),
  );
  const recorded = new RecordedRun(capsule, host.classes);

  let stuck = (): void => undefined;
  const gaveUp = new Promise<ReplayOutcome>((resolve) => {
    stuck = () => resolve({ status: "pending" });
  });
  const recording = new Recording({
    ...host.recordingOptions,
    limits: capsule.limits,
    ended: () => undefined,
  });
  const conductor = new ReplayingConductor(recorded, recording, {
    stages,
    effects,
    patience: milliseconds(options.patience ?? "1s", "replay({ patience })"),
    timeout: milliseconds(options.timeout ?? "60s", "replay({ timeout })"),
    stuck,
    report: host.recordingOptions.report,
  });
  // The instance may have been closed, and have let go of what it captures.
  const release = captureAmbient(host.captures);
  let outcome: ReplayOutcome;
  try {
    const executed = execute(host, found, recorded, recording, conductor, options.self);
    outcome = await Promise.race([executed, gaveUp]);
  } finally {
    conductor.stop();
    release();
  }

  const replayed = { ...sealNow(recording, "replay"), id: createRunId() };
  const result: Replayed<unknown> = {
    outcome,
    recorded: outcomeOf(capsule, host.classes),
    sameOutcome: sameOutcome(capsule, replayed),
    replayed,
    changes: declaredChanges(capsule, replayed),
  };
  const concluded = conclude(capsule, result, firstDivergence(capsule, replayed, stages, effects));
  // The value is what the entry just returned.
  return concluded as ReplayResult<Awaited<ReturnType<F>>>;
}

function conclude(
  capsule: Capsule,
  result: Replayed<unknown>,
  divergence: Divergence | undefined,
): ReplayResult {
  if (divergence?.cause === "uncontrolled") {
    const reasons = capsule.replayable.reasons.map((reason) => reason.message).join(" ");
    const message = `The capsule does not hold all that the program needs, so nothing can be concluded. ${reasons}`;
    return { ...result, verdict: "unresolved", reason: "incomplete", message, divergence };
  }
  if (divergence !== undefined) return { ...result, verdict: "diverged", divergence };
  if (result.outcome.status === "pending") {
    const message =
      "The replay did everything that is recorded, and then did not come to its end: " +
      "it waits for something that is not declared as an effect, or for longer than `timeout`.";
    return { ...result, verdict: "unresolved", reason: "stalled", message, divergence: undefined };
  }
  return { ...result, verdict: "identical" };
}

async function execute(
  host: ReplayHost,
  { definition, body }: Entry,
  recorded: RecordedRun,
  recording: Recording,
  conductor: ReplayingConductor,
  self: unknown,
): Promise<ReplayOutcome> {
  const { capsule } = recorded;
  const run = new Run({
    owner: host,
    id: capsule.id,
    seed: capsule.seed,
    startedAt: capsule.startedAt,
    definition,
    listeners: [recording, conductor],
    conductor,
    captures: host.captures,
    report: () => undefined,
  });
  // The program may ask for its run's id and trace, and must be told the same.
  run.trace = capsule.trace;
  const input = convertInput(definition.revive, inputOf(capsule, host.classes), host.recordingOptions.report);
  try {
    return { status: "ok", value: await callInRun(run, undefined, definition, body, self, input) };
  } catch (error) {
    return { status: "error", error };
  }
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

function substitutes(
  given: Readonly<Record<string, Substitute>> = {},
  what: "stage" | "effect",
  known: readonly string[],
): ReadonlyMap<string, Substitute> {
  const names = [...new Set(known)];
  for (const [name, substitute] of Object.entries(given)) {
    if (!names.includes(name)) {
      throw new HindcastError(
        "replay-capsule",
        `The capsule has no ${what} "${name}"; it has: ${names.length === 0 ? "none" : names.join(", ")}.`,
      );
    }
    if (substitute !== "recorded" && substitute !== "live" && typeof substitute !== "function") {
      throw new HindcastError(
        "invalid-options",
        `replay({ ${what}s: { "${name}": … } }): give "recorded", "live" or a function.`,
      );
    }
  }
  return new Map(Object.entries(given));
}
