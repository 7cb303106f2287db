/**
 * What is known of one run while it goes on: snapshots, not bytes. Encoding waits until it is
 * decided that the run is kept, and happens off the path of the calls.
 *
 * Invariants
 * 1. Everything is entered in the order in which the program saw it; that order is the capsule's.
 * 2. A value is copied when it crosses a boundary, before anyone else can change it (G3).
 * 3. What is held is bounded by the limits (G8); what is over them is a marker, and counted.
 * 4. Nothing is entered once the root has settled.
 */
import type { Context } from "@opentelemetry/api";
import {
  type CapsuleSummary,
  type EventKind,
  type ReplayabilityReason,
  sameVersion,
  type Version,
  type ViolationRecord,
} from "../capsule/capsule.js";
import type { Limits } from "../capsule/limits.js";
import type { BuilderLog } from "../capsule/recorded-handle.js";
import { Marker, type MarkerReason } from "../capsule/marker.js";
import { heldCopy, type Held, isSimple, heldSize, type Snapshot, takeSnapshot } from "../capsule/snapshot.js";
import type { Side } from "../contract/contract.js";
import { packEvent } from "../capsule/wire.js";
import { callSite, siteOf } from "./call-site.js";
import type { ContractIssue } from "../errors.js";
import { formatPath } from "../json-path.js";
import { monotonicClock } from "../originals.js";
import { comesFromOutside } from "../ambient/body-source.js";
import { idMakerOf } from "../ambient/id-pools.js";
import { convertInput, convertOutput, type Report } from "../stage/conversion.js";
import type { Conversion, Definition, Outcome } from "../stage/definition.js";
import { quiet, quietly } from "../stage/quiet.js";
import { idleBeside, outerRuns, wakerOf, type WakingRun } from "../effects/waking.js";
import type { EffectCall, ObservedCall, ObservedRun, Place, RunListener, StreamItem } from "../stage/seam.js";

/** What all recordings of one instance have in common. */
export interface RecordingOptions {
  readonly service: { readonly name: string; readonly version: string | undefined };
  readonly writer: string;
  /** Of the source, where the instance was told it. */
  readonly revision: string | undefined;
  /** Names of what is captured. */
  readonly captures: readonly string[];
  readonly limits: Limits;
  /** Names of the classes whose instances a replay can give back. */
  readonly classes: ReadonlySet<string>;
  readonly ended: (recording: Recording) => void;
  /** Told why a run that has ended is not exact after all. */
  readonly doubted?: (recording: Recording, message: string) => void;
  readonly report: Report;
  /** Told of each event as it is entered; only a replay listens. */
  readonly entered?: (recording: Recording, kind: EventKind, index: number) => void;
}

/** Tells whether the program is running because something was handed to it; a replay always does. */
export interface Prompting {
  readonly open: boolean;
  /** How much the run has begun that has not been handed over. */
  readonly outstanding?: number;
  owner?: WakingRun | undefined;
  /** Called when the run has ended. */
  end?(): void;
}

/** What a run is judged by when it has ended. */
export type RunSummary = Omit<CapsuleSummary, "kept">;

export type OutcomeSnapshot =
  | { readonly status: "ok"; readonly value: Held }
  | { readonly status: "error"; readonly value: Held; readonly stack: string }
  | { readonly status: "pending" };

/** A stage, with the versions it was called with. */
export interface StageEntry {
  readonly definition: Definition;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
}

interface Begun {
  readonly at: number;
  duration: number;
  input: readonly Held[];
  outcome: OutcomeSnapshot;
  asynchronous: boolean;
  readonly unprompted: boolean;
}

export interface CallEntry extends Begun {
  readonly stage: number;
  readonly parent: number;
  readonly ordinal: number;
  delivered: boolean;
}

export interface EffectEntry extends Begun {
  readonly name: string;
  readonly call: number;
  readonly ordinal: number;
  readonly item: boolean;
  readonly read: boolean;
  delivered: boolean;
  joined: boolean;
  builder: BuilderLog | undefined;
}

/** Of a run, what its capsule says. */
type RecordedRun = Pick<ObservedRun, "id" | "seed" | "startedAt" | "definition" | "trace">;

/** A recording, looked at from outside. */
export interface RecordingContents {
  readonly run: RecordedRun;
  readonly options: RecordingOptions;
  readonly stages: readonly StageEntry[];
  readonly calls: readonly CallEntry[];
  readonly effects: readonly EffectEntry[];
  /** In order, as `unpackEvent` reads them: so many objects would be work for the garbage collector. */
  readonly events: readonly number[];
  readonly violations: readonly ViolationRecord[];
  readonly reasons: readonly ReplayabilityReason[];
}

