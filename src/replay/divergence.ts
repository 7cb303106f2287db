/**
 * What a replay did otherwise than the record, and why: the first point in the order in which the
 * program saw things, which is the order of cause and effect.
 */
import type { CallRecord, Capsule, CapsuleEvent, EffectRecord, OutcomeRecord } from "../capsule/capsule.js";
import { rootCall } from "../capsule/capsule.js";
import { formatPath } from "../json-path.js";
import { type Blame, type Cause, explainCause } from "./cause.js";
import { ComparedRun, effectKey, type IsStageReplaced } from "./compared-run.js";
import type { Condition } from "./conditions.js";
import { firstDifference } from "./difference.js";
import { formatValue } from "./format-value.js";
import { type NearestEffect, nearestEffect } from "./nearest-effect.js";
import { differenceOfQuestions } from "./question.js";
import type { SameNumber } from "./tolerance.js";

/** What differs at the point: a value, or what happened there at all. */
export type DivergencePoint =
  | "input"
  | "output"
  | "error"
  | "item"
  | "effect-input"
  | "effect-result"
  | "order";

/** In which of two runs something was thrown. */
export type Thrown = "recorded" | "replayed" | "both";

export interface Divergence {
  /** The stage it happened in. */
  readonly stage: string;
  /** The call, such as `approve-loan > risk`. */
  readonly call: string;
  /** The effect, where it is about one. */
  readonly effect: string | undefined;
  /** The stage whose code did otherwise: where a stage was called with another input, the one that called it. */
  readonly origin: string;
  readonly point: DivergencePoint;
  /** The place in the value, such as `$.debtRatio`; `$` for the value itself. */
  readonly path: string;
  /** What the record has there; for `order`, what happened next. */
  readonly expected: unknown;
  /** What the replay had. */
  readonly actual: unknown;
  /** In which of the two it is what was thrown. */
  readonly thrown: Thrown | undefined;
  readonly cause: Cause;
  /** All of it in a sentence. */
  readonly message: string;
  /**
   * Where in the program the replay called the stage or the effect, such as `decide (/app/loan.js:12:5)`;
   * known where the call itself was not as recorded.
   */
  readonly site: string | undefined;
  /** The recorded effect that comes nearest, where the replay's is unknown or has another input. */
  readonly nearest: NearestEffect | undefined;
}

/** How two runs are compared. */
export interface ComparisonOptions {
  /** Whether a stage's own code did not run in the replay: what happened inside is then not compared. */
  readonly isStageReplaced: IsStageReplaced;
  /** Whether something else was given in place of an effect: by its call, such as `p > judge`, and itself, such as `fetch#1`. */
  readonly isEffectReplaced: (call: string, effect: string) => boolean;
  readonly isSame: SameNumber;
  readonly changed: ReadonlySet<Condition>;
  /** Whether one is a replay of the other, and not just another run. */
  readonly isReplay: boolean;
  /** What the replay read that the record does not hold, in a sentence. */
  readonly missing?: string | undefined;
  /** Where an event of the replay came from. */
  readonly siteOf: (event: CapsuleEvent) => string | undefined;
}

/** The first point at which `replayed` differs from `recorded`, or undefined where it does not. */
export function firstDivergence(
  recorded: Capsule,
  replayed: Capsule,
  options: ComparisonOptions,
): Divergence | undefined {
  const { isStageReplaced, isSame } = options;
  const comparison = new Comparison(
    new ComparedRun(recorded, isStageReplaced),
    new ComparedRun(replayed, isStageReplaced),
    isSame,
  );
  const length = Math.max(comparison.recorded.events.length, comparison.replayed.events.length);
  for (let position = 0; position < length; position++) {
    const point = comparison.at(position);
    if (point !== undefined) return explained(point, comparison, options);
  }
  return undefined;
}

/** Whether the roots of both runs ended alike. */
export function sameOutcome(recorded: Capsule, replayed: Capsule, isSame: SameNumber): boolean {
  const [was, is] = [rootCall(recorded).outcome, rootCall(replayed).outcome];
  if (was.status === "pending" || is.status === "pending") return was.status === is.status;
  const none = (): boolean => false;
  const comparison = new Comparison(new ComparedRun(recorded, none), new ComparedRun(replayed, none), isSame);
  return comparison.outcomes(was, is, "output") === undefined;
}

