/**
 * Reads a capsule with a CBOR reader and no line of the library, as `docs/capsule-format.md` says,
 * and renders it as `render-capsule.ts` does. It is what somebody writes who has nothing but the file (G12).
 */
import { crc32 } from "node:zlib";
import { decode } from "cborg";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

class Tagged {
  readonly tag: number;
  readonly content: unknown;
  constructor(tag: number, content: unknown) {
    this.tag = tag;
    this.content = content;
  }
}

const TYPED_ARRAYS = new Map([
  [64, "Uint8Array"],
  [68, "Uint8ClampedArray"],
  [69, "Uint16Array"],
  [70, "Uint32Array"],
  [71, "BigUint64Array"],
  [72, "Int8Array"],
  [77, "Int16Array"],
  [78, "Int32Array"],
  [79, "BigInt64Array"],
  [84, "Float16Array"],
  [85, "Float32Array"],
  [86, "Float64Array"],
]);

const TAGS = [1, 2, 3, 27, 28, 29, 32, 258, 259, 1001, 55799, ...TYPED_ARRAYS.keys()];

function read(bytes: Uint8Array): unknown {
  const tags = Object.fromEntries(
    TAGS.map((tag) => [tag, (content: () => unknown) => new Tagged(tag, content())]),
  );
  return decode(bytes, { tags, useMaps: true });
}

export function readPlainly(file: Uint8Array): Json {
  const { tag, content } = read(file) as Tagged;
  const [name, format, checksum, bytes] = content as [string, number, number, Uint8Array];
  if (tag !== 55799 || name !== "hindcast") throw new Error("not a capsule");
  if (crc32(bytes) !== checksum) throw new Error("damaged");
  const body = read(bytes) as Map<string, unknown>;
  const rows = (key: string): unknown[][] => body.get(key) as unknown[][];
  const field = (key: string): Json => render(body.get(key));
  // In the tables what is missing is `undefined`; JSON has null.
  const optional = (value: unknown): Json => (value === undefined ? null : render(value));
  const optionals = (value: unknown, length: number): Json =>
    value === undefined ? null : Array.from({ length }, (_, index) => optional((value as unknown[])[index]));
  const outcome = ([status, value, stack]: unknown[]): Json => {
    if (status === 0) return { status: "ok", value: value as number };
    if (status === 1) return { status: "error", value: value as number, stack: stack as string };
    return { status: "pending" };
  };
  const bit = (flags: unknown, mask: number): boolean => ((flags as number) & mask) !== 0;
  const kinds = ["call-start", "call-end", "effect-start", "effect-end"];
  return {
    format,
    id: field("id"),
    writer: field("writer"),
    service: optionals(body.get("service"), 2),
    pipeline: field("pipeline"),
    startedAt: field("startedAt"),
    seed: field("seed"),
    trace: optionals(body.get("trace"), 2),
    environment: field("environment"),
    limits: field("limits"),
    ...((format >= 3 ? { revision: optional(body.get("revision")), captures: field("captures") } : {}) as {
      [key: string]: Json;
    }),
    exact: field("exact"),
    reasons: field("reasons"),
    kept: field("kept"),
    stages: rows("stages").map(([name_, kind, data, model, input, output, source]) => ({
      name: render(name_),
      kind: render(kind),
      data: optionals(data, 3),
      model: optionals(model, 3),
      input: optionals(input, 2),
      output: optionals(output, 2),
      ...(format >= 3 ? { source: optional(source) } : {}),
    })),
    calls: rows("calls").map(([stage, parent, ordinal, at, duration, input, flags, ...rest]) => ({
      stage: render(stage),
      parent: render(parent),
      ordinal: render(ordinal),
      at: render(at),
      duration: render(duration),
      input: render(input),
      asynchronous: bit(flags, 1),
      delivered: bit(flags, 2),
      unprompted: bit(flags, 4),
      outcome: outcome(rest),
    })),
    effects: rows("effects").map(([name_, call, ordinal, at, duration, input, flags, ...rest]) => ({
      name: render(name_),
      call: render(call),
      ordinal: render(ordinal),
      at: render(at),
      duration: render(duration),
      input: render(bit(flags, 16) ? (input as unknown[]).slice(0, -1) : input),
      asynchronous: bit(flags, 1),
      unprompted: bit(flags, 4),
      ...(format >= 2 ? { delivered: bit(flags, 2), item: bit(flags, 8) } : {}),
      ...(format >= 3
        ? {
            builder: bit(flags, 16) ? render((input as unknown[]).at(-1)) : null,
            read: bit(flags, 32),
            joined: bit(flags, 64),
          }
        : {}),
      outcome: outcome(rest),
    })),
    events: (body.get("events") as number[]).map((event) => `${kinds[event % 4]} ${Math.floor(event / 4)}`),
    violations: rows("violations").map(([call, side, issues]) => ({
      call: render(call),
      side: render(side),
      issues: render(issues),
    })),
    values: (body.get("values") as Uint8Array[]).map((value) => renderValue(read(value))),
  };
}

const render = (value: unknown): Json => renderValue(value);

