/** Why two runs differ, as far as it can be told from what is declared of them. */
import { type Capsule, type ContractIdentity, type StageRecord, sameVersion } from "../capsule/capsule.js";
import { compareEnvironments } from "../capsule/environment.js";
import { type Condition, isClockEffect } from "./conditions.js";

/**
 * Why a replay diverged:
 * - `contract`: the stage's contract is another one
 * - `model`: the stage's model is of another version, or was stood in for
 * - `data`: the stage's data is of another version; or the replay was given other data: another input,
 *   seed or clock, or another effect's result
 * - `uncontrolled`: the capsule itself says that it cannot be replayed exactly
 * - `environment`: nothing of the stage's declaration changed, but Node, its ICU, time zone or machine did
 * - `code`: none of these, so the code did
 */
export type Cause = "code" | "contract" | "model" | "data" | "environment" | "uncontrolled";

/** The place that is to be explained. */
export interface Blame {
  /** The stage whose code did otherwise, as it was in either run; undefined where a run has no such call. */
  readonly recorded: StageRecord | undefined;
  readonly replayed: StageRecord | undefined;
  /** Its name. */
  readonly stage: string;
  /** The names of the stage that it shows in, and of those that is part of. */
  readonly within: readonly string[];
  /** The effect whose result it is. */
  readonly result: string | undefined;
  /** Whether it is the input of the root. */
  readonly isInput: boolean;
  /** Whether the stage, or the effect, was stood in for. */
  readonly isReplaced: boolean;
}

/** What is known of both runs as a whole. */
export interface Circumstances {
  readonly recorded: Capsule;
  readonly replayed: Capsule;
  /** Which conditions are others; in a replay because its options say so. */
  readonly changed: ReadonlySet<Condition>;
  /** Whether one is a replay of the other, and not just another run. */
  readonly isReplay: boolean;
}

export interface Explanation {
  readonly cause: Cause;
  /** In a sentence. */
  readonly why: string;
}

/**
 * What the options put in place of something comes first, with another input or clock; then what is
 * declared of the stage; then another seed; then what is known of the runs as a whole.
 */
export function explainCause(blame: Blame, circumstances: Circumstances): Explanation {
  const { recorded, replayed } = circumstances;
  if (blame.isReplaced) {
    const cause = blame.result !== undefined ? "data" : blame.recorded?.kind === "infer" ? "model" : "code";
    return { cause, why: "It was stood in for, as the replay's options say." };
  }
  const condition = changedCondition(blame, circumstances);
  const declared = declaredCause(blame);
  if (condition !== undefined && (condition !== "seed" || declared === undefined)) {
    return { cause: "data", why: conditionText(condition, circumstances) };
  }
  if (declared !== undefined) return { cause: declared, why: DECLARED[declared](blame.stage) };
  if (isExcused(recorded, blame.within)) {
    const reasons = recorded.replayable.reasons.map((reason) => reason.message).join(" ");
    return {
      cause: "uncontrolled",
      why: `The recording itself says that it cannot be replayed exactly: ${reasons}`,
    };
  }
  const elsewhere = compareEnvironments(recorded.environment, replayed.environment);
  if (elsewhere.length > 0) {
    return {
      cause: "environment",
      why:
        `What is declared of "${blame.stage}" is as it was, but the environment is not: ${elsewhere.join(", ")}. ` +
        "If it is identical in the recorded environment, the code has not changed.",
    };
  }
  return {
    cause: "code",
    why:
      `What is declared of "${blame.stage}" and the environment are as they were: ` +
      "its code has changed, or it reads something that is not declared as an effect.",
  };
}

function changedCondition({ isInput, result }: Blame, { changed }: Circumstances): Condition | undefined {
  if (isInput) return changed.has("input") ? "input" : undefined;
  if (result !== undefined) return changed.has("clock") && isClockEffect(result) ? "clock" : undefined;
  return changed.has("seed") ? "seed" : undefined;
}

function conditionText(condition: Condition, { isReplay, recorded, replayed }: Circumstances): string {
  if (isReplay) return `The replay was given another ${condition}, as its options say.`;
  switch (condition) {
    case "input":
      return "The two runs were given different inputs.";
    case "seed":
      return `The two runs had different seeds: ${recorded.seed} and ${replayed.seed}.`;
    case "clock":
      return "The two runs began at different times.";
  }
}

type DeclaredCause = "contract" | "model" | "data";

const DECLARED: Readonly<Record<DeclaredCause, (stage: string) => string>> = {
  contract: (stage) => `The contract of "${stage}" has changed since the recording.`,
  model: (stage) => `The model of "${stage}" is another one than in the recording.`,
  data: (stage) => `The data of "${stage}" is of another version than in the recording.`,
};

function declaredCause({ recorded, replayed }: Blame): DeclaredCause | undefined {
  if (recorded === undefined || replayed === undefined) return undefined;
  const sameContracts =
    sameContract(recorded.input, replayed.input) && sameContract(recorded.output, replayed.output);
  if (!sameContracts) return "contract";
  if (!sameVersion(recorded.model, replayed.model)) return "model";
  return sameVersion(recorded.data, replayed.data) ? undefined : "data";
}

function sameContract(was: ContractIdentity | undefined, is: ContractIdentity | undefined): boolean {
  return was?.hash === is?.hash && (was === undefined) === (is === undefined);
}

/** Whether the capsule said beforehand that this could not be replayed exactly. */
function isExcused({ replayable }: Capsule, within: readonly string[]): boolean {
  // What woke a stage shows in that stage, or in one that it is part of; what is missing may show anywhere.
  return replayable.reasons.some(({ code, name }) => code !== "uncontrolled" || within.includes(name));
}
