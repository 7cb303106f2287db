/** What a snapshot holds in place of the values that are neither primitive, nor array, nor plain object. */

/** In the order of their RFC 8746 tags (see `encode-value.ts`). */
export const TYPED_ARRAY_NAMES = [
  "Uint8Array",
  "Uint8ClampedArray",
  "Uint16Array",
  "Uint32Array",
  "BigUint64Array",
  "Int8Array",
  "Int16Array",
  "Int32Array",
  "BigInt64Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
] as const;
export type TypedArrayName = (typeof TYPED_ARRAY_NAMES)[number];

/** First element of the array under tag 27: what has no tag of its own. */
export const NAMED = {
  marker: "hindcast.marker",
  hole: "hindcast.hole",
  error: "hindcast.error",
  instance: "hindcast.instance",
  fields: "hindcast.fields",
  utf16: "hindcast.utf16",
  headers: "hindcast.headers",
  formData: "hindcast.form-data",
  searchParams: "hindcast.search-params",
  blob: "hindcast.blob",
  file: "hindcast.file",
  request: "hindcast.request",
  response: "hindcast.response",
  abortSignal: "hindcast.abort-signal",
  stream: "hindcast.stream",
  handle: "hindcast.handle",
  extended: "hindcast.extended",
  regExp: "RegExp",
  buffer: "Buffer",
  dataView: "DataView",
  arrayBuffer: "ArrayBuffer",
} as const;

/** Flags of a further property, under `extended`. */
export const IS_SYMBOL = 1;
export const IS_HIDDEN = 2;

/** An empty slot of a sparse array. */
export const HOLE: unique symbol = Symbol("hole");

export class DateNode {
  readonly time: number;
  constructor(time: number) {
    this.time = time;
  }
}

export class RegExpNode {
  readonly source: string;
  readonly flags: string;
  readonly lastIndex: number;
  constructor(source: string, flags: string, lastIndex: number) {
    this.source = source;
    this.flags = flags;
    this.lastIndex = lastIndex;
  }
}

export class UrlNode {
  readonly href: string;
  constructor(href: string) {
    this.href = href;
  }
}

export class BytesNode {
  readonly type: TypedArrayName | "Buffer" | "DataView" | "ArrayBuffer";
  readonly bytes: Uint8Array;
  constructor(type: BytesNode["type"], bytes: Uint8Array) {
    this.type = type;
    this.bytes = bytes;
  }
}

export class MapNode {
  readonly entries: [unknown, unknown][] = [];
}

export class SetNode {
  readonly items: unknown[] = [];
}

/** An error: its class by name, and its own properties but for the stack, which differs from machine to machine. */
export class ErrorNode {
  readonly type: string;
  readonly fields: Record<string, unknown> = {};
  constructor(type: string) {
    this.type = type;
  }
}

/** An instance of a class, by name, with its own enumerable properties; `""` is an object with no prototype. */
export class InstanceNode {
  readonly type: string;
  readonly fields: Record<string, unknown> = {};
  constructor(type: string) {
    this.type = type;
  }
}

/** Something of the platform's: its name under tag 27 (see `encode-value.ts`), and what it is made of. */
export class NamedNode {
  readonly name: string;
  readonly parts: readonly unknown[];
  constructor(name: string, parts: readonly unknown[]) {
    this.name = name;
    this.parts = parts;
  }
}

/** Another place of the same value. */
export class ReferenceNode {
  readonly target: object;
  constructor(target: object) {
    this.target = target;
  }
}
