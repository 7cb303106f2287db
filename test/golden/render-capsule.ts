/**
 * A capsule as JSON that a person can read and `diff` can compare. What JSON has no word for is an
 * object with a `$` that says what it is. Every field is named here by hand: a field that a later
 * version adds does not show, so the golden files of earlier versions stay as they are.
 */
import type { Capsule, OutcomeRecord } from "../../src/capsule/capsule.js";
import { valueAt } from "../../src/capsule/decode-capsule.js";
import { Marker } from "../../src/capsule/marker.js";
import { RecordedStream } from "../../src/capsule/recorded-stream.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function renderCapsule(capsule: Capsule): Json {
  const outcome = (record: OutcomeRecord): Json => {
    switch (record.status) {
      case "ok":
        return { status: "ok", value: record.value };
      case "error":
        return { status: "error", value: record.value, stack: record.stack };
      case "pending":
        return { status: "pending" };
    }
  };
  const version = (one: { name: string; version: string; digest?: string | undefined } | undefined): Json =>
    one === undefined ? null : [one.name, one.version, one.digest ?? null];
  const contract = (one: { name: string; hash: string | undefined } | undefined): Json =>
    one === undefined ? null : [one.name, one.hash ?? null];
  return {
    format: capsule.format,
    id: capsule.id,
    writer: capsule.writer,
    service: [capsule.service.name, capsule.service.version ?? null],
    pipeline: capsule.pipeline,
    startedAt: capsule.startedAt,
    seed: capsule.seed,
    trace: capsule.trace === undefined ? null : [capsule.trace.traceId, capsule.trace.spanId],
    environment: { ...capsule.environment },
    limits: { ...capsule.limits },
    ...(capsule.format >= 3
      ? { revision: capsule.revision ?? null, captures: [...(capsule.captures ?? [])] }
      : {}),
    exact: capsule.replayable.exact,
    reasons: capsule.replayable.reasons.map(({ code, name, message }) => [code, name, message]),
    kept: capsule.kept,
    stages: capsule.stages.map((stage) => ({
      name: stage.name,
      kind: stage.kind,
      data: version(stage.data),
      model: version(stage.model),
      input: contract(stage.input),
      output: contract(stage.output),
      ...(capsule.format >= 3 ? { source: stage.source ?? null } : {}),
    })),
    calls: capsule.calls.map((call) => ({
      stage: call.stage,
      parent: call.parent,
      ordinal: call.ordinal,
      at: call.at,
      duration: call.duration,
      input: [...call.input],
      asynchronous: call.asynchronous,
      delivered: call.delivered,
      unprompted: call.unprompted,
      outcome: outcome(call.outcome),
    })),
    effects: capsule.effects.map((effect) => ({
      name: effect.name,
      call: effect.call,
      ordinal: effect.ordinal,
      at: effect.at,
      duration: effect.duration,
      input: [...effect.input],
      asynchronous: effect.asynchronous,
      unprompted: effect.unprompted,
      ...(capsule.format >= 2 ? { delivered: effect.delivered, item: effect.item } : {}),
      ...(capsule.format >= 3
        ? {
            builder: effect.builder ?? null,
            read: effect.read === true,
            joined: effect.joined === true,
          }
        : {}),
      outcome: outcome(effect.outcome),
    })),
    events: capsule.events.map(({ kind, index }) => `${kind} ${index}`),
    violations: capsule.violations.map(({ call, side, issues }) => ({
      call,
      side,
      issues: issues.map(({ path, expected, received }) => [[...path], expected, received]),
    })),
    values: capsule.values.map((_, reference) => renderValue(valueAt(capsule, reference))),
  };
}

export function renderText(text: string): Json {
  return text.isWellFormed() ? text : { $: "utf16", hex: Buffer.from(text, "utf16le").toString("hex") };
}

export function renderNumber(value: number): Json {
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : { $: "number", value: Object.is(value, -0) ? "-0" : String(value) };
}

/** Fields by name where JSON can have them so, and as a list where it cannot. */
export function renderFields(entries: readonly (readonly [Json, Json])[]): Json {
  const isPlain = entries.every(([key]) => typeof key === "string" && key !== "$" && key !== "__proto__");
  // A list also where `JSON.stringify` would put the keys into another order: those that are numbers.
  return isPlain ? Object.fromEntries(entries) : { $: "fields", entries };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

function renderValue(root: unknown): Json {
  const places = new Map<object, number>();
  const count = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const before = places.get(value) ?? 0;
    places.set(value, before + 1);
    if (before === 0) for (const part of partsOf(value)) count(part);
  };
  count(root);
  const numbers = new Map<object, number>();
  const render = (value: unknown): Json => {
    if (typeof value === "object" && value !== null && (places.get(value) ?? 0) > 1) {
      const known = numbers.get(value);
      if (known !== undefined) return { $: "reference", to: known };
      const number = numbers.size;
      numbers.set(value, number);
      return { $: "shared", number, value: renderObject(value, render) };
    }
    return renderOne(value, render);
  };
  return render(root);
}

