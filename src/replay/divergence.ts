/**
 * What a replay did otherwise than the record, and why: the first point in the order in which the
 * program saw things, which is the order of cause and effect.
 */
import {
  type CallRecord,
  type Capsule,
  type CapsuleEvent,
  callPath,
  type ContractIdentity,
  type EffectRecord,
  type OutcomeRecord,
  rootCall,
  type StageRecord,
  sameVersion,
  stageOf,
} from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { compareEnvironments } from "../capsule/environment.js";
import { formatPath } from "../json-path.js";
import { firstDifference } from "./difference.js";
import { isReplaced, type Substitute } from "./replaying-conductor.js";

/**
 * Why a replay diverged:
 * - `contract`: the stage's contract is another one
 * - `model`, `data`: the stage's model or data is of another version, or was stood in for
 * - `uncontrolled`: the capsule itself says that it cannot be replayed exactly
 * - `environment`: nothing of the stage's declaration changed, but Node, its ICU, time zone or machine did
 * - `code`: none of these, so the code did
 */
export type Cause = "code" | "contract" | "model" | "data" | "environment" | "uncontrolled";

/** What differs at the point: a value, or what happened there at all. */
export type DivergencePoint =
  | "input"
  | "output"
  | "error"
  | "item"
  | "effect-input"
  | "effect-result"
  | "order";

export interface Divergence {
  /** The stage it happened in. */
  readonly stage: string;
  /** The call, such as `approve-loan > risk`. */
  readonly call: string;
  /** The effect, where it is about one. */
  readonly effect: string | undefined;
  readonly point: DivergencePoint;
  /** The place in the value, such as `$.debtRatio`; `$` for the value itself. */
  readonly path: string;
  /** What the record has there; for `order`, what happened next. */
  readonly expected: unknown;
  /** What the replay had. */
  readonly actual: unknown;
  readonly cause: Cause;
  /** All of it in a sentence. */
  readonly message: string;
}

/** The first point at which `replayed` differs from `recorded`, or undefined where it does not. */
export function firstDivergence(
  recorded: Capsule,
  replayed: Capsule,
  stages: ReadonlyMap<string, Substitute>,
  effects: ReadonlyMap<string, Substitute> = new Map(),
): Divergence | undefined {
  const sides = [new Side(recorded, stages), new Side(replayed, stages)] as const;
  const length = Math.max(sides[0].events.length, sides[1].events.length);
  for (let position = 0; position < length; position++) {
    const point = comparePoint(sides[0], sides[1], position);
    if (point === undefined) continue;
    const replaced =
      point.effect === undefined
        ? isReplaced(stages.get(point.stage))
        : (effects.get(point.effect) ?? "recorded") !== "recorded";
    const cause = causeOf(sides[0], sides[1], point, replaced);
    const why = replaced
      ? "It was stood in for, as the replay's options say."
      : because(cause, recorded, replayed);
    const { within: _within, ...divergence } = point;
    return { ...divergence, cause, message: `${what(point)} ${why}` };
  }
  return undefined;
}

/** Whether the roots of both runs ended alike. */
export function sameOutcome(recorded: Capsule, replayed: Capsule): boolean {
  const [was, is] = [rootCall(recorded).outcome, rootCall(replayed).outcome];
  if (was.status === "pending" || is.status === "pending") return was.status === is.status;
  const none = new Map<string, Substitute>();
  const about: About = { stage: "", within: [], call: "", effect: undefined, point: "output" };
  return compareOutcomes(new Side(recorded, none), new Side(replayed, none), was, is, about) === undefined;
}

interface Point extends Omit<Divergence, "cause" | "message"> {
  /** The names of the stage and of those it is part of. */
  readonly within: readonly string[];
}

/** One of the two runs, without what happened inside stages that were replaced. */
class Side {
  readonly capsule: Capsule;
  readonly events: readonly CapsuleEvent[];
  readonly #paths: string[] = [];

  constructor(capsule: Capsule, stages: ReadonlyMap<string, Substitute>) {
    this.capsule = capsule;
    const inside: boolean[] = [];
    for (const [index, call] of capsule.calls.entries()) {
      inside[index] = call.parent >= 0 && (inside[call.parent] === true || replacedAt(call.parent));
    }
    function replacedAt(call: number): boolean {
      return isReplaced(stages.get(stageOf(capsule, call).name));
    }
    this.events = capsule.events.filter((event) => {
      if (event.kind.startsWith("call")) return inside[event.index] !== true;
      const { call, item } = capsule.effects[event.index] as EffectRecord;
      // Items are what a stage gives, whatever it is made by.
      return inside[call] !== true && (item || !replacedAt(call));
    });
  }

