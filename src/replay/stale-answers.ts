/** What a replay was asked that the record has no answer to, and what it gave. */
import { HindcastError } from "../errors.js";
import { formatPath } from "../json-path.js";
import type { ObservedCall } from "../stage/seam.js";
import { effectKey } from "./compared-run.js";
import type { Difference } from "./difference.js";
import { formatDifference } from "./format-difference.js";

/** An effect, or a stage that was to be given as recorded, that was asked something else than was recorded. */
export interface StaleAnswer {
  /** The effect, such as `fetch` or `fetch#1`; undefined where it is the stage itself. */
  readonly effect: string | undefined;
  /** The call that asked, or was asked, such as `approve-loan > judge`. */
  readonly call: string;
  /** Where what was asked first differs from what is recorded at that place; undefined where nothing is recorded there. */
  readonly path: string | undefined;
  /** What is recorded there. */
  readonly expected: unknown;
  /** What was asked there. */
  readonly actual: unknown;
  /** `refused`: an error; `recorded`: the answer that is recorded for another question; `live`: it was asked for real. */
  readonly given: "refused" | "recorded" | "live";
}

/** What was asked, and by whom. */
export interface Asked {
  readonly call: ObservedCall;
  /** Undefined where it is the stage itself. */
  readonly effect: { readonly name: string; readonly ordinal: number } | undefined;
  /** From what is recorded at that place; undefined where nothing is, or what is there has been given. */
  readonly difference: Difference | undefined;
}

export class StaleAnswers {
  readonly #answers: StaleAnswer[] = [];

  get list(): readonly StaleAnswer[] {
    return this.#answers;
  }

  add({ call, effect, difference }: Asked, given: StaleAnswer["given"]): void {
    this.#answers.push({
      effect: effect && effectKey(effect),
      call: pathOf(call),
      path: difference && formatPath(difference.path),
      expected: difference?.expected,
      actual: difference?.actual,
      given,
    });
  }
}

/** Whether something in the replay rests on an answer that is not known to be the right one. */
export function restsOnStale(answers: readonly StaleAnswer[]): boolean {
  return answers.some(({ given }) => given !== "live");
}

/** A stale answer in a line, such as `effect fetch in p > judge was asked …`. */
export function formatStale({ effect, call, path, expected, actual, given }: StaleAnswer): string {
  const who = effect === undefined ? `stage ${call}` : `effect ${effect} in ${call}`;
  if (path === undefined) return `${who} was asked what is not recorded: ${GIVEN[given]}`;
  const { inJson, expected: was, actual: is } = formatDifference(expected, actual, WIDTH);
  const where = inJson === undefined ? path : `${path}, in its JSON at ${inJson}`;
  return `${who} was asked ${is} at ${where}, recorded is ${was}: ${GIVEN[given]}`;
}

const WIDTH = 80;
const GIVEN: Readonly<Record<StaleAnswer["given"], string>> = {
  refused: "refused",
  recorded: "it was given what is recorded",
  live: "it was asked for real",
};

/** What a replay throws into the program where the record has the answer to another question. */
export function effectStale(asked: Asked & { readonly difference: Difference }): HindcastError {
  const { call, effect, difference } = asked;
  const stage = call.definition.name;
  const {
    inJson,
    expected: was,
    actual: is,
  } = formatDifference(difference.expected, difference.actual, WIDTH);
  const path = formatPath(difference.path);
  const what = `at ${inJson === undefined ? path : `${path}, in its JSON at ${inJson}`}, ${is}, where ${was} is recorded`;
  if (effect === undefined) {
    return new HindcastError(
      "effect-stale",
      `Stage "${stage}" was called with another input than is recorded: ${what}. What it would give is not known. ` +
        `Let it run: { stages: { "${stage}": "live" } }; or take what is recorded, which is then listed as stale: ` +
        `{ stages: { "${stage}": { run: "recorded", onStale: "recorded" } } }.`,
    );
  }
  return new HindcastError(
    "effect-stale",
    `Effect "${effect.name}" in stage "${stage}" was asked something else than is recorded: ${what}. ` +
      `To ask it for real: { effects: { "${stage}.${effect.name}": "live" } }; to take what is recorded, which is then ` +
      `listed as stale: { onStale: "recorded" }; or give a function in its place.`,
  );
}

export function pathOf(call: ObservedCall): string {
  const { definition, ordinal, parent } = call;
  const own = ordinal === 0 ? definition.name : `${definition.name}#${ordinal}`;
  return parent === undefined ? own : `${pathOf(parent)} > ${own}`;
}
