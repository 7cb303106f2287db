/**
 * The record of one run, as it is read back. `docs/capsule-format.md` specifies how it is written.
 * Everything here is plain data; values stay encoded until someone asks for them (`valueAt`).
 */
import type { Limits } from "./limits.js";
import type { Environment } from "./environment.js";

/** The format this library writes, and the newest it reads. It reads all before it. */
export const CAPSULE_FORMAT = 3;

/** Whether this library reads capsules of that format. */
export function isReadableFormat(format: unknown): format is number {
  return Number.isSafeInteger(format) && (format as number) >= 1 && (format as number) <= CAPSULE_FORMAT;
}

export type StageKind = "ingest" | "feature" | "infer" | "decide" | "tool" | "agent";
export type CallKind = StageKind | "pipeline";

/** What a stage reads from, or computes with: a data set, a feature definition, a model. */
export interface Version {
  readonly name: string;
  readonly version: string;
  /** Hash of its content, such as `sha256:…`. */
  readonly digest?: string | undefined;
}

/** Whether two versions are the same in all that is known of them; none is the same as none. */
export function sameVersion(a: Version | undefined, b: Version | undefined): boolean {
  return a === b || (a?.name === b?.name && a?.version === b?.version && a?.digest === b?.digest);
}

/** Which contract stood at a boundary. */
export interface ContractIdentity {
  readonly name: string;
  /** SHA-256 of the contract's JSON Schema; undefined where it has none. Refinements are not part of one. */
  readonly hash: string | undefined;
}

/** A stage as it was during the run: one entry for each different version it was called with. */
export interface StageRecord {
  readonly name: string;
  readonly kind: CallKind;
  readonly data: Version | undefined;
  readonly model: Version | undefined;
  readonly input: ContractIdentity | undefined;
  readonly output: ContractIdentity | undefined;
  /** SHA-256 of its source text; undefined where that says nothing, and in capsules of formats 1 and 2. */
  readonly source?: string | undefined;
}

/** Index into `Capsule.values`. */
export type ValueReference = number;

export type OutcomeRecord =
  | { readonly status: "ok"; readonly value: ValueReference }
  | { readonly status: "error"; readonly value: ValueReference; readonly stack: string }
  /** The run ended before it did. */
  | { readonly status: "pending" };

/** One call of a stage. */
export interface CallRecord {
  /** Index into `Capsule.stages`. */
  readonly stage: number;
  /** Index into `Capsule.calls`; -1 for the root. */
  readonly parent: number;
  /** How many calls of that stage the parent had made before. */
  readonly ordinal: number;
  /** Microseconds from the start of the run. */
  readonly at: number;
  /** Microseconds until it settled. */
  readonly duration: number;
  /** The arguments as they came, before the contract parsed the first. */
  readonly input: readonly ValueReference[];
  readonly outcome: OutcomeRecord;
  /** Whether it returned before it settled. */
  readonly asynchronous: boolean;
  /** Whether something outside the run settled it, so that its end was handed over in a turn of its own. */
  readonly delivered: boolean;
  /** Whether it began in a macrotask in which nothing had been handed over: something undeclared woke the program. */
  readonly unprompted: boolean;
}

/** One effect. */
export interface EffectRecord {
  readonly name: string;
  /** Index into `Capsule.calls`. */
  readonly call: number;
  /** How many effects of that name the call had begun before. */
  readonly ordinal: number;
  /** Microseconds from the start of the run. */
  readonly at: number;
  /** Microseconds until its result arrived; it was handed over at its turn, which may be later. */
  readonly duration: number;
  readonly input: readonly ValueReference[];
  readonly outcome: OutcomeRecord;
  readonly asynchronous: boolean;
  /** Of an item: whether something outside the run brought it, so that it was handed over in a turn of its own. */
  readonly delivered: boolean;
  /** As in a call. */
  readonly unprompted: boolean;
  /** Nothing read from outside: an item of the stream that the call returned, asked for, or told to end. */
  readonly item: boolean;
  /** Of an effect that gave a builder: what was called on it. See `BuilderLog`. */
  readonly builder?: ValueReference | undefined;
  /** A property that was read of something an effect gave. */
  readonly read?: boolean | undefined;
  /** A function of the program was called, right after what comes before it: no microtask ran in between. */
  readonly joined?: boolean | undefined;
}

