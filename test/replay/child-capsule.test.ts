import fc from "fast-check";
import { hindcast, memoryStore } from "hindcast";
import {
  compareCapsules,
  explain,
  readCapsule,
  replay,
  type ReplayOptions,
  storedCapsule,
  type Substitute,
} from "hindcast/replay";
import { expect, test } from "vitest";
import { prepare, programs, type Step } from "../programs/program.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 2_000 : 200;
const AT_ONCE = 20;
const LIMITS = { patience: 60, timeout: 250 };

interface WhatIf {
  readonly effects: Readonly<Record<string, "function">>;
  readonly stages: Readonly<Record<string, "function" | "recorded">>;
  readonly seed: boolean;
  readonly clock: boolean;
  readonly input: boolean;
}

const stageNames = ["stage-a", "stage-b", "stage-c", "pipeline-a", "sync-a", "sync-b"];
const whatIfs: fc.Arbitrary<WhatIf> = fc.record({
  effects: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constant("function" as const), { maxKeys: 2 }),
  stages: fc.dictionary(
    fc.constantFrom(...stageNames),
    fc.constantFrom("function" as const, "recorded" as const),
    {
      maxKeys: 2,
    },
  ),
  seed: fc.boolean(),
  clock: fc.boolean(),
  input: fc.boolean(),
});

/** Deterministic in what it gives, and not in when. */
async function standIn(...input: unknown[]): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
  if (JSON.stringify(input).length % 5 === 0) throw new RangeError("the stand-in refuses");
  return `instead of ${String(input[0])}`;
}

/** What is wrong, or undefined. */
async function check(
  program: Step,
  whatIf: WhatIf,
  tally: { pending: number; diverged: number },
): Promise<string | undefined> {
  const hc = hindcast({ service: "programs", store: memoryStore() });
  const runnable = prepare(hc, program, async (name, delay, fails) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
    if (fails) throw new RangeError(name);
    return name;
  });
  await runnable.entry(7).catch(() => undefined);
  await hc.flush();
  runnable.live = false;
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    const capsule = readCapsule(stored);
    const known = (names: readonly string[], chosen: WhatIf["stages"]): Record<string, Substitute> =>
      Object.fromEntries(
        Object.entries(chosen)
          .filter(([name]) => names.includes(name))
          .map(([name, how]) => [name, how === "function" ? standIn : how]),
      );
    const replaced = {
      stages: known(
        capsule.stages.map(({ name }) => name),
        whatIf.stages,
      ),
      effects: known(
        capsule.effects.map(({ name }) => name),
        whatIf.effects,
      ),
      ...LIMITS,
    } satisfies ReplayOptions;
    const result = await replay(capsule, runnable.entry, {
      ...replaced,
      ...(whatIf.seed && { seed: 99 }),
      ...(whatIf.clock && { clock: new Date("2001-02-03") }),
      ...(whatIf.input && { input: [8] }),
    });
    const seen = JSON.stringify(runnable.observations());
    const hasEnded = result.outcome.status !== "pending";
    if (!hasEnded) tally.pending += 1;
    if (result.verdict === "diverged") tally.diverged += 1;
    const child = result.replayed;
    await hc.store.append([storedCapsule(child)]);
    const kept = await hc.store.get(child.id);
    if (kept === undefined) return "the child is not in the store";
    // Of stages and effects that the child no longer has, nothing needs to be said.
    const own = (names: readonly string[], given: Record<string, Substitute>) =>
      Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
    const again = await replay(kept, runnable.entry, {
      stages: own(
        child.stages.map(({ name }) => name),
        replaced.stages,
      ),
      effects: own(
        child.effects.map(({ name }) => name),
        replaced.effects,
      ),
      ...LIMITS,
    });
    const opaque = Object.keys(replaced.stages);
    const difference = compareCapsules(kept, again.replayed, { opaque });
    const sawTheSame = !hasEnded || JSON.stringify(runnable.observations()) === seen;
    const isIdentical = again.verdict === "identical" && again.sameOutcome && sawTheSame;
    if (isIdentical && difference === undefined) return undefined;
    return `${JSON.stringify({ program, whatIf })}\n${explain(again)}\n${difference?.message ?? ""}`;
  }
  return "nothing was recorded";
}

test(`G4: ${COUNT} what-ifs of random programs are capsules that can be stored, replayed and compared`, async () => {
  const tally = { pending: 0, diverged: 0 };
  const sample = fc.sample(fc.tuple(programs, whatIfs), COUNT);
  const failures: string[] = [];
  for (let start = 0; start < sample.length; start += AT_ONCE) {
    const batch = sample
      .slice(start, start + AT_ONCE)
      .map(([program, whatIf]) => check(program, whatIf, tally));
    for (const failure of await Promise.all(batch)) if (failure !== undefined) failures.push(failure);
  }
  console.log(
    `what-ifs: ${COUNT} made, ${tally.diverged} diverged, ${tally.pending} did not end; ` +
      `${COUNT - failures.length} replayed from their own capsules`,
  );
  expect(failures.slice(0, 2)).toEqual([]);
  expect(failures.length).toBe(0);
  expect(tally.diverged).toBeGreaterThan(COUNT / 2);
}, 600_000);