function renderValue(root: unknown): Json {
  let shared = 0;
  const renderAny = (value: unknown): Json => {
    if (value instanceof Tagged) return renderTagged(value);
    if (value instanceof Uint8Array) return { $: "bytes", hex: hex(value) };
    if (Array.isArray(value)) return value.map(renderAny);
    if (value instanceof Map) return fields([...value]);
    if (value === undefined) return { $: "undefined" };
    if (typeof value === "number" && (Object.is(value, -0) || !Number.isFinite(value))) {
      return { $: "number", value: Object.is(value, -0) ? "-0" : String(value) };
    }
    return value as Json;
  };
  const fields = (entries: [unknown, unknown][]): Json => {
    const rendered = entries.map(([key, value]) => [renderAny(key), renderAny(value)] as const);
    const isPlain = rendered.every(([key]) => typeof key === "string" && key !== "$" && key !== "__proto__");
    return isPlain ? (Object.fromEntries(rendered) as Json) : { $: "fields", entries: rendered };
  };
  const renderTagged = ({ tag, content }: Tagged): Json => {
    const typedArray = TYPED_ARRAYS.get(tag);
    if (typedArray !== undefined) return { $: typedArray, hex: hex(content as Uint8Array) };
    switch (tag) {
      case 1: {
        const seconds = content as number;
        return { $: "Date", time: Number.isNaN(seconds) ? null : Math.round(seconds * 1000) };
      }
      case 1001: {
        const parts = content as Map<number, number>;
        return { $: "Date", time: (parts.get(1) ?? 0) * 1000 + (parts.get(-3) ?? 0) };
      }
      case 2:
        return { $: "bigint", value: String(BigInt(`0x${hex(content as Uint8Array) || "0"}`)) };
      case 3:
        return { $: "bigint", value: String(-1n - BigInt(`0x${hex(content as Uint8Array) || "0"}`)) };
      case 27:
        return renderNamed(content as unknown[]);
      case 28: {
        const number = shared++;
        return { $: "shared", number, value: renderAny(content) };
      }
      case 29:
        return { $: "reference", to: content as number };
      case 32:
        return { $: "URL", href: content as string };
      case 258:
        return { $: "Set", items: (content as unknown[]).map(renderAny) };
      case 259:
        return {
          $: "Map",
          entries: [...(content as Map<unknown, unknown>)].map(([key, value]) => [
            renderAny(key),
            renderAny(value),
          ]),
        };
      default:
        throw new Error(`tag ${tag} is not of this format`);
    }
  };
  const renderNamed = ([name, ...parts]: unknown[]): Json => {
    switch (name) {
      case "hindcast.hole":
        return { $: "hole" };
      case "hindcast.marker": {
        const [reason, detail, size, kept] = parts.map(renderAny) as [Json, Json, Json, Json];
        return { $: "marker", reason, detail, size, kept };
      }
      case "hindcast.error":
        return { $: "error", class: renderAny(parts[0]), fields: renderAny(parts[1]) };
      case "hindcast.instance":
        // A reader that does not have the class has its fields; an object without prototype has no class.
        return parts[0] === ""
          ? { $: "instance", class: "", fields: renderAny(parts[1]) }
          : renderAny(parts[1]);
      case "hindcast.fields": {
        const list = parts[0] as unknown[];
        return fields(
          Array.from({ length: list.length / 2 }, (_, index) => [list[2 * index], list[2 * index + 1]]),
        );
      }
      case "hindcast.utf16":
        return { $: "utf16", hex: hex(parts[0] as Uint8Array) };
      case "hindcast.headers":
        return { $: "Headers", entries: renderAny(parts[0]) };
      case "hindcast.form-data":
        return { $: "FormData", entries: renderAny(parts[0]) };
      case "hindcast.search-params":
        return { $: "URLSearchParams", entries: renderAny(parts[0]) };
      case "hindcast.blob":
        return { $: "Blob", size: renderAny(parts[0]), type: renderAny(parts[1]) };
      case "hindcast.file": {
        const [size, type, fileName, lastModified] = parts.map(renderAny) as [Json, Json, Json, Json];
        return { $: "File", size, type, name: fileName, lastModified };
      }
      case "hindcast.request":
        return { $: "Request", ...(renderAny(parts[0]) as { readonly [key: string]: Json }) };
      case "hindcast.response":
        return { $: "Response", ...(renderAny(parts[0]) as { readonly [key: string]: Json }) };
      case "hindcast.abort-signal":
        return { $: "AbortSignal", aborted: renderAny(parts[0]), reason: renderAny(parts[1]) };
      case "hindcast.stream":
        return { $: "stream", kind: renderAny(parts[0]), fields: renderAny(parts[1]) };
      case "hindcast.extended":
        // A reader that knows of no properties under a list or a date has the value itself.
        return renderAny(parts[1]);
      case "RegExp":
        return {
          $: "RegExp",
          source: parts[0] as string,
          flags: parts[1] as string,
          lastIndex: parts[2] as number,
        };
      case "Buffer":
      case "DataView":
      case "ArrayBuffer":
        return { $: name, hex: hex(parts[0] as Uint8Array) };
      default:
        throw new Error(`${String(name)} is not of this format`);
    }
  };
  return renderAny(root);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
