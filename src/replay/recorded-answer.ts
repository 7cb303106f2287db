/** What a substitute is given of the record: how the call that it takes the place of was made, and how it ended. */
import type { Conversion } from "../stage/definition.js";
import { convertOutput, type Report } from "../stage/conversion.js";
import { passageOf } from "../streams/passage.js";
import { ENDED, type Pull } from "../streams/pull.js";
import { effectKey } from "./compared-run.js";
import { NOT_RECORDED, type RecordedRun } from "./recorded-run.js";
import type { ReplayOutcome } from "./replay-outcome.js";

/** A recorded call of a stage, or a recorded effect. Each reading decodes it anew. */
export interface RecordedAnswer<Value = unknown> {
  /** The arguments, before a contract parsed them. */
  readonly input: readonly unknown[];
  /** What it returned or threw; a stream can be read. */
  readonly outcome: ReplayOutcome<Value>;
}

/** Of an effect; undefined where it is not recorded. */
export function recordedEffectAnswer(
  recorded: RecordedRun,
  index: number,
  revive: Conversion | undefined,
  report: Report,
): RecordedAnswer | undefined {
  if (index === NOT_RECORDED) return undefined;
  const effect = recorded.effectAt(index);
  const readings = (): number[] => {
    const name = `${effectKey(effect)}.stream`;
    const count = recorded.effectCount(effect.call, name);
    return Array.from({ length: count }, (_, ordinal) => recorded.effect(effect.call, name, ordinal));
  };
  return answer(recorded, effect, revive, report, readings);
}

/** Of a call; undefined where it is not recorded. */
export function recordedCallAnswer(
  recorded: RecordedRun,
  index: number,
  revive: Conversion | undefined,
  report: Report,
): RecordedAnswer | undefined {
  if (index === NOT_RECORDED) return undefined;
  const items = recorded.items(index);
  const [opening, ...readings] = items;
  const { input, outcome } = recorded.callAt(index);
  // A call that returned a stream ends with the stream: what it returned is the first of its items.
  const returned = opening === undefined ? outcome : recorded.effectAt(opening).outcome;
  return answer(recorded, { input, outcome: returned }, revive, report, () => readings);
}

function answer(
  recorded: RecordedRun,
  { input, outcome }: Pick<ReturnType<RecordedRun["effectAt"]>, "input" | "outcome">,
  revive: Conversion | undefined,
  report: Report,
  readings: () => readonly number[],
): RecordedAnswer {
  return {
    get input() {
      return input.map((reference) => recorded.value(reference));
    },
    get outcome(): ReplayOutcome {
      if (outcome.status === "pending") return outcome;
      const settled = recorded.outcome(outcome);
      if (settled.status === "error") return settled;
      const value = convertOutput(revive, settled.value, report);
      return { status: "ok", value: readable(recorded, value, readings) };
    },
  };
}

/** A recorded stream, or a response with a body, with the items that the program read. */
function readable(recorded: RecordedRun, value: unknown, readings: () => readonly number[]): unknown {
  const passage = passageOf(value);
  if (passage === undefined) return value;
  const results: unknown[] = [];
  for (const index of readings()) {
    if (index === NOT_RECORDED) continue;
    const { outcome } = recorded.effectAt(index);
    if (outcome.status === "ok") results.push(recorded.value(outcome.value));
  }
  let given = 0;
  const next: Pull = (method) => (method === "next" ? results[given++] : undefined) ?? ENDED;
  return passage.open(passage.synchronous ? next : (method, input) => Promise.resolve(next(method, input)));
}

/**
 * The arguments for a function that takes the place of a stage or an effect: what the program passes, and as the last of
 * the parameters that it declares the record, where it declares more of them than the program ever passes. Parameters
 * with a default and rest parameters do not count, so that they get what they always get.
 */
export function withRecorded(
  substitute: (...input: never[]) => unknown,
  input: readonly unknown[],
  recorded: RecordedAnswer | undefined,
): readonly unknown[] {
  const passed = Math.max(input.length, recorded?.input.length ?? 0);
  const last = substitute.length - 1;
  if (last < passed) return input;
  const given: unknown[] = [...input];
  while (given.length < last) given.push(undefined);
  given.push(recorded);
  return given;
}
