/** What two capsules say of the code that ran, compared. */
import type { Capsule } from "../capsule/capsule.js";

type Identity = Pick<Capsule, "service" | "revision" | "stages">;

/** What of the code is another one, in lines such as `revision 1f0c… -> 9ab3…`. Unknown on one side is no change. */
export function codeChanges(was: Identity, is: Identity): readonly string[] {
  const changes: string[] = [];
  const { version } = was.service;
  if (version !== undefined && is.service.version !== undefined && version !== is.service.version) {
    changes.push(`service version ${version} -> ${is.service.version}`);
  }
  if (was.revision !== undefined && is.revision !== undefined && was.revision !== is.revision) {
    changes.push(`revision ${shorten(was.revision)} -> ${shorten(is.revision)}`);
  }
  return [...changes, ...changedStages(was, is).map((name) => `stage ${name}: its source text`)];
}

/** Names of the stages of both whose text is known, and another one. */
export function changedStages(was: Pick<Capsule, "stages">, is: Pick<Capsule, "stages">): readonly string[] {
  const texts = new Map(is.stages.map((stage) => [stage.name, stage.source]));
  const changed = new Set<string>();
  for (const { name, source } of was.stages) {
    const text = texts.get(name);
    if (source !== undefined && text !== undefined && source !== text) changed.add(name);
  }
  return [...changed];
}

/** Whether the format of a capsule has room for what is compared here. */
export function hasIdentity({ captures }: Pick<Capsule, "captures">): boolean {
  return captures !== undefined;
}

/** Commits are told apart by their beginnings. */
function shorten(revision: string): string {
  return /^[\da-f]{40,64}$/.test(revision) ? revision.slice(0, 12) : revision;
}
