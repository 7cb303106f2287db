/**
 * Notices makers of ids that keep a pool or a counter, and that nothing captures: the run that fills a pool draws from the
 * platform, and the module shows in the stack. Later runs of the same stage, which may draw from the pool and so from
 * nothing that could be seen, are noticed by that.
 */
import type { Definition } from "../stage/definition.js";
import type { StageCall } from "../stage/stage-call.js";
import { captured } from "./captured.js";

/** Of uuid only what keeps the last time. */
const MAKERS =
  /[\\/]node_modules[\\/](nanoid|@paralleldrive[\\/]cuid2|@lukeed[\\/]uuid|uid|uuidv[67]|hyperid|hexoid|cuid|uuid(?=[^\n]*[\\/]v[167]\.js))[\\/]/;

/** Draws of one stage that are looked at: taking a stack takes microseconds. */
const MOST_DRAWS = 3;

/** By stage: the module that makes its ids, or how many of its draws came from none. */
const judged = new WeakMap<Definition, string | number>();
let any = false;

/** A run has drawn randomness. */
export function randomnessDrawn(): void {
  const call = captured("undeclared")?.call;
  if (call === undefined || call.run.conductor?.replaying !== false) return;
  const known = judged.get(call.definition) ?? 0;
  if (typeof known === "string" || known >= MOST_DRAWS) return;
  const maker = makerIn(stackHere());
  judged.set(call.definition, maker ?? known + 1);
  if (maker === undefined) return;
  any = true;
  tell(call, maker);
}

/** A stage has been called in a run. */
export function idMakerOf(definition: Definition): string | undefined {
  const known = any ? judged.get(definition) : undefined;
  return typeof known === "string" ? sourceOf(known) : undefined;
}

function makerIn(stack: string): string | undefined {
  const monotonic = /[\\/]node_modules[\\/](ulidx?)[\\/]/.exec(stack)?.[1];
  // A plain one keeps nothing.
  if (monotonic !== undefined) return stack.includes("at ulid (") ? undefined : monotonic;
  return MAKERS.exec(stack)?.[1]?.replace("\\", "/");
}

function tell(call: StageCall, maker: string): void {
  call.run.conductor?.undeclared?.(call, sourceOf(maker), undefined);
}

function sourceOf(maker: string): string {
  return `ids of ${maker}, which keeps a pool or a counter that runs share (node --import hindcast/register captures it)`;
}

function stackHere(): string {
  try {
    return String(new Error("drawn").stack);
  } catch {
    return ""; // whoever writes stacks out in this process has failed
  }
}