/** What an entry costs encoded, besides its values. */
const ENTRY_BYTES = 64;
/** What an entry, and the run itself, take in memory beyond that until they are encoded. */
const HELD_BYTES_OF_ENTRY = 160;
const HELD_BYTES_OF_RUN = 4096;
/** Of a violation; an array of wrong items has one for each of them. */
const MAXIMUM_ISSUES = 100;
/** What to do where something is missing. */
const REMEDIES: Readonly<Record<MarkerReason, string>> = {
  depth: "raise limits.depth",
  entries: "raise limits.entries",
  bytes: "raise limits.valueBytes",
  capsule: "raise limits.capsuleBytes",
  function: "pass plain data in its place",
  symbol: "pass plain data in its place",
  unsupported: "pass plain data in its place",
  unreadable: "pass plain data in its place",
};
/** What items of streams are called in the record. */
const ITEM_NAME = "item";
const MAXIMUM_REASONS = 16;
const STACK_UNITS = 4096;
const NONE: readonly never[] = [];
const OVER: Prompting = { open: false };
const PENDING: OutcomeSnapshot = { status: "pending" };
/** What may go on when a run ends, and carries nobody's data. */
const TIMERS = new Set(["setTimeout", "setInterval", "setImmediate"]);
/** How one run comes to wake another, and what to do. */
const HANDED_OVER =
  "they share a queue, a batcher or a promise. Declare it with hc.shared(), make what is put into it an effect with " +
  "hc.effect(), or bind the work to its own run with AsyncResource.bind().";

export class Recording implements RunListener, WakingRun {
  readonly #options: RecordingOptions;
  #prompting: Prompting;
  readonly #startedAt = monotonicClock();
  readonly #stages: StageEntry[] = [];
  readonly #calls: CallEntry[] = [];
  readonly #effects: EffectEntry[] = [];
  readonly #events: number[] = [];
  #violations: ViolationRecord[] | undefined;
  #reasons: ReplayabilityReason[] | undefined;
  /** Of the effects that have one, by index. */
  #effectConversions: Map<number, Conversion> | undefined;
  #run: RecordedRun | undefined;
  #violationCount = 0;
  #size = 0;
  #closed = false;
  #full = false;
  /** Whether it has ended, and is being encoded: nothing can be said of it any more. */
  #sealed = false;
  #outer: readonly string[] = NONE;

  constructor(options: RecordingOptions, prompting: Prompting = { open: true }) {
    this.#options = options;
    this.#prompting = prompting;
    prompting.owner = this;
  }

  get id(): string {
    return this.#run?.id ?? "";
  }

  get pipeline(): string {
    return this.#run?.definition.name ?? "";
  }

  get outer(): readonly string[] {
    return this.#outer;
  }

