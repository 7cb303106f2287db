import { type Capsule, type CapsuleSummary, rootCall } from "../capsule/capsule.js";
import { encodeCapsule } from "../capsule/encode-capsule.js";
import type { StoredCapsule } from "../stores/store.js";

/** A capsule as a store takes it: `await store.append([storedCapsule(result.replayed)])`. */
export function storedCapsule(capsule: Capsule): StoredCapsule {
  return { summary: summaryOf(capsule), bytes: encodeCapsule(capsule) };
}

function summaryOf(capsule: Capsule): CapsuleSummary {
  const root = rootCall(capsule);
  const versions = new Set<string>();
  for (const { data, model } of capsule.stages) {
    if (data !== undefined) versions.add(`${data.name}@${data.version}`);
    if (model !== undefined) versions.add(`${model.name}@${model.version}`);
  }
  return {
    id: capsule.id,
    service: capsule.service.name,
    pipeline: capsule.pipeline,
    startedAt: capsule.startedAt,
    duration: root.duration / 1000,
    // A root that did not end has not done what it was to do.
    status: root.outcome.status === "ok" ? "ok" : "error",
    violations: capsule.violations.length,
    versions: [...versions],
    exact: capsule.replayable.exact,
    traceId: capsule.trace?.traceId,
    kept: capsule.kept,
  };
}
