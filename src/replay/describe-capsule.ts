import {
  type Capsule,
  type CapsuleEvent,
  type EffectRecord,
  type OutcomeRecord,
  type ParentRecord,
  stageOf,
  type Version,
} from "../capsule/capsule.js";
import { valueAt } from "../capsule/decode-capsule.js";
import { formatPath } from "../json-path.js";
import { formatValue } from "./format-value.js";
import { joinedBody, readableBody, textOfBody } from "./readable-body.js";

/** A decision in full, in lines for a person: what ran, on which versions, what it read, what it gave, and when. */
export function describeCapsule(capsule: Capsule, options: { readonly width?: number } = {}): string {
  const width = options.width ?? 120;
  const { service, environment, replayable } = capsule;
  const lines = [
    `capsule    ${capsule.id}`,
    `service    ${service.name}${service.version === undefined ? "" : ` ${service.version}`}`,
    `started    ${new Date(capsule.startedAt).toISOString()}   seed ${capsule.seed}   kept by ${capsule.kept}`,
    `run on     node ${environment.node}, ${environment.platform} ${environment.arch}, ${environment.timezone}`,
    ...(capsule.parent === undefined ? [] : [describeParent(capsule.parent)]),
    ...(capsule.trace === undefined ? [] : [`trace      ${capsule.trace.traceId}`]),
    `replay     ${replayable.exact ? "exact" : `may not be exact: ${replayable.reasons.map((reason) => reason.message).join(" ")}`}`,
    "",
  ];
  const bodies = receivedBodies(capsule);
  for (const event of capsule.events) {
    lines.push(...describeEvent(capsule, event, width));
    const body = event.kind === "effect-start" ? sentBody(capsule, event.index) : bodies.get(event.index);
    if (body === undefined || event.kind.startsWith("call")) continue;
    const { call } = capsule.effects[event.index] as EffectRecord;
    const what = event.kind === "effect-start" ? "sends" : "body ";
    for (const line of readableBody(body, width))
      lines.push(`${clock()} ${indent(capsule, call)}      ${what} ${line}`);
  }
  for (const violation of capsule.violations) {
    const issues = violation.issues.map(
      (issue) => `${formatPath(issue.path)} expected ${issue.expected}, received ${issue.received}`,
    );
    lines.push(`violation  ${stageOf(capsule, violation.call).name} ${violation.side}: ${issues.join("; ")}`);
  }
  return lines.join("\n");
}

/** The body that an exchange sends; undefined where it is empty, or read from somewhere. */
function sentBody(capsule: Capsule, index: number): unknown {
  const { name, input } = capsule.effects[index] as EffectRecord;
  if (name !== "fetch" && name !== "http") return undefined;
  const asked = input.at(name === "fetch" ? 1 : 0);
  const request: unknown = asked === undefined ? undefined : valueAt(capsule, asked);
  const body = (request as { readonly body?: unknown } | null | undefined)?.body;
  return textOfBody(body) === undefined ? undefined : body;
}

/** What came of each exchange in pieces, joined: by the last piece. */
function receivedBodies(capsule: Capsule): ReadonlyMap<number, unknown> {
  const chunks = new Map<string, unknown[]>();
  const last = new Map<string, number>();
  for (const [index, { name, call, outcome, item }] of capsule.effects.entries()) {
    if (item || !name.endsWith(".stream") || outcome.status !== "ok") continue;
    const value: unknown = valueAt(capsule, outcome.value);
    const piece = value as { readonly value?: unknown; readonly chunk?: unknown } | null;
    const chunk = piece?.chunk ?? piece?.value;
    if (chunk === undefined) continue;
    const key = `${call} ${name}`;
    const list = chunks.get(key) ?? [];
    list.push(chunk);
    chunks.set(key, list);
    last.set(key, index);
  }
  const bodies = new Map<number, unknown>();
  for (const [key, list] of chunks) {
    const body = joinedBody(list);
    if (textOfBody(body) !== undefined) bodies.set(last.get(key) as number, body);
  }
  return bodies;
}

function describeParent({ id, changes }: ParentRecord): string {
  return `parent     ${id}   ${changes.length === 0 ? "nothing changed" : changes.join("; ")}`;
}

function describeEvent(capsule: Capsule, event: CapsuleEvent, width: number): string[] {
  switch (event.kind) {
    case "call-start": {
      const call = capsule.calls[event.index];
      if (call === undefined) return [];
      const stage = stageOf(capsule, event.index);
      const versions = [
        stage.data === undefined ? "" : `data ${formatVersion(stage.data)}`,
        stage.model === undefined ? "" : `model ${formatVersion(stage.model)}`,
      ].filter((version) => version !== "");
      const input = call.input.map((reference) => formatValue(valueAt(capsule, reference), width)).join(", ");
      return [
        `${clock(call.at)} ${indent(capsule, event.index)}${stage.kind} ${stage.name}  ${versions.join("  ")}`.trimEnd(),
        `${clock()} ${indent(capsule, event.index)}  in   ${input}`,
      ];
    }
    case "call-end": {
      const call = capsule.calls[event.index];
      if (call === undefined) return [];
      return [
        `${clock(call.at + call.duration)} ${indent(capsule, event.index)}  ${formatOutcome(capsule, call.outcome, width)}  (${stageOf(capsule, event.index).name}, ${milliseconds(call.duration)})`,
      ];
    }
    case "effect-start": {
      const effect = capsule.effects[event.index] as EffectRecord;
      const input = effect.input
        .map((reference) => formatValue(valueAt(capsule, reference), width))
        .join(", ");
      return [`${clock(effect.at)} ${indent(capsule, effect.call)}    ⇢ ${effectName(effect)}(${input})`];
    }
    case "effect-end": {
      const effect = capsule.effects[event.index] as EffectRecord;
      return [
        `${clock(effect.at + effect.duration)} ${indent(capsule, effect.call)}    ⇠ ${effectName(effect)} ${formatOutcome(capsule, effect.outcome, width)}  (${milliseconds(effect.duration)})`,
      ];
    }
  }
}

const CLOCK_WIDTH = 11;
const ERROR_WIDTH = 300;

/** Milliseconds from the start of the run, or as much blank. */
function clock(microseconds?: number): string {
  return (microseconds === undefined ? "" : `+${milliseconds(microseconds)}`).padStart(CLOCK_WIDTH);
}

function milliseconds(microseconds: number): string {
  return `${(microseconds / 1000).toFixed(3)} ms`;
}

function indent(capsule: Capsule, call: number): string {
  let depth = 0;
  for (let index = capsule.calls[call]?.parent ?? -1; index >= 0; index = capsule.calls[index]?.parent ?? -1)
    depth += 1;
  return "  ".repeat(depth);
}

function effectName(effect: EffectRecord): string {
  return effect.ordinal === 0 ? effect.name : `${effect.name}#${effect.ordinal}`;
}

function formatOutcome(capsule: Capsule, outcome: OutcomeRecord, width: number): string {
  switch (outcome.status) {
    case "ok":
      return `out  ${formatValue(valueAt(capsule, outcome.value), width)}`;
    case "error": {
      const error = valueAt(capsule, outcome.value);
      return `threw ${formatValue(error, Math.max(width, ERROR_WIDTH))}`;
    }
    case "pending":
      return "did not end";
  }
}

function formatVersion(version: Version): string {
  const digest = version.digest === undefined ? "" : ` (${version.digest.slice(0, 19)}…)`;
  return `${version.name}@${version.version}${digest}`;
}