/** What happened, in the one order in which the program saw it: the index of a call or an effect goes with each. */
export type EventKind = "call-start" | "call-end" | "effect-start" | "effect-end";

export const EVENT_KINDS: readonly EventKind[] = ["call-start", "call-end", "effect-start", "effect-end"];

export interface CapsuleEvent {
  readonly kind: EventKind;
  readonly index: number;
}

/** A value that did not meet a contract. */
export interface ViolationRecord {
  /** Index into `Capsule.calls`. */
  readonly call: number;
  readonly side: "input" | "output";
  readonly issues: readonly {
    readonly path: readonly (string | number)[];
    readonly expected: string;
    readonly received: string;
  }[];
}

/** Why a replay of the capsule may not be exact. */
export interface ReplayabilityReason {
  /**
   * `lost`: something the program needs is a marker; `class`: it would come back without its class;
   * `uncontrolled`: something that is neither captured nor declared woke the program.
   */
  readonly code: "lost" | "class" | "uncontrolled";
  /** The stage or effect. */
  readonly name: string;
  readonly message: string;
}

export interface Replayability {
  readonly exact: boolean;
  readonly reasons: readonly ReplayabilityReason[];
}

/** Which capsule a replay replayed, and what was otherwise then than in that capsule's run. */
export interface ParentRecord {
  readonly id: string;
  /** The run id that the program was told: that of the run that was recorded live. */
  readonly run: string;
  /** A line for each change, such as `seed 7 -> 8` or `stage risk: a function`. Never a recorded value. */
  readonly changes: readonly string[];
}

export interface Capsule {
  readonly format: number;
  /** UUID version 7: the run's. */
  readonly id: string;
  /** Only in the capsule of a replay. */
  readonly parent?: ParentRecord | undefined;
  /** Name and version of the package that wrote it. */
  readonly writer: string;
  readonly service: { readonly name: string; readonly version: string | undefined };
  /** Name of the root stage or pipeline. */
  readonly pipeline: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly seed: number;
  readonly trace: { readonly traceId: string; readonly spanId: string } | undefined;
  readonly environment: Environment;
  readonly limits: Limits;
  /** Revision of the source in its version control, where it could be known. */
  readonly revision?: string | undefined;
  /** Names of what was captured without being declared; undefined in capsules of formats 1 and 2. */
  readonly captures?: readonly string[] | undefined;
  readonly replayable: Replayability;
  /** Why it was kept: the name of the rule. */
  readonly kept: string;
  readonly stages: readonly StageRecord[];
  readonly calls: readonly CallRecord[];
  readonly effects: readonly EffectRecord[];
  readonly events: readonly CapsuleEvent[];
  readonly violations: readonly ViolationRecord[];
  /** Each a CBOR item of its own; values of equal content are here once. */
  readonly values: readonly Uint8Array[];
}

/** What a store and a `keep` rule know of a run without opening its capsule. */
export interface CapsuleSummary {
  readonly id: string;
  readonly service: string;
  readonly pipeline: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds. */
  readonly duration: number;
  readonly status: "ok" | "error";
  /** Contract violations, enforced or observed. */
  readonly violations: number;
  /** Data and model versions, each as `name@version`. */
  readonly versions: readonly string[];
  /** Whether a replay is expected to be exact. */
  readonly exact: boolean;
  readonly traceId: string | undefined;
  /** The rule that kept it. */
  readonly kept: string;
}

/** The root call of a capsule. */
export function rootCall(capsule: Capsule): CallRecord {
  return capsule.calls[0] as CallRecord;
}

/** The id of the run, as the program was told it; a replay has told it that of the recorded run. */
export function runIdOf(capsule: Capsule): string {
  return capsule.parent?.run ?? capsule.id;
}

/** The stage of a call. */
export function stageOf(capsule: Capsule, call: number): StageRecord {
  return capsule.stages[(capsule.calls[call] as CallRecord).stage] as StageRecord;
}

/** A call's place in the run, such as `approve-loan > risk` or `rank > score#2`. */
export function callPath(capsule: Capsule, call: number): string {
  const parts: string[] = [];
  for (let index = call; index >= 0; ) {
    const record = capsule.calls[index] as CallRecord;
    const name = stageOf(capsule, index).name;
    parts.unshift(record.ordinal === 0 ? name : `${name}#${record.ordinal}`);
    index = record.parent;
  }
  return parts.join(" > ");
}
