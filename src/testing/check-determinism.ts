import type { Capsule } from "../capsule/capsule.js";
import { HindcastError } from "../errors.js";
import { replayHostOf } from "../hindcast.js";
import { explain } from "../replay/explain.js";
import { recordRun } from "../replay/record-run.js";
import { replay, type ReplayResult } from "../replay/replay.js";
import { storedCapsule } from "../replay/stored-capsule.js";
import type { AnyFunction } from "../stage/stage.js";
import { type Entry, entryOf } from "../stage/wrap.js";
import { type FreshReplay, type NamedEntry, replayInFreshProcess } from "./fresh-process.js";

export interface DeterminismOptions {
  /** How many runs are begun at once, after each input has been run alone, twice. Default 1: none. */
  readonly concurrency?: number;
  /**
   * Whether each run is replayed in a fresh process as well, in which no cache is filled and nothing has been made yet.
   * The entry must then be named. `execArgv`: what Node is started with; the present process's by default, and with
   * TypeScript it needs something such as `["--import", "tsx"]`.
   */
  readonly cold?: boolean | { readonly execArgv: readonly string[] };
  /** How long a replay may go without a sign of life, in milliseconds. Default 5,000. */
  readonly timeout?: number;
}

/** A run whose replay was not identical. */
export interface DeterminismFinding {
  /** The arguments, by their place in the list. */
  readonly input: number;
  /** Whether it was the first run with that input, one after it, or one of many at once. */
  readonly run: "first" | "later" | "at once";
  readonly replayed: "here" | "in a fresh process";
  /** The stage whose own code did otherwise; undefined where none was seen to. */
  readonly stage: string | undefined;
  readonly cause: string | undefined;
  /** Where in the program the stage or effect was called, where that was not as recorded. */
  readonly site: string | undefined;
  /** For a person. */
  readonly explanation: string;
}

/** What `checkDeterminism` found. */
export type DeterminismReport =
  | {
      readonly deterministic: true;
      /** What was noticed while recording, and did no harm in these replays: it may do some in another. */
      readonly noticed: readonly string[];
    }
  | {
      readonly deterministic: false;
      /** The first stage whose own code did otherwise in a replay; undefined where none was seen to. */
      readonly stage: string | undefined;
      /** All findings, for a person: those of one stage and cause once. */
      readonly explanation: string;
      /** The first replay that was not identical, where it was made here. */
      readonly result: ReplayResult | undefined;
      readonly findings: readonly DeterminismFinding[];
      readonly noticed: readonly string[];
    };

/** How often each run is replayed here: what counts replays shows in the second. */
const REPLAYS = 2;
/** Fresh processes at a time. */
const PROCESSES = 2;
const DEFAULT_TIMEOUT = 5_000;
const PATIENCE = 500;

/**
 * Runs `entry` for real with each list of arguments in `inputs`, twice, and with `concurrency` many at once, and
 * replays every run: whatever differs was read from somewhere that is neither captured nor declared, such as a cache,
 * a counter or a queue that runs share. With `cold` each is replayed in a fresh process too. For use in a test.
 *
 * Throws `replay-entry` where `entry` is not a wrapped function, and `invalid-options`.
 */
export async function checkDeterminism<F extends AnyFunction>(
  entry: F,
  inputs?: readonly Parameters<F>[],
  options?: DeterminismOptions,
): Promise<DeterminismReport>;
/** The same of an entry that another process can find as well. */
export async function checkDeterminism(
  entry: NamedEntry,
  inputs?: readonly (readonly unknown[])[],
  options?: DeterminismOptions,
): Promise<DeterminismReport>;
export async function checkDeterminism(
  entry: AnyFunction | NamedEntry,
  inputs: readonly (readonly unknown[])[] = [[]],
  options: DeterminismOptions = {},
): Promise<DeterminismReport> {
  mustBeInputs(inputs);
  const { concurrency = 1, cold = false, timeout = DEFAULT_TIMEOUT } = options;
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new HindcastError(
      "invalid-options",
      "checkDeterminism(…, { concurrency }): give an integer from 1.",
    );
  }
  if (cold !== false && typeof entry === "function") {
    throw new HindcastError(
      "invalid-options",
      "checkDeterminism(entry, inputs, { cold }): a fresh process must find the entry, so name it: " +
        '{ module: new URL("./app.js", import.meta.url), export: "approve" }.',
    );
  }
  const wrapped = typeof entry === "function" ? entry : await exportOf(entry);
  const runs = await recordAll(wrapped, inputs, concurrency);
  const findings: DeterminismFinding[] = [];
  let result: ReplayResult | undefined;
  for (const { capsule, ...run } of runs) {
    for (let count = 0; count < REPLAYS; count++) {
      const replayed: ReplayResult = await replay(capsule, wrapped, { timeout });
      if (replayed.verdict === "identical") continue;
      result ??= replayed;
      const { origin: stage, cause, site } = replayed.divergence ?? {};
      findings.push({ ...run, replayed: "here", stage, cause, site, explanation: explain(replayed) });
      break;
    }
  }
  if (cold !== false && typeof entry !== "function") {
    const execArgv = typeof cold === "object" ? cold.execArgv : presentArguments();
    findings.push(...(await replayCold(runs, entry, execArgv, timeout)));
  }
  const noticed = [...new Set(runs.flatMap(({ capsule }) => capsule.replayable.reasons.map(messageOf)))];
  const [first] = findings;
  if (first === undefined) return { deterministic: true, noticed };
  const { stage } = first;
  return { deterministic: false, stage, explanation: told(findings, runs.length), result, findings, noticed };
}