function renderOne(value: unknown, render: (value: unknown) => Json): Json {
  switch (typeof value) {
    case "string":
      return renderText(value);
    case "number":
      return renderNumber(value);
    case "boolean":
      return value;
    case "undefined":
      return { $: "undefined" };
    case "bigint":
      return { $: "bigint", value: String(value) };
    case "object":
      return value === null ? null : renderObject(value, render);
    default:
      throw new TypeError(`no ${typeof value} is ever in a capsule`);
  }
}

function renderObject(value: object, render: (value: unknown) => Json): Json {
  if (value instanceof Marker) {
    return {
      $: "marker",
      reason: value.reason,
      detail: value.detail,
      size: render(value.size),
      kept: render(value.kept),
    };
  }
  if (Array.isArray(value)) {
    return Array.from(value, (item: unknown, index) => (index in value ? render(item) : { $: "hole" }));
  }
  if (value instanceof Date)
    return { $: "Date", time: Number.isNaN(value.getTime()) ? null : value.getTime() };
  if (value instanceof Map)
    return { $: "Map", entries: [...value].map(([key, item]) => [render(key), render(item)]) };
  if (value instanceof Set) return { $: "Set", items: [...value].map(render) };
  if (value instanceof RegExp)
    return { $: "RegExp", source: value.source, flags: value.flags, lastIndex: value.lastIndex };
  if (value instanceof URL) return { $: "URL", href: value.href };
  const platform = renderPlatform(value, render);
  if (platform !== undefined) return platform;
  if (value instanceof ArrayBuffer) return { $: "ArrayBuffer", hex: hex(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { $: value.constructor.name, hex: hex(bytes) };
  }
  if (value instanceof DOMException) {
    return { $: "error", class: "DOMException", fields: { message: value.message, name: value.name } };
  }
  const entries = fieldsOf(value).map(([key, item]) => [renderText(key), render(item)] as const);
  if (value instanceof Error) {
    const isBuiltIn = Object.getPrototypeOf(value) !== Error.prototype || !Object.hasOwn(value, "name");
    return {
      $: "error",
      class: isBuiltIn ? value.constructor.name : value.name,
      fields: renderFields(entries),
    };
  }
  // An instance of a class that the reader does not know comes back as a plain object.
  if (Object.getPrototypeOf(value) === null)
    return { $: "instance", class: "", fields: renderFields(entries) };
  return renderFields(entries);
}

function renderPlatform(value: object, render: (value: unknown) => Json): Json | undefined {
  const entries = (pairs: Iterable<[string, unknown]>): Json =>
    [...pairs].map(([name, item]) => [renderText(name), render(item)]);
  const scalars = (keys: string): { readonly [key: string]: Json } =>
    Object.fromEntries(keys.split(" ").map((key) => [key, render(Reflect.get(value, key))]));
  if (value instanceof Headers) return { $: "Headers", entries: entries(value) };
  if (value instanceof FormData) return { $: "FormData", entries: entries(value) };
  if (value instanceof URLSearchParams) return { $: "URLSearchParams", entries: entries(value) };
  if (value instanceof File) return { $: "File", ...scalars("size type name lastModified") };
  if (value instanceof Blob) return { $: "Blob", ...scalars("size type") };
  if (value instanceof AbortSignal)
    return { $: "AbortSignal", aborted: value.aborted, reason: render(value.reason) };
  if (value instanceof RecordedStream)
    return { $: "stream", kind: value.kind, fields: render(value.fields) };
  if (value instanceof Request) {
    const keys =
      "method url mode credentials cache redirect referrer referrerPolicy integrity keepalive headers";
    return { $: "Request", ...scalars(keys), body: value.body !== null, ...scalars("signal") };
  }
  if (value instanceof Response) {
    const keys = "status statusText url redirected type headers";
    return { $: "Response", ...scalars(keys), body: value.body !== null };
  }
  return undefined;
}

function fieldsOf(value: object): [string, unknown][] {
  return Object.getOwnPropertyNames(value)
    .filter(
      (key) =>
        !(value instanceof Error && (key === "stack" || (key === "name" && !isEnumerable(value, key)))),
    )
    .map((key) => [key, (value as Record<string, unknown>)[key]]);
}

function isEnumerable(value: object, key: string): boolean {
  return Object.getOwnPropertyDescriptor(value, key)?.enumerable === true;
}

function partsOf(value: object): unknown[] {
  if (value instanceof Map) return [...value].flat();
  if (value instanceof Set) return [...value];
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return [];
  if (value instanceof URL || value instanceof RegExp || value instanceof DOMException) return [];
  return fieldsOf(value).map(([, part]) => part);
}