function explained(
  point: Point,
  { recorded, replayed, isSame }: Comparison,
  options: ComparisonOptions,
): Divergence {
  const { about, actor, actual, difference } = point;
  const showsIn = about.call;
  const stageAt = (run: ComparedRun, path: string) => {
    const call = run.callAt(path);
    return call === undefined ? undefined : run.stage(call);
  };
  const [recordedActor, replayedActor] = [stageAt(recorded, actor), stageAt(replayed, actor)];
  const origin = (recordedActor ?? replayedActor)?.name ?? "";
  const stage = (stageAt(recorded, showsIn) ?? stageAt(replayed, showsIn))?.name ?? "";
  const run = recorded.callAt(showsIn) === undefined ? replayed : recorded;
  const result = point.result === undefined ? undefined : about.effect;
  const isOwn = OWN_POINTS.has(about.point);
  const isStageReplaced = (): boolean => {
    const acting = recorded.callAt(actor) === undefined ? replayed : recorded;
    const call = acting.callAt(actor);
    return call !== undefined && options.isStageReplaced(origin, acting.ordinal(call));
  };
  const blame: Blame = {
    recorded: recordedActor,
    replayed: replayedActor,
    stage: origin,
    within: run.within(run.callAt(showsIn) ?? 0),
    result,
    isInput: about.point === "input" && actor === showsIn,
    isReplaced:
      point.result === undefined
        ? isOwn && isStageReplaced()
        : options.isEffectReplaced(showsIn, point.result),
  };
  const { cause, why } = explainCause(blame, {
    recorded: recorded.capsule,
    replayed: replayed.capsule,
    changed: options.changed,
    isReplay: options.isReplay,
    missing: options.missing,
  });
  const divergence = {
    stage,
    call: showsIn,
    effect: about.effect,
    origin,
    point: about.point,
    thrown: point.thrown,
    ...difference,
  };
  return {
    ...divergence,
    cause,
    message: `${what(divergence)} ${why}`,
    site: actual && options.siteOf(actual),
    nearest: isToBeFound(point)
      ? nearestEffect(recorded, replayed, replayed.effect(point.actual), isSame)
      : undefined,
  };
}

/** Whether an effect of the replay is unknown or has another input. */
function isToBeFound(point: Point): point is Point & { actual: CapsuleEvent } {
  const { about, actual, isNew } = point;
  if (actual?.kind !== "effect-start" || about.effect === undefined) return false;
  return isNew || about.point === "effect-input";
}

interface Point {
  readonly about: About;
  /** The call whose code did otherwise. */
  readonly actor: string;
  /** The replay's event, where it has one. */
  readonly actual: CapsuleEvent | undefined;
  /** Whether the record has no such event. */
  readonly isNew: boolean;
  readonly thrown: Thrown | undefined;
  /** The effect whose result it is about, such as `fetch#1`. */
  readonly result: string | undefined;
  readonly difference: { readonly path: string; readonly expected: unknown; readonly actual: unknown };
}

interface About {
  /** The call it shows in. */
  readonly call: string;
  readonly effect: string | undefined;
  readonly point: DivergencePoint;
}

type Found = Pick<Point, "difference"> & {
  readonly point: DivergencePoint;
  readonly thrown?: Thrown | undefined;
};

/** Two runs, side by side. */
class Comparison {
  readonly recorded: ComparedRun;
  readonly replayed: ComparedRun;
  readonly isSame: SameNumber;
  /** The recorded call that each call of the replay is. */
  readonly #calls = new Map<number, number>();

  constructor(recorded: ComparedRun, replayed: ComparedRun, isSame: SameNumber) {
    this.recorded = recorded;
    this.replayed = replayed;
    this.isSame = isSame;
  }