type Recorded = Pick<DeterminismFinding, "input" | "run"> & { readonly capsule: Capsule };

async function recordAll(
  entry: AnyFunction,
  inputs: readonly (readonly unknown[])[],
  concurrency: number,
): Promise<readonly Recorded[]> {
  const found: Entry | undefined = entryOf(entry);
  if (found === undefined) {
    throw new HindcastError(
      "replay-entry",
      "checkDeterminism(entry, inputs): the entry is not a wrapped function; give what hc.pipeline() or a stage returned.",
    );
  }
  const host = replayHostOf(found.host);
  const record = (input: number): Promise<Capsule> => recordRun(host, found, inputs[input] as unknown[]);
  const runs: Recorded[] = [];
  for (const run of ["first", "later"] as const) {
    for (const input of inputs.keys()) runs.push({ input, run, capsule: await record(input) });
  }
  if (concurrency === 1) return runs;
  const atOnce = Array.from({ length: concurrency }, (_, index) => index % inputs.length);
  const capsules = await Promise.all(atOnce.map(record));
  for (const [index, capsule] of capsules.entries()) {
    runs.push({ input: atOnce[index] as number, run: "at once", capsule });
  }
  return runs;
}

async function replayCold(
  runs: readonly Recorded[],
  entry: NamedEntry,
  execArgv: readonly string[],
  timeout: number,
): Promise<readonly DeterminismFinding[]> {
  const findings: (DeterminismFinding | undefined)[] = [];
  const waiting = [...runs.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [position, { capsule, ...run }] = next;
      const options = { timeout, patience: PATIENCE };
      const fresh = await replayInFreshProcess(
        storedCapsule(withoutIdentity(capsule)),
        entry,
        execArgv,
        options,
      );
      if (fresh.verdict !== "identical")
        findings[position] = { ...run, replayed: "in a fresh process", ...said(fresh) };
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  return findings.filter((finding) => finding !== undefined);
}

function said({
  stage,
  cause,
  site,
  explanation,
}: FreshReplay): Omit<DeterminismFinding, "input" | "run" | "replayed"> {
  return { stage, cause, site, explanation };
}

/**
 * It is the same code. But another loader may be at work in the other process, and make another text of it, and its
 * main module is another one.
 */
function withoutIdentity(capsule: Capsule): Capsule {
  return {
    ...capsule,
    revision: undefined,
    stages: capsule.stages.map((stage) => ({ ...stage, source: undefined })),
  };
}

/** Each stage and cause once, with how often. */
function told(findings: readonly DeterminismFinding[], runs: number): string {
  const groups = grouped(findings);
  return [...groups.values()]
    .map((group) => {
      const [{ input, run, replayed, explanation }] = group as [DeterminismFinding];
      const others = group.length === 1 ? "" : `, and ${group.length - 1} more like it`;
      return `input ${input}, ${run}, replayed ${replayed}${others} (${runs} runs)\n${explanation}`;
    })
    .join("\n\n");
}

function grouped(findings: readonly DeterminismFinding[]): Map<string, DeterminismFinding[]> {
  const groups = new Map<string, DeterminismFinding[]>();
  for (const finding of findings) {
    const group = groups.get(groupOf(finding));
    if (group === undefined) groups.set(groupOf(finding), [finding]);
    else group.push(finding);
  }
  return groups;
}

function groupOf({ stage, cause }: DeterminismFinding): string {
  return `${stage ?? ""} ${cause ?? ""}`;
}

function messageOf({ message }: { readonly message: string }): string {
  return message;
}

function mustBeInputs(inputs: readonly unknown[]): void {
  if (Array.isArray(inputs) && inputs.length > 0 && inputs.every((input) => Array.isArray(input))) return;
  throw new HindcastError(
    "invalid-options",
    "checkDeterminism(entry, inputs): give a list of lists of arguments, such as [[applicationId], [anotherId]].",
  );
}

async function exportOf({ module, export: name }: NamedEntry): Promise<AnyFunction> {
  const within = (owner: unknown, key: string): unknown =>
    (owner as Record<string, unknown> | undefined)?.[key];
  const exported = name.split(".").reduce(within, await import(String(module)));
  if (typeof exported === "function") return exported as AnyFunction;
  throw new HindcastError(
    "replay-entry",
    `checkDeterminism: ${String(module)} exports no function "${name}".`,
  );
}

/** Of Node, without what would stop in a debugger or run something else. */
function presentArguments(): readonly string[] {
  return process.execArgv.filter((argument) => !/^--(?:inspect|eval|print|input-type|test)/.test(argument));
}
