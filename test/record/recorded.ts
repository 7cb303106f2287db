import type { Hindcast, StoredCapsule } from "hindcast";
import { type Capsule, readCapsule, type OutcomeRecord, valueAt } from "hindcast/replay";

/** What an instance has stored so far, oldest first. */
export async function storedBy(hc: Hindcast): Promise<StoredCapsule[]> {
  await hc.flush();
  const stored: StoredCapsule[] = [];
  for await (const capsule of hc.store.find()) stored.push(capsule);
  return stored;
}

/** The same, opened. */
export async function capsulesOf(hc: Hindcast): Promise<Capsule[]> {
  return (await storedBy(hc)).map((stored) => readCapsule(stored));
}

/** The one capsule an instance has stored. */
export async function onlyCapsuleOf(hc: Hindcast): Promise<Capsule> {
  const capsules = await capsulesOf(hc);
  if (capsules.length !== 1) throw new Error(`${capsules.length} capsules were stored, not one`);
  return capsules[0] as Capsule;
}

/** Where each call stands, such as `outer > inner#1`, in the order in which they began. */
export function callTree(capsule: Capsule): string[] {
  const paths: string[] = [];
  for (const call of capsule.calls) {
    const name = capsule.stages[call.stage]?.name ?? "?";
    const own = call.ordinal === 0 ? name : `${name}#${call.ordinal}`;
    paths.push(call.parent < 0 ? own : `${paths[call.parent]} > ${own}`);
  }
  return paths;
}

/** An outcome with its value decoded. */
export type ReadOutcome =
  | { readonly status: "ok"; readonly value: unknown }
  | { readonly status: "error"; readonly value: unknown }
  | { readonly status: "pending" };

function readOutcome(capsule: Capsule, outcome: OutcomeRecord): ReadOutcome {
  if (outcome.status === "pending") return { status: "pending" };
  return { status: outcome.status, value: valueAt(capsule, outcome.value) };
}

/** The calls of the stage `name`, with their values decoded. */
export function callsOf(capsule: Capsule, name: string): { input: unknown[]; outcome: ReadOutcome }[] {
  return capsule.calls
    .filter((call) => capsule.stages[call.stage]?.name === name)
    .map((call) => ({
      input: call.input.map((reference) => valueAt(capsule, reference)),
      outcome: readOutcome(capsule, call.outcome),
    }));
}

/** The effects of a run, with their values decoded. */
export function effectsOf(capsule: Capsule): { name: string; input: unknown[]; outcome: ReadOutcome }[] {
  return capsule.effects.map((effect) => ({
    name: effect.name,
    input: effect.input.map((reference) => valueAt(capsule, reference)),
    outcome: readOutcome(capsule, effect.outcome),
  }));
}