  /** What differs at a position of the order. */
  at(position: number): Point | undefined {
    const { recorded, replayed } = this;
    const expected = recorded.events[position];
    const actual = replayed.events[position];
    if (expected === undefined || actual === undefined || !this.#isSameEvent(expected, actual)) {
      return this.#order(expected, actual);
    }
    const found = this.#values(expected, actual, recorded.isItem(expected) ? ITEM_POINTS : POINTS);
    return (
      found && {
        about: {
          call: recorded.path(recorded.callOf(expected)),
          effect: recorded.effectNameOf(expected),
          point: found.point,
        },
        actor: recorded.path(recorded.actorOf(expected)),
        actual,
        isNew: false,
        thrown: found.thrown,
        result: resultOf(recorded, expected),
        difference: found.difference,
      }
    );
  }

  /** Whether two events are the same thing at the same place. Each event before them has been found to be so. */
  #isSameEvent(expected: CapsuleEvent, actual: CapsuleEvent): boolean {
    const { recorded, replayed } = this;
    if (expected.kind !== actual.kind) return false;
    if (expected.kind === "call-end") return this.#calls.get(actual.index) === expected.index;
    if (expected.kind === "call-start") {
      const [was, is] = [recorded.call(expected), replayed.call(actual)];
      const isSame =
        was.ordinal === is.ordinal &&
        recorded.stage(expected.index).name === replayed.stage(actual.index).name &&
        (this.#calls.get(is.parent) ?? -1) === was.parent;
      if (isSame) this.#calls.set(actual.index, expected.index);
      return isSame;
    }
    const [was, is] = [recorded.effect(expected), replayed.effect(actual)];
    return (
      was.ordinal === is.ordinal &&
      was.name === is.name &&
      was.item === is.item &&
      this.#calls.get(is.call) === was.call
    );
  }

  /** Another event, or none, where the record has one. */
  #order(expected: CapsuleEvent | undefined, actual: CapsuleEvent | undefined): Point {
    const { recorded, replayed } = this;
    const [was, is] = [expected && recorded.describe(expected), actual && replayed.describe(actual)];
    // Told of what the replay did where the record has no such thing, and else of what it did not do.
    const isNew = is !== undefined && !recorded.has(is);
    // A result that is still to be handed over is nobody's doing; a call that has ended in the meantime has not waited.
    const isEarly =
      actual?.kind === "call-end" && expected?.kind === "effect-end" && !recorded.isItem(expected);
    const [run, event] =
      isNew || isEarly || expected === undefined ? [replayed, actual as CapsuleEvent] : [recorded, expected];
    // Ends are handed to the program: what it did by itself is what it began, or did not begin.
    const [actingRun, acting] =
      actual !== undefined && actual.kind.endsWith("start") ? [replayed, actual] : [run, event];
    return {
      about: {
        call: run.path(run.callOf(event)),
        effect: run.effectNameOf(event),
        point: "order",
      },
      actor: actingRun.path(actingRun.actorOf(acting)),
      actual,
      isNew,
      thrown: undefined,
      result: resultOf(run, event),
      difference: { path: "$", expected: was ?? "the end of the run", actual: is ?? "nothing more" },
    };
  }

  #values(expected: CapsuleEvent, actual: CapsuleEvent, points: Points): Found | undefined {
    const { recorded, replayed } = this;
    const point = points[expected.kind];
    switch (expected.kind) {
      case "call-start":
        return this.#inputs(recorded.call(expected), replayed.call(actual), point);
      case "effect-start":
        return this.#inputs(recorded.effect(expected), replayed.effect(actual), point);
      case "call-end":
        return this.outcomes(recorded.call(expected).outcome, replayed.call(actual).outcome, point);
      case "effect-end":
        return this.outcomes(recorded.effect(expected).outcome, replayed.effect(actual).outcome, point);
    }
  }

  #inputs(was: Inputs, is: Inputs, point: DivergencePoint): Found | undefined {
    for (let index = 0; index < Math.max(was.input.length, is.input.length); index++) {
      const [expected, actual] = [was.input[index], is.input[index]];
      if (expected === undefined || actual === undefined) {
        const count = (inputs: Inputs): string => `${inputs.input.length} arguments`;
        return { point, difference: { path: "$", expected: count(was), actual: count(is) } };
      }
      const found = this.#value(expected, actual, point);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  outcomes(was: OutcomeRecord, is: OutcomeRecord, about: DivergencePoint): Found | undefined {
    if (was.status === "pending" || is.status === "pending") return undefined; // what has ended is not pending
    const thrown = thrownIn(was.status === "error", is.status === "error");
    const point = thrown !== undefined && about === "output" ? "error" : about;
    if (was.status === is.status) {
      const found = this.#value(was.value, is.value, point);
      return found && { ...found, thrown };
    }
    const [expected, actual] = [this.recorded.value(was.value), this.replayed.value(is.value)];
    return { point, thrown, difference: { path: "$", expected, actual } };
  }

  #value(was: number, is: number, point: DivergencePoint): Found | undefined {
    const { recorded, replayed } = this;
    // The encoding is deterministic: the same bytes are the same value, and nothing needs to be decoded.
    if (Buffer.compare(recorded.bytes(was), replayed.bytes(is)) === 0) return undefined;
    const compare = point === "effect-input" ? differenceOfQuestions : firstDifference;
    const difference = compare(recorded.value(was), replayed.value(is), this.isSame);
    if (difference === undefined) return undefined;
    const { path, expected, actual } = difference;
    return { point, difference: { path: formatPath(path), expected, actual } };
  }
}