  get infers(): boolean {
    return this.#calls.some(
      ({ outcome, stage }) => outcome === PENDING && this.#stages[stage]?.definition.kind === "infer",
    );
  }

  /** A call of the run has settled, and its run had nothing to do with that: perhaps another one had. */
  mayBeWoken(call: ObservedCall): void {
    const waker = this.#closed ? undefined : wakerOf(call);
    if (waker !== undefined)
      this.#wokenByRun(call, `Stage "${call.definition.name}" ended`, undefined, waker);
  }

  #wokenByRun(call: ObservedCall, what: string, site: string | undefined, waker: WakingRun): void {
    waker.worked(this.pipeline, false);
    if (this.#isUncontrolled(call)) return;
    const { name } = call.definition;
    (this.#reasons ??= []).push({
      code: "uncontrolled",
      name,
      message: `${what}${at(site)} in a turn of another run, of pipeline "${waker.pipeline}": ${HANDED_OVER}`,
    });
  }

  worked(pipeline: string, may: boolean): void {
    const name = this.pipeline;
    const isTold = this.reasons.some((reason) => reason.code === "uncontrolled" && reason.name === name);
    if (this.#sealed || isTold || this.reasons.length >= MAXIMUM_REASONS) return;
    const what = may
      ? `When it ended, work that "${name}" had begun went on, and another run, of pipeline "${pipeline}", waited for ` +
        "what it had not begun itself. It may be that run's work, with its data: "
      : `In a turn of "${name}" another run, of pipeline "${pipeline}", went on. What belongs to that run may be in this capsule: `;
    const reason = { code: "uncontrolled", name, message: what + HANDED_OVER } as const;
    (this.#reasons ??= []).push(reason);
    if (this.#closed) this.#options.doubted?.(this, reason.message);
  }

  /** Estimated bytes of memory held until the run is encoded. */
  get size(): number {
    return HELD_BYTES_OF_RUN + this.#events.length * HELD_BYTES_OF_ENTRY + this.#size;
  }

  callStarted(call: ObservedCall, input: readonly unknown[], _context: Context): undefined {
    if (this.#closed) return;
    this.#run = call.run;
    if (this.#isFull(call.definition.name)) return;
    const isRoot = call.parent === undefined;
    const snapshots = this.#takeAll(input, call.definition.record, isRoot ? comesFromOutside : undefined);
    // What a root is given, a replay must give it again; what a stage is given, the program makes anew.
    if (isRoot) {
      for (const snapshot of snapshots) {
        if (!isThing(snapshot)) this.#judge(snapshot, call.definition.name, "The input of");
      }
    }
    if (isRoot && call.outer !== undefined) this.#outer = outerRuns(call);
    // A run begins by its root, whatever that was called by.
    const unprompted = call.parent !== undefined && !this.#prompting.open;
    if (unprompted) {
      const site = callSite();
      const { name } = call.definition;
      this.#wokenBy(call, `Stage "${name}" began`, site);
      // Who waited for it is the one that called: what it was given shows there.
      if (call.parent !== undefined) {
        const { name: waiting } = call.parent.definition;
        this.#wokenBy(call.parent, `"${waiting}" waited, and then called stage "${name}"`, site);
      }
    }
    this.#calls[call.index] = {
      stage: this.#stageIndex(call),
      parent: call.parent?.index ?? -1,
      ordinal: call.ordinal,
      at: this.#now(),
      duration: 0,
      input: snapshots,
      outcome: PENDING,
      asynchronous: true,
      delivered: false,
      unprompted,
    };
    this.#enter("call-start", call.index);
    const idMaker = idMakerOf(call.definition);
    if (idMaker !== undefined && this.#prompting.outstanding !== undefined)
      this.askedUndeclared(call, idMaker, undefined);
  }

  callEnded(call: ObservedCall, outcome: Outcome, delivered: boolean): void {
    const entry = this.#calls[call.index];
    if (this.#closed || entry === undefined) return;
    entry.duration = this.#now() - entry.at;
    // A stage may be given as recorded, and what it returned is then from outside.
    const onBody = call.parent === undefined ? undefined : comesFromOutside;
    entry.outcome = this.#takeOutcome(outcome, call.definition.record, onBody);
    // A generator or a stream as a result is not looked into, so nothing can be said of it later. What is
    // over a limit is another matter: the program makes it again, and its head is compared.
    if (entry.outcome.status === "ok") {
      const copy = heldCopy(entry.outcome.value);
      if (copy instanceof Marker && copy.reason === "unsupported") {
        this.#judge(entry.outcome.value, call.definition.name, "The output of");
      }
    }
    entry.delivered = delivered;
    // An inference may well be native, and its end is in the order; anything else has read something.
    const unprompted = call.parent === undefined ? !this.#prompting.open : delivered;
    if (unprompted && call.definition.kind !== "infer") {
      this.#wokenBy(call, `Stage "${call.definition.name}" ended`, undefined);
    }
    entry.asynchronous = call.asynchronous;
    this.#enter("call-end", call.index);
  }

  contractViolated(call: ObservedCall, side: Side, issues: readonly ContractIssue[]): void {
    if (this.#closed) return;
    this.#violationCount += 1;
    // Of a call that is not entered, its violation cannot be told either.
    if (this.#calls[call.index] === undefined) return;
    const entered = issues.slice(0, MAXIMUM_ISSUES);
    this.#size += ENTRY_BYTES * (1 + entered.length);
    (this.#violations ??= []).push({ call: call.index, side, issues: entered });
  }

  runEnded(run: ObservedRun): void {
    // It may wait for long to be encoded, and holds on to no more of the run than is encoded.
    const { id, seed, startedAt, definition, trace } = run;
    this.#run = { id, seed, startedAt, definition, trace };
    const prompting = this.#prompting;
    if (prompting.outstanding !== undefined && prompting.outstanding > 0) this.#endsAmidWork();
    this.#prompting = OVER;
    this.#closed = true;
    prompting.end?.();
    this.#options.ended(this);
  }

  /** Something that it has begun goes on. If another run waits for what it has not begun, it may be that run's. */
  #endsAmidWork(): void {
    const isWork = ({ outcome, item, name }: EffectEntry): boolean =>
      outcome === PENDING && !item && !TIMERS.has(name);
    if (!this.#effects.some(isWork)) return;
    const other = idleBeside(this);
    if (other !== undefined) this.worked(other.pipeline, true);
  }

  /** What a call asked without declaring it has answered. */
  askedUndeclared(call: ObservedCall, source: string, place: Place | undefined): void {
    if (this.#closed || this.#isUncontrolled(call)) return;
    const { name } = call.definition;
    const site = place && quietly(() => siteOf(place));
    this.#addUncontrolled(
      name,
      `Stage "${name}" used ${source}${at(site)}, which is neither captured nor declared`,
    );
  }

  /** Enters an effect that begins, and returns its number; -1 once the run has ended. */
  effectStarted(effect: EffectCall, input: readonly unknown[]): number {
    return this.#begin(effect, input, false);
  }

  #begin(effect: EffectCall, input: readonly unknown[], item: boolean): number {
    if (this.#closed || this.#isFull(effect.name)) return -1;
    const index = this.#effects.length;
    const unprompted = !this.#prompting.open;
    if (unprompted) {
      const what = item
        ? `An item of stage "${effect.call.definition.name}" was asked for`
        : `Effect "${effect.name}" began`;
      this.#wokenBy(effect.call, what, callSite());
    }
    if (effect.doubt !== undefined && this.reasons.length < MAXIMUM_REASONS) {
      (this.#reasons ??= []).push({ code: "lost", name: effect.name, message: effect.doubt });
    }
    this.#effects.push({
      name: effect.name,
      call: effect.call.index,
      ordinal: effect.ordinal,
      at: this.#now(),
      duration: 0,
      input:
        effect.before === undefined
          ? this.#takeAll(input, effect.record)
          : [...effect.before, ...this.#takeAll(input, undefined)],
      outcome: PENDING,
      asynchronous: false,
      delivered: false,
      unprompted,
      item,
      read: effect.read === true,
      joined: false,
      builder: undefined,
    });
    if (effect.record !== undefined)
      (this.#effectConversions ??= new Map<number, Conversion>()).set(index, effect.record);
    this.#enter("effect-start", index);
    return index;
  }

  /** The effect has returned a promise. */
  effectReturned(index: number): void {
    const entry = this.#effects[index];
    if (!this.#closed && entry !== undefined) entry.asynchronous = true;
  }

  /** The effect has given a builder, of which `log` tells. Returns what is recorded of its arguments. */
  effectBuilds(index: number, log: BuilderLog): readonly Held[] {
    const entry = this.#effects[index];
    if (this.#closed || entry === undefined) return NONE;
    entry.builder = log;
    return entry.input;
  }

  /** The effect's builder is asked for its result; this is the whole of its input. */
  effectAsked(index: number, input: readonly Held[]): void {
    const entry = this.#effects[index];
    if (!this.#closed && entry !== undefined) entry.input = input;
  }

  /** The effect's result came with no microtask between it and what is before it. */
  effectJoined(index: number): void {
    const entry = this.#effects[index];
    if (!this.#closed && entry !== undefined) entry.joined = true;
  }

  /** The program has made use of something that a replay cannot give it. */
  doubted(name: string, message: string): void {
    if (this.#closed || this.reasons.length >= MAXIMUM_REASONS) return;
    if (this.reasons.some((reason) => reason.message === message)) return;
    (this.#reasons ??= []).push({ code: "class", name, message });
  }

  /** Copies a value that is part of an effect's input to come. */
  hold(value: unknown): Held {
    this.#size += ENTRY_BYTES;
    return this.#closed ? undefined : this.#take(value);
  }

  /** Its result has come; it is handed over, and ends, at its turn. */
  effectArrived(index: number): void {
    const entry = this.#effects[index];
    if (!this.#closed && entry !== undefined) entry.duration = this.#now() - entry.at;
  }

  /** Enters the stream that a call has returned: the first of its items. */
  streamOpened(call: ObservedCall, recorded: unknown, delivered: boolean): void {
    const entry = this.#calls[call.index];
    // It may never end: whoever reads the record must know by now how it returned.
    if (!this.#closed && entry !== undefined) entry.asynchronous = call.asynchronous;
    const index = this.itemStarted({ call, ordinal: 0, input: ["open"] });
    this.itemEnded(index, call, { status: "ok", value: recorded }, delivered);
  }

  /** Enters that an item of a call's stream is asked for, and returns its number; -1 once the run has ended. */
  itemStarted({ call, ordinal, input }: StreamItem): number {
    return this.#begin({ call, name: ITEM_NAME, ordinal }, input, true);
  }

  itemEnded(index: number, call: ObservedCall, outcome: Outcome, delivered: boolean): void {
    const entry = this.#effects[index];
    if (this.#closed || entry === undefined) return;
    const unprompted = call.parent === undefined ? !this.#prompting.open : delivered;
    if (unprompted && call.definition.kind !== "infer") {
      this.#wokenBy(call, `An item of stage "${call.definition.name}" came`, undefined);
    }
    entry.duration = this.#now() - entry.at;
    entry.delivered = delivered;
    entry.outcome = this.#takeOutcome(outcome, undefined);
    this.#enter("effect-end", index);
  }

  effectEnded(index: number, outcome: Outcome): void {
    const entry = this.#effects[index];
    if (this.#closed || entry === undefined) return;
    if (!entry.asynchronous) entry.duration = this.#now() - entry.at;
    const taken = this.#takeOutcome(outcome, this.#effectConversions?.get(index), comesFromOutside);
    if (taken.status !== "pending") this.#judge(taken.value, entry.name, "The result of effect");
    entry.outcome = taken;
    this.#enter("effect-end", index);
  }

  summary(): RunSummary {
    const run = this.#run as RecordedRun;
    const root = this.#calls[0];
    const versions: string[] = [];
    for (const { data, model } of this.#stages) {
      addOnce(versions, data);
      addOnce(versions, model);
    }
    return {
      id: run.id,
      service: this.#options.service.name,
      pipeline: run.definition.name,
      startedAt: run.startedAt,
      duration: (root?.duration ?? 0) / 1000,
      status: root?.outcome.status === "error" ? "error" : "ok",
      violations: this.#violationCount,
      versions: Object.freeze(versions),
      exact: this.reasons.length === 0,
      traceId: run.trace?.traceId,
    };
  }

  /** Names of the classes whose instances a replay can give back. */
  get classes(): ReadonlySet<string> {
    return this.#options.classes;
  }

  /** Whether the run has ended, and nothing more is entered. */
  get closed(): boolean {
    return this.#closed;
  }

  get exact(): boolean {
    return this.reasons.length === 0;
  }

  /** What a replay could not give the program as it was. */
  get reasons(): readonly ReplayabilityReason[] {
    return this.#reasons ?? NONE;
  }

  /** All that is known of the run, for `sealRecording`. */
  contents(): RecordingContents {
    if (this.#closed) this.#sealed = true;
    return {
      run: this.#run as RecordedRun,
      options: this.#options,
      stages: this.#stages,
      calls: this.#calls,
      effects: this.#effects,
      events: this.#events,
      violations: this.#violations ?? [],
      reasons: this.reasons,
    };
  }

  /** The stage table has one entry for each version a stage was called with; runs have few. */
  #stageIndex(call: ObservedCall): number {
    const { definition, data, model } = call;
    const known = this.#stages.findIndex(
      (stage) =>
        stage.definition === definition && sameVersion(stage.data, data) && sameVersion(stage.model, model),
    );
    if (known !== -1) return known;
    this.#size += ENTRY_BYTES;
    return this.#stages.push({ definition, data, model }) - 1;
  }

  #takeAll(
    values: readonly unknown[],
    record: Conversion | undefined,
    onBody?: (body: object) => void,
  ): readonly Held[] {
    const converted = record === undefined ? values : convertInput(record, values, this.#options.report);
    const snapshots: Held[] = [];
    for (let index = 0; index < converted.length; index++) {
      snapshots.push(this.#take(converted[index], onBody));
    }
    return snapshots;
  }

  #take(value: unknown, onBody?: (body: object) => void): Held {
    const { limits, classes } = this.#options;
    const left = limits.capsuleBytes - this.#size;
    if (left <= 0) {
      const marker = new Marker("capsule", "", limits.capsuleBytes);
      return { copy: marker, size: 0, shared: undefined, loss: { path: [], marker, kind: "lost" } };
    }
    const within = left < limits.valueBytes ? { ...limits, valueBytes: left } : limits;
    if (isSimple(value, within)) {
      this.#size += heldSize(value);
      return value;
    }
    // A getter may read the clock: what is copied here is not the program reading it.
    const counter = quiet;
    counter.depth += 1;
    let snapshot: Snapshot;
    try {
      snapshot = takeSnapshot(value, within, classes, onBody);
    } finally {
      counter.depth -= 1;
    }
    this.#size += snapshot.size;
    return snapshot;
  }

  #takeOutcome(
    outcome: Outcome,
    record: Conversion | undefined,
    onBody?: (body: object) => void,
  ): OutcomeSnapshot {
    if (outcome.status === "ok") {
      const value = convertOutput(record, outcome.value, this.#options.report);
      return { status: "ok", value: this.#take(value, onBody) };
    }
    const stack = stackOf(outcome.error);
    this.#size += stack.length;
    return { status: "error", value: this.#take(outcome.error, onBody), stack };
  }

  /** Notes why a replay could not give this value back to the program as it was. */
  #judge(held: Held, name: string, what: string): void {
    const loss = typeof held === "object" ? held.loss : undefined;
    // A replay that reads such a place hears of it; one that does not is exact.
    if (loss === undefined || loss.kind === "told" || this.reasons.length >= MAXIMUM_REASONS) return;
    const place = loss.path.length === 0 ? "" : ` at ${formatPath(loss.path)}`;
    const remedy = loss.marker.detail.includes(" ") ? "" : ": list the class in hindcast({ classes })";
    const message =
      loss.kind === "class"
        ? `${what} "${name}" holds an instance of ${loss.marker.detail}${place}, which would come back without its class${remedy}.`
        : `${what} "${name}" is not whole${place} (${loss.marker.reason}${loss.marker.detail === "" ? "" : `: ${loss.marker.detail}`}): ${REMEDIES[loss.marker.reason]}.`;
    (this.#reasons ??= []).push({ code: loss.kind, name, message });
  }

  /** Something that is not in the record set off what has just happened. */
  #wokenBy(call: ObservedCall, what: string, site: string | undefined): void {
    const waker = wakerOf(call);
    if (waker !== undefined) return this.#wokenByRun(call, what, site, waker);
    if (this.#isUncontrolled(call)) return;
    const because = "because of something that is neither captured nor declared";
    this.#addUncontrolled(call.definition.name, `${what}${at(site)} ${because}`);
  }

  /** One reason a stage is enough, and there is room for so many. */
  #isUncontrolled({ definition: { name } }: ObservedCall): boolean {
    if (this.reasons.length >= MAXIMUM_REASONS) return true;
    return this.reasons.some((reason) => reason.code === "uncontrolled" && reason.name === name);
  }

  #addUncontrolled(name: string, what: string): void {
    (this.#reasons ??= []).push({
      code: "uncontrolled",
      name,
      message: `${what}: declare it with hc.effect().`,
    });
  }

  /** Whether as many calls and effects have been entered as the limits allow; what begins after that is lost. */
  #isFull(name: string): boolean {
    const { capsuleBytes } = this.#options.limits;
    if (this.#events.length * ENTRY_BYTES < capsuleBytes) return false;
    if (!this.#full) {
      this.#full = true;
      const message = `From a call of "${name}" on, calls and effects are missing: the run was over limits.capsuleBytes (${capsuleBytes}).`;
      (this.#reasons ??= []).push({ code: "lost", name, message });
    }
    return true;
  }

  #enter(kind: EventKind, index: number): void {
    this.#size += ENTRY_BYTES;
    this.#events.push(packEvent(kind, index));
    this.#options.entered?.(this, kind, index);
  }

  /** Microseconds since the run began. */
  #now(): number {
    return Math.round((monotonicClock() - this.#startedAt) * 1000);
  }
}

/** A function or a socket as an argument: whatever uses it in a replay hears that it is not there. */
function isThing(held: Held): boolean {
  const copy = heldCopy(held);
  return copy instanceof Marker && (copy.reason === "function" || copy.reason === "unsupported");
}

/** Runs have few. */
function addOnce(versions: string[], version: Version | undefined): void {
  if (version === undefined) return;
  const text = `${version.name}@${version.version}`;
  if (!versions.includes(text)) versions.push(text);
}

function at(site: string | undefined): string {
  return site === undefined ? "" : ` at ${site}`;
}

function stackOf(error: unknown): string {
  try {
    const { stack } = error as { stack?: unknown };
    return typeof stack === "string" ? stack.slice(0, STACK_UNITS).toWellFormed() : "";
  } catch {
    return ""; // null and undefined can be thrown, and a stack can be a getter
  }
}
