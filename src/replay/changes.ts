import { type Capsule, type StageRecord, sameVersion, type Version } from "../capsule/capsule.js";
import { codeChanges } from "./code-identity.js";
import { compareEnvironments, currentEnvironment } from "../capsule/environment.js";
import type { Recording } from "../record/recording.js";
import { revisionOf, stageRecord } from "../record/seal-recording.js";

/** What a run declares: where it ran, and its stages. */
export type Declarations = Pick<Capsule, "environment" | "stages" | "service" | "revision">;

/** Of a run of this process. */
export function declarationsOf(recording: Recording): Declarations {
  const { stages, options } = recording.contents();
  return {
    environment: currentEnvironment(),
    stages: stages.map(stageRecord),
    service: options.service,
    revision: revisionOf(options),
  };
}

/** What was declared otherwise in the two runs, in lines such as `stage risk: model risk@7 -> risk@8`. */
export function declaredChanges(recorded: Declarations, replayed: Declarations): readonly string[] {
  const changes = [...compareEnvironments(recorded.environment, replayed.environment)];
  const seen = new Set<string>();
  for (const was of recorded.stages) {
    const is = replayed.stages.find((stage) => stage.name === was.name);
    if (is === undefined || seen.has(was.name)) continue;
    seen.add(was.name);
    changes.push(...stageChanges(was, is));
  }
  changes.push(...codeChanges(recorded, replayed));
  return changes;
}

function stageChanges(was: StageRecord, is: StageRecord): string[] {
  const changes: string[] = [];
  if (was.kind !== is.kind) changes.push(`kind ${was.kind} -> ${is.kind}`);
  for (const which of ["data", "model"] as const) {
    if (!sameVersion(was[which], is[which])) {
      changes.push(
        `${which} ${formatVersion(was[which], is[which])} -> ${formatVersion(is[which], was[which])}`,
      );
    }
  }
  for (const side of ["input", "output"] as const) {
    if (was[side]?.hash !== is[side]?.hash || (was[side] === undefined) !== (is[side] === undefined)) {
      changes.push(`${side} contract ${formatHash(was[side])} -> ${formatHash(is[side])}`);
    }
  }
  return changes.map((change) => `stage ${was.name}: ${change}`);
}

/** The digest is only told where nothing else tells the two apart. */
function formatVersion(version: Version | undefined, other: Version | undefined): string {
  if (version === undefined) return "none";
  const text = `${version.name}@${version.version}`;
  const alike = other !== undefined && text === `${other.name}@${other.version}`;
  return alike ? `${text} (${version.digest ?? "no digest"})` : text;
}

function formatHash(identity: StageRecord["input"]): string {
  return identity === undefined ? "none" : (identity.hash?.slice(0, 19) ?? identity.name);
}