/** The effect whose result an event is. */
function resultOf(run: ComparedRun, event: CapsuleEvent): string | undefined {
  return event.kind === "effect-end" && !run.isItem(event) ? effectKey(run.effect(event)) : undefined;
}

type Inputs = Pick<CallRecord | EffectRecord, "input">;

type Points = Readonly<Record<CapsuleEvent["kind"], DivergencePoint>>;

const POINTS: Points = {
  "call-start": "input",
  "call-end": "output",
  "effect-start": "effect-input",
  "effect-end": "effect-result",
};

/** How a stream was read is a way its reader took; what it gave is what its stage returned. */
const ITEM_POINTS: Points = { ...POINTS, "effect-start": "order", "effect-end": "item" };

/** What a stage's own code is to answer for. */
const OWN_POINTS: ReadonlySet<DivergencePoint> = new Set(["output", "error", "item", "order"]);

function thrownIn(was: boolean, is: boolean): Thrown | undefined {
  if (was && is) return "both";
  if (was) return "recorded";
  return is ? "replayed" : undefined;
}

const ERROR_WIDTH = 300;
const VALUE_WIDTH = 100;

/** What each of the two runs ended with, where one of them threw. */
function endings(
  thrown: Thrown,
  gave: string,
  { path, expected, actual }: Pick<Divergence, "path" | "expected" | "actual">,
): string {
  const error = (value: unknown): string => formatValue(value, ERROR_WIDTH);
  switch (thrown) {
    case "both":
      return `threw another error, first different at ${path}`;
    case "recorded":
      return `threw ${error(expected)} in the recording, and in the replay ${gave} ${formatValue(actual, VALUE_WIDTH)}`;
    case "replayed":
      return `threw ${error(actual)} in the replay, and in the recording ${gave} ${formatValue(expected, VALUE_WIDTH)}`;
  }
}

function what(
  divergence: Pick<Divergence, "stage" | "effect" | "point" | "path" | "expected" | "actual" | "thrown">,
): string {
  const { stage, effect, point, path, expected, actual, thrown } = divergence;
  switch (point) {
    case "input":
      return `Stage "${stage}" was called with another input, first different at ${path}.`;
    case "output":
      return `Stage "${stage}" returned another output, first different at ${path}.`;
    case "item":
      return thrown === undefined
        ? `The stream of stage "${stage}" gave another item, first different at ${path}.`
        : `The stream of stage "${stage}" ${endings(thrown, "gave", divergence)}.`;
    case "error":
      return `Stage "${stage}" ${endings(thrown ?? "both", "returned", divergence)}.`;
    case "effect-input":
      return `Stage "${stage}" called effect "${effect}" with another input, first different at ${path}.`;
    case "effect-result":
      return thrown === undefined
        ? `Effect "${effect}" in stage "${stage}" gave another result, first different at ${path}.`
        : `Effect "${effect}" in stage "${stage}" ${endings(thrown, "gave", divergence)}.`;
    case "order":
      return `The program took another way: recorded next was «${String(expected)}», the replay had «${String(actual)}».`;
  }
}