  call(event: CapsuleEvent): CallRecord {
    return this.capsule.calls[event.index] as CallRecord;
  }

  effect(event: CapsuleEvent): EffectRecord {
    return this.capsule.effects[event.index] as EffectRecord;
  }

  /** The call in which the event happened, or which it is about. */
  callOf(event: CapsuleEvent): number {
    return event.kind.startsWith("call") ? event.index : this.effect(event).call;
  }

  within(call: number): string[] {
    const names: string[] = [];
    for (let index = call; index >= 0; index = (this.capsule.calls[index] as CallRecord).parent) {
      names.push(stageOf(this.capsule, index).name);
    }
    return names;
  }

  path(call: number): string {
    return (this.#paths[call] ??= callPath(this.capsule, call));
  }

  /** What the event is, the same for the same event of another run. */
  describe(event: CapsuleEvent): string {
    const path = this.path(this.callOf(event));
    if (event.kind.startsWith("effect") && this.effect(event).item) {
      const item = `item ${this.effect(event).ordinal} of its stream`;
      return event.kind === "effect-start" ? `${path} is asked for ${item}` : `${path} gives ${item}`;
    }
    switch (event.kind) {
      case "call-start":
        return `${path} begins`;
      case "call-end":
        return `${path} ends`;
      case "effect-start":
        return `${path} begins effect ${effectKey(this.effect(event))}`;
      case "effect-end":
        return `${path} is given the result of effect ${effectKey(this.effect(event))}`;
    }
  }

  value(reference: number): unknown {
    return valueAt(this.capsule, reference);
  }

  bytes(reference: number): Uint8Array {
    return this.capsule.values[reference] as Uint8Array;
  }
}

function effectKey(effect: EffectRecord): string {
  return effect.ordinal === 0 ? effect.name : `${effect.name}#${effect.ordinal}`;
}

function comparePoint(recorded: Side, replayed: Side, position: number): Point | undefined {
  const expected = recorded.events[position];
  const actual = replayed.events[position];
  const [was, is] = [expected && recorded.describe(expected), actual && replayed.describe(actual)];
  if (expected === undefined || actual === undefined || was !== is) {
    // Told of what the replay did where the record has no such thing, and else of what it did not do.
    const isNew = actual !== undefined && !recorded.events.some((event) => recorded.describe(event) === is);
    const [side, event] =
      isNew || expected === undefined ? [replayed, actual as CapsuleEvent] : [recorded, expected];
    const call = side.callOf(event);
    return {
      stage: stageOf(side.capsule, call).name,
      within: side.within(call),
      call: side.path(call),
      effect: event.kind.startsWith("effect") ? side.effect(event).name : undefined,
      point: "order",
      path: "$",
      expected: was ?? "the end of the run",
      actual: is ?? "nothing more",
    };
  }
  const call = recorded.callOf(expected);
  const about = {
    stage: stageOf(recorded.capsule, call).name,
    within: recorded.within(call),
    call: recorded.path(call),
  };
  switch (expected.kind) {
    case "call-start":
      return compareInputs(recorded, replayed, recorded.call(expected), replayed.call(actual), {
        ...about,
        effect: undefined,
        point: "input",
      });
    case "effect-start": {
      const effect = recorded.effect(expected);
      if (effect.item) {
        const where: About = { ...about, effect: undefined, point: "order" };
        return compareInputs(recorded, replayed, effect, replayed.effect(actual), where);
      }
      return compareInputs(recorded, replayed, effect, replayed.effect(actual), {
        ...about,
        effect: effect.name,
        point: "effect-input",
      });
    }
    case "call-end":
      return compareOutcomes(
        recorded,
        replayed,
        recorded.call(expected).outcome,
        replayed.call(actual).outcome,
        {
          ...about,
          effect: undefined,
          point: "output",
        },
      );
    case "effect-end": {
      const effect = recorded.effect(expected);
      const where: About = effect.item
        ? { ...about, effect: undefined, point: "item" }
        : { ...about, effect: effect.name, point: "effect-result" };
      return compareOutcomes(recorded, replayed, effect.outcome, replayed.effect(actual).outcome, where);
    }
  }
}

type About = Pick<Point, "stage" | "within" | "call" | "effect" | "point">;
type Inputs = Pick<CallRecord, "input">;

function compareInputs(
  recorded: Side,
  replayed: Side,
  was: Inputs,
  is: Inputs,
  about: About,
): Point | undefined {
  for (let index = 0; index < Math.max(was.input.length, is.input.length); index++) {
    const [expected, actual] = [was.input[index], is.input[index]];
    if (expected === undefined || actual === undefined) {
      return {
        ...about,
        path: "$",
        expected: `${was.input.length} arguments`,
        actual: `${is.input.length} arguments`,
      };
    }
    const point = compareValues(recorded, replayed, expected, actual, about);
    if (point !== undefined) return point;
  }
  return undefined;
}

function compareOutcomes(
  recorded: Side,
  replayed: Side,
  was: OutcomeRecord,
  is: OutcomeRecord,
  about: About,
): Point | undefined {
  if (was.status === "pending" || is.status === "pending") return undefined; // what has ended is not pending
  const point = was.status === "error" || is.status === "error" ? errorPoint(about.point) : about.point;
  if (was.status !== is.status) {
    const of = (side: Side, outcome: typeof was): unknown => side.value(outcome.value);
    return { ...about, point, path: "$", expected: of(recorded, was), actual: of(replayed, is) };
  }
  return compareValues(recorded, replayed, was.value, is.value, { ...about, point });
}

function errorPoint(point: DivergencePoint): DivergencePoint {
  return point === "output" ? "error" : point;
}

function compareValues(
  recorded: Side,
  replayed: Side,
  was: number,
  is: number,
  about: About,
): Point | undefined {
  // The encoding is deterministic: the same bytes are the same value, and nothing needs to be decoded.
  if (Buffer.compare(recorded.bytes(was), replayed.bytes(is)) === 0) return undefined;
  const difference = firstDifference(recorded.value(was), replayed.value(is));
  if (difference === undefined) return undefined;
  const { path, expected, actual } = difference;
  return { ...about, path: formatPath(path), expected, actual };
}

function causeOf(recorded: Side, replayed: Side, point: Point, replaced: boolean): Cause {
  const was = recorded.capsule.stages.find((stage) => stage.name === point.stage);
  const is = replayed.capsule.stages.find((stage) => stage.name === point.stage) ?? was;
  if (replaced && point.effect !== undefined) return "data";
  if (replaced) return was?.kind === "infer" ? "model" : "code";
  if (was !== undefined && is !== undefined) {
    if (!sameContracts(was, is)) return "contract";
    if (!sameVersion(was.model, is.model)) return "model";
    if (!sameVersion(was.data, is.data)) return "data";
  }
  if (isExcused(recorded.capsule, point.within)) return "uncontrolled";
  const { environment } = recorded.capsule;
  return compareEnvironments(environment, replayed.capsule.environment).length > 0 ? "environment" : "code";
}

/** Whether the capsule said beforehand that this could not be replayed exactly. */
function isExcused({ replayable }: Capsule, within: readonly string[]): boolean {
  // What woke a stage shows in that stage, or in one that it is part of; what is missing may show anywhere.
  return replayable.reasons.some(({ code, name }) => code !== "uncontrolled" || within.includes(name));
}

function sameContracts(was: StageRecord, is: StageRecord): boolean {
  return sameContract(was.input, is.input) && sameContract(was.output, is.output);
}

function sameContract(was: ContractIdentity | undefined, is: ContractIdentity | undefined): boolean {
  return was?.hash === is?.hash && (was === undefined) === (is === undefined);
}

const CAUSES: Readonly<Record<Cause, string>> = {
  code: "What is declared of it and the environment are as they were: its code has changed, or it reads something that is not declared as an effect.",
  contract: "Its contract has changed since the recording.",
  model: "Its model is another one than in the recording.",
  data: "Its data is of another version than in the recording.",
  environment: "Its declaration is as it was, but the environment is not",
  uncontrolled: "The recording itself says that it cannot be replayed exactly",
};

function because(cause: Cause, recorded: Capsule, replayed: Capsule): string {
  const detail =
    cause === "environment"
      ? `: ${compareEnvironments(recorded.environment, replayed.environment).join(", ")}.`
      : cause === "uncontrolled"
        ? `: ${recorded.replayable.reasons.map((reason) => reason.message).join(" ")}`
        : "";
  return CAUSES[cause] + detail;
}

function what(point: Point): string {
  switch (point.point) {
    case "input":
      return `Stage "${point.stage}" was called with another input, first different at ${point.path}.`;
    case "output":
      return `Stage "${point.stage}" returned another output, first different at ${point.path}.`;
    case "item":
      return `The stream of stage "${point.stage}" gave another item, first different at ${point.path}.`;
    case "error":
      return `Stage "${point.stage}" ended otherwise: the recording or the replay threw.`;
    case "effect-input":
      return `Stage "${point.stage}" called effect "${point.effect}" with another input, first different at ${point.path}.`;
    case "effect-result":
      return `Effect "${point.effect}" in stage "${point.stage}" gave another result, first different at ${point.path}.`;
    case "order":
      return `The program took another way: recorded next was «${String(point.expected)}», the replay had «${String(point.actual)}».`;
  }
}
