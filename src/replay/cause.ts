/** Why two runs differ, as far as it can be told from what is declared of them. */
import { type Capsule, type ContractIdentity, type StageRecord, sameVersion } from "../capsule/capsule.js";
import { compareEnvironments } from "../capsule/environment.js";
import { changedStages, codeChanges, hasIdentity } from "./code-identity.js";
import { type Condition, isClockEffect } from "./conditions.js";

/**
 * Why a replay diverged:
 * - `contract`: the stage's contract is another one
 * - `model`: the stage's model is of another version, or an option put something in the place of an inference
 * - `data`: the stage's data is of another version; or the replay was given other data: another input,
 *   seed or clock, or another effect's result
 * - `substituted`: an option put something in the place of the stage
 * - `capture`: other sources were captured while it was recorded than the replay can capture
 * - `uncontrolled`: the capsule itself says that it cannot be replayed exactly; or the code is the one that was
 *   recorded, so it read something that is not declared
 * - `environment`: nothing of the stage's declaration changed, but Node, its ICU, time zone or machine did
 * - `code`: the service's version, its revision or the text of a stage is another one; or the capsule is of a format
 *   that does not say which code was recorded
 */
export type Cause =
  | "code"
  | "contract"
  | "model"
  | "data"
  | "environment"
  | "substituted"
  | "capture"
  | "uncontrolled";

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
  /** Whether something was put in the place of the stage, or of the effect. */
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
  /** What the replay read that the record does not hold, in a sentence. */
  readonly missing?: string | undefined;
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
    const kind = (blame.recorded ?? blame.replayed)?.kind;
    const cause = blame.result !== undefined ? "data" : kind === "infer" ? "model" : "substituted";
    return { cause, why: "It was substituted, as the replay's options say." };
  }
  const condition = changedCondition(blame, circumstances);
  const declared = declaredCause(blame);
  if (condition !== undefined && (condition !== "seed" || declared === undefined)) {
    return { cause: "data", why: conditionText(condition, circumstances) };
  }
  if (declared !== undefined) return { cause: declared, why: DECLARED[declared](blame.stage) };
  if (blame.result !== undefined && !circumstances.isReplay) {
    return { cause: "data", why: `The two runs were given different results by "${blame.result}".` };
  }
  const captured = captureChanges(recorded, replayed);
  if (captured.length > 0) return { cause: "capture", why: captureText(captured, circumstances.isReplay) };
  if (circumstances.missing !== undefined) return { cause: "uncontrolled", why: circumstances.missing };
  if (isExcused(recorded, blame.within)) {
    const reasons = recorded.replayable.reasons.map((reason) => reason.message).join(" ");
    return {
      cause: "uncontrolled",
      why: `The recording itself says that it cannot be replayed exactly: ${reasons}`,
    };
  }
  const code = codeChanges(recorded, replayed);
  const elsewhere = compareEnvironments(recorded.environment, replayed.environment);
  if (elsewhere.length > 0) {
    return {
      cause: "environment",
      why:
        `What is declared of "${blame.stage}" is as it was, but the environment is not: ${elsewhere.join(", ")}. ` +
        (code.length > 0
          ? `The code is another one as well: ${code.join(", ")}.`
          : "If it is identical in the recorded environment, the code has not changed."),
    };
  }
  const unchanged = `What is declared of "${blame.stage}" and the environment are as they were`;
  if (!hasIdentity(recorded) || !hasIdentity(replayed)) {
    return {
      cause: "code",
      why:
        `${unchanged}: its code has changed, or it reads something that is not declared as an effect. ` +
        "Which of the two cannot be told: a capsule of this format does not say which code was recorded.",
    };
  }
  if (code.length > 0) return { cause: "code", why: `${unchanged}, but ${codeText(blame, circumstances)}` };
  return { cause: "uncontrolled", why: `${unchanged}, and ${uncontrolledText(blame, recorded, replayed)}` };
}

/** What was captured in one run alone. */
function captureChanges(recorded: Capsule, replayed: Capsule): readonly string[] {
  const [was, is] = [recorded.captures, replayed.captures];
  if (was === undefined || is === undefined) return [];
  // What is only noticed gives the program nothing.
  const differing = [
    ...was.filter((name) => !is.includes(name)),
    ...is.filter((name) => !was.includes(name)),
  ];
  return differing.filter((name) => name !== "undeclared");
}

function captureText(names: readonly string[], isReplay: boolean): string {
  const list = names.map((name) => `"${name}"`).join(", ");
  if (!isReplay) return `What was captured is not the same: ${list} in one of the two runs alone.`;
  return (
    `The recorded run had ${list} captured, and the instance of the entry cannot: ` +
    "give hindcast({ capture }) what it was given then."
  );
}

function codeText({ stage }: Blame, { recorded, replayed }: Circumstances): string {
  const changes = codeChanges(recorded, replayed).join(", ");
  const isOwn = changedStages(recorded, replayed).includes(stage);
  const own = isOwn ? "" : ` The text of "${stage}" itself is as it was: what it calls may have changed.`;
  return `the code has changed: ${changes}.${own}`;
}

function uncontrolledText({ stage, recorded: was }: Blame, recorded: Capsule, replayed: Capsule): string {
  const known: string[] = [];
  if (was?.source !== undefined) known.push("the text of the stage");
  if (recorded.revision !== undefined && replayed.revision !== undefined) known.push("the revision");
  const basis =
    known.length === 0
      ? `No text and no revision of "${stage}" is known, so an edit cannot be excluded.`
      : `It is known by ${known.join(" and ")}: what else the stage calls may have been edited since.`;
  return (
    "the code is the one that was recorded, so it read something undeclared: a cache, a counter, a pool. " +
    `Declare what "${stage}" reads with hc.shared() or hc.effect(). ${basis}`
  );
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
