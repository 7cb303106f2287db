/**
 * Takes a structural copy of a value at a boundary, to be encoded later or thrown away.
 *
 * Invariants
 * 1. Never throws, never calls `toJSON`, never writes to the value (G2, G3).
 * 2. The copy shares nothing mutable with the value; strings are shared, being immutable (G3).
 * 3. Work and memory are bounded by the limits, whatever the value claims of itself (G8).
 * 4. Whatever is missing has a `Marker` in its place, and the first such place is reported.
 * 5. Cycles and shared references within one value are kept as such.
 *
 * The copy holds primitives, arrays and plain objects as they are, and everything else as a node
 * of `copy-nodes.ts`. Plain objects are spread, not walked key by key: it is what V8 does fastest.
 */
import { types } from "node:util";
import type { Limits } from "./limits.js";
import { hiddenProperties, mayHaveFurther } from "./hidden-parts.js";
import { Marker } from "./marker.js";
import {
  BytesNode,
  DateNode,
  ErrorNode,
  HOLE,
  IS_HIDDEN,
  IS_SYMBOL,
  InstanceNode,
  MapNode,
  NAMED,
  NamedNode,
  ReferenceNode,
  RegExpNode,
  SetNode,
  TYPED_ARRAY_NAMES,
  type TypedArrayName,
  UrlNode,
} from "./copy-nodes.js";
import {
  entriesOf,
  isAsMade,
  type PlatformName,
  platformNameOf,
  readSlot,
  scalarsOf,
} from "./platform-values.js";
import { recordedAs } from "./recorded-head.js";
import { RecordedHandle, standInOf } from "./recorded-handle.js";
import { isExchangeKind, isStreamKind, RecordedStream } from "./recorded-stream.js";

/** A copied value. */
export interface Snapshot {
  readonly copy: unknown;
  /** Estimated bytes: what the copy costs in memory, and about what it will cost encoded. */
  readonly size: number;
  /** Copies that are referred to more than once; undefined for a tree. */
  readonly shared: ReadonlySet<object> | undefined;
  /** The first place where something is missing or would come back as something else. */
  readonly loss: Loss | undefined;
}

export interface Loss {
  readonly path: readonly (string | number)[];
  readonly marker: Marker;
  /**
   * `told`: a replay is told where it is read (see `missing-parts.ts`); `lost`: it is not there, and reading it tells
   * nobody; `class`: its data is there, but it would come back without its class, and that tells nobody.
   */
  readonly kind: "told" | "lost" | "class";
}

/** Of 8 objects or fewer, looking through a list is faster than hashing. */
const SEEN_IN_LIST = 8;
/** What a copy costs in memory besides what it holds: so work is bounded by `valueBytes` as well. */
const COST_OF_OBJECT = 32;
const COST_OF_NUMBER = 9;
const COST_OF_SLOT = 8;
/** Making a RegExp or a URL takes as long as copying so many bytes of other things. */
const COST_OF_PARSING = 128;
/** What a hole, a marker, and the name of an instance's class take encoded. */
const COST_OF_HOLE = 17;
const COST_OF_MARKER = 32;
const COST_OF_CLASS = 24;
const NAME_UNITS = 200;
/** The key of the marker that says that an object goes on. */
const MARK = "…";
/** So many objects with the same keys are asked for getters, and no more. */
const ASKED_ALIKE = 16;
/** How far up the classes of a value are looked through. */
const HIGHEST = 32;
/** Objects of more keys are not spread: V8 takes longer over them than over one key at a time. */
const SPREAD_KEYS = 1_000;

/** What has no parts is its own copy. */
export type Simple = string | number | boolean | undefined;

/** A value as it is held until it is encoded: most arguments and results of effects need nothing around them. */
export type Held = Snapshot | Simple;

/** Whether `value` has no parts, and is within the limits. */
export function isSimple(value: unknown, { valueBytes }: Limits): value is Simple {
  switch (typeof value) {
    case "number":
    case "boolean":
    case "undefined":
      return true;
    case "string":
      return value.length <= valueBytes;
    default:
      return false;
  }
}

/** The estimated bytes of a value. */
export function heldSize(held: Held): number {
  if (typeof held === "object") return held.size;
  return typeof held === "string" ? held.length : COST_OF_NUMBER;
}

/** The value, with markers where something is missing. */
export function heldCopy(held: Held): unknown {
  return typeof held === "object" ? held.copy : held;
}

/**
 * Copies `value` within `limits`. `classes` names the classes whose instances replay can give back;
 * `onBody` is told of each Request and Response in it.
 */
export function takeSnapshot(
  value: unknown,
  limits: Limits,
  classes?: ReadonlySet<string>,
  onBody?: (body: object) => void,
): Snapshot {
  if (isSimple(value, limits)) {
    return { copy: value, size: heldSize(value), shared: undefined, loss: undefined };
  }
  return new Copier(limits, classes, onBody).run(value);
}

class Copier {
  readonly #limits: Limits;
  readonly #classes: ReadonlySet<string> | undefined;
  readonly #onBody: ((body: object) => void) | undefined;
  readonly #seenSources: object[] = [];
  readonly #seenCopies: unknown[] = [];
  #seen: Map<object, unknown> | undefined;
  #shared: Set<object> | undefined;
  #left: number;
  #path: (string | number)[] = [];
  /** How many objects with these keys, one after the other, had no getter. */
  #asked = 0;
  #askedKeys: readonly string[] = [];
  #loss: Loss | undefined;

  constructor(
    limits: Limits,
    classes: ReadonlySet<string> | undefined,
    onBody: ((body: object) => void) | undefined,
  ) {
    this.#limits = limits;
    this.#classes = classes;
    this.#onBody = onBody;
    this.#left = limits.valueBytes;
  }

  run(value: unknown): Snapshot {
    const copy = this.#copy(value, 0);
    const size = this.#limits.valueBytes - this.#left;
    return { copy, size, shared: this.#shared, loss: this.#loss };
  }

  #copy(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "number":
      case "boolean":
      case "undefined":
        this.#left -= COST_OF_NUMBER;
        return value;
      case "string":
        return this.#string(value);
      case "bigint":
        return this.#bigint(value);
      case "symbol":
        return this.#lose(new Marker("symbol", (value.description ?? "").slice(0, NAME_UNITS)));
      case "function": {
        const standIn = standInOf(value);
        if (standIn !== undefined) return this.#standIn(standIn, depth);
        return this.#lose(new Marker("function", nameOf(value)));
      }
      default:
        if (value !== null) return this.#object(value as object, depth);
        this.#left -= COST_OF_SLOT;
        return null;
    }
  }

  #string(text: string): unknown {
    if (text.length <= this.#left) {
      this.#left -= text.length + COST_OF_SLOT;
      return text;
    }
    return this.#head("string", text);
  }

  /** The head of a text that is over the limit. */
  #head(what: string, text: string): Marker {
    const kept = detachedHead(text, Math.max(this.#left, 0));
    this.#left = 0;
    return this.#lose(new Marker("bytes", what, text.length, kept));
  }

  #bigint(value: bigint): unknown {
    // A bigint's size is not to be had without writing it out; asking for its low bits is cheap.
    const bits = this.#left * 8;
    this.#left -= COST_OF_NUMBER;
    if (value === BigInt.asIntN(256, value)) return value;
    const fits = bits > 0 && BigInt.asIntN(bits, value) === value;
    if (!fits) return this.#lose(new Marker("bytes", "bigint"));
    this.#left -= value.toString(16).length >>> 1;
    return value;
  }

  #object(value: object, depth: number): unknown {
    if (this.#left <= 0) return this.#lose(new Marker("bytes", "value"));
    if (depth >= this.#limits.depth) return this.#lose(new Marker("depth", "", depth));
    this.#left -= COST_OF_OBJECT;
    const standIn = standInOf(value);
    if (standIn !== undefined) return this.#standIn(standIn, depth);
    const known = this.#seenBefore(value);
    if (known !== undefined) {
      if (this.#shared === undefined) this.#shared = new Set();
      this.#shared.add(known);
      return new ReferenceNode(known);
    }
    const pathLength = this.#path.length;
    try {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (Array.isArray(value)) {
        return this.#list(value, prototype as object | null, depth);
      }
      if (prototype === Object.prototype) return this.#plain(value as Record<string, unknown>, depth);
      return this.#special(value, prototype as object | null, depth);
    } catch {
      // A trap or a getter threw before anything of the value could be told.
      this.#path.length = pathLength;
      // What was copied of it goes nowhere: its next place must not refer to that.
      this.#forget(value);
      return this.#lose(new Marker("unreadable", ""));
    }
  }

  #array(source: readonly unknown[], depth: number): unknown[] {
    const length = source.length;
    const kept = Math.min(length, this.#limits.entries);
    const whole = kept === length && source.constructor === Array;
    const copy: unknown[] = whole
      ? Array.prototype.slice.call(source)
      : Array.from({ length: kept }, () => HOLE);
    this.#remember(source, copy);
    for (let index = 0; index < kept; index++) {
      let item: unknown;
      if (whole) item = copy[index];
      else
        try {
          item = source[index];
        } catch {
          copy[index] = this.#loseAt(index, new Marker("unreadable", ""));
          continue;
        }
      if (typeof item === "number") {
        this.#left -= COST_OF_NUMBER;
        if (!whole) copy[index] = item;
      } else if (item === undefined && !(index in source)) {
        this.#left -= COST_OF_HOLE;
        copy[index] = HOLE;
      } else {
        this.#path.push(index);
        copy[index] = this.#copy(item, depth + 1);
        this.#path.pop();
      }
      if (this.#left <= 0 && index + 1 < kept) {
        copy.length = index + 1;
        const rest = cutMarkerAt(source, index + 1, length) ?? new Marker("bytes", "array", length);
        copy.push(this.#loseAt(index + 1, rest));
        return copy;
      }
    }
    if (kept < length) {
      const rest = cutMarkerAt(source, kept, length) ?? new Marker("entries", "array", length);
      copy.push(this.#loseAt(kept, rest));
    }
    return copy;
  }

  #plain(source: Record<string, unknown>, depth: number): unknown {
    const keys = Object.keys(source);
    if (keys.length > SPREAD_KEYS) return this.#large(source, keys, depth);
    if (!this.#isOrdinary(source, keys)) {
      const fields: Record<string, unknown> = {};
      this.#remember(source, fields);
      this.#fill(fields, source, keys, depth);
      return this.#extended(source, fields, "", isEnumerable, depth);
    }
    const copy: Record<string, unknown> = { ...source };
    this.#remember(source, copy);
    let count = 0;
    for (const key in copy) {
      const limit = this.#limitAt(count++);
      if (limit !== undefined) return this.#cutFields(copy, count - 1, limit);
      if (key.length >= this.#left) return this.#cutFields(copy, count - 1, "bytes");
      this.#left -= key.length + 1;
      const field = copy[key];
      if (typeof field === "number" || typeof field === "boolean") {
        this.#left -= COST_OF_NUMBER;
      } else {
        this.#path.push(key);
        const copied = this.#copy(field, depth + 1);
        this.#path.pop();
        if (copied !== field) setOwn(copy, key, copied);
      }
    }
    return copy;
  }

  /**
   * Whether all of the object is plain data under keys that a spread takes: no getter, which would be run, no symbol, and
   * nothing hidden. To ask takes longer than to spread, so of very many objects with the same keys, as the rows of a
   * table are, only the first are asked.
   */
  #isOrdinary(source: object, keys: readonly string[]): boolean {
    if (this.#asked >= ASKED_ALIKE && isSameList(keys, this.#askedKeys)) return true;
    // Asked in two: V8 has the names at hand, and takes longer to list names and symbols together than for all the rest.
    if (Object.getOwnPropertyNames(source).length !== keys.length) return false;
    if (Object.getOwnPropertySymbols(source).length > 0) return false;
    for (let index = 0; index < keys.length; index++) {
      const descriptor = Object.getOwnPropertyDescriptor(source, keys[index] as string);
      // By these two: to ask whether there is a value takes three times as long.
      if (descriptor === undefined || descriptor.get !== undefined || descriptor.set !== undefined) {
        this.#asked = 0;
        return false;
      }
    }
    this.#asked = isSameList(keys, this.#askedKeys) ? this.#asked + 1 : 1;
    this.#askedKeys = keys;
    return true;
  }

  /** Puts further properties, and the class, around a copy; the copy itself where there are none. */
  #extended(
    source: object,
    copy: object,
    type: string,
    isShown: (key: string, isHidden: boolean) => boolean,
    depth: number,
  ): object {
    const hidden = hiddenProperties(source, isShown);
    if (hidden.length === 0 && type === "") return copy;
    this.#left -= COST_OF_CLASS + type.length;
    const properties: unknown[] = [];
    for (const { key, isSymbol, isHidden, descriptor } of hidden) {
      if (this.#limitAt(properties.length) !== undefined || key.length >= this.#left) {
        this.#lose(new Marker("bytes", "properties"));
        break;
      }
      this.#left -= key.length + COST_OF_OBJECT;
      this.#path.push(isSymbol ? `Symbol.for(${key})` : key);
      const getter = getterIn(descriptor);
      const copied =
        getter === undefined ? this.#copy(descriptor.value, depth + 1) : this.#lose(markerOf(getter));
      this.#path.pop();
      properties.push([key, (isSymbol ? IS_SYMBOL : 0) | (isHidden ? IS_HIDDEN : 0), copied]);
    }
    return new NamedNode(NAMED.extended, [type, copy, properties]);
  }

  /**
   * An object of many keys. They can only be listed all at once; that, too, is charged for, so that a
   * value cannot hold one such object after the other.
   */
  #large(source: object, keys: readonly string[], depth: number): unknown {
    const listed = Math.min(keys.length, this.#left >>> 1);
    this.#left -= listed;
    const fields: Record<string, unknown> = {};
    this.#remember(source, fields);
    return this.#fill(fields, source, keys, depth);
  }

  /** Copies fields one by one, so that what throws costs its own field alone. No getter is run. */
  #fill(
    target: Record<string, unknown>,
    source: object,
    keys: readonly string[],
    depth: number,
  ): Record<string, unknown> {
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string;
      const limit = this.#limitAt(index) ?? (key.length >= this.#left ? "bytes" : undefined);
      if (limit !== undefined) {
        const known = index === keys.length - 1 ? cutMarkerIn(source, key) : undefined;
        return this.#mark(target, known ?? new Marker(limit, "object", keys.length));
      }
      this.#left -= key.length + 1;
      this.#path.push(key);
      const depthOfPath = this.#path.length;
      let copied: unknown;
      try {
        const getter = getterOf(source, key);
        copied =
          getter === undefined
            ? this.#copy((source as Record<string, unknown>)[key], depth + 1)
            : this.#lose(markerOf(getter));
      } catch {
        this.#path.length = depthOfPath;
        copied = this.#lose(new Marker("unreadable", "getter"));
      }
      setOwn(target, key, copied);
      this.#path.pop();
    }
    return target;
  }

  /** Drops the fields from the one numbered `kept` on, and says so. */
  #cutFields(copy: Record<string, unknown>, kept: number, limit: "entries" | "bytes"): unknown {
    const keys = Object.keys(copy);
    const last: unknown = copy[keys.at(-1) as string];
    // It was cut there when it was recorded, and a replay copies it again.
    if (kept === keys.length - 1 && last instanceof Marker && last.detail === "object") {
      this.#note(last, "told");
      return copy;
    }
    for (let index = kept; index < keys.length; index++) delete copy[keys[index] as string];
    return this.#mark(copy, new Marker(limit, "object", keys.length));
  }

  /** Puts a marker under a key that the value did not have. */
  #mark(copy: Record<string, unknown>, marker: Marker): Record<string, unknown> {
    let key = MARK;
    while (Object.hasOwn(copy, key)) key += MARK;
    this.#path.push(key);
    copy[key] = this.#lose(marker);
    this.#path.pop();
    return copy;
  }

  /** Which limit ends a collection of which so many entries have been copied. */
  #limitAt(count: number): "entries" | "bytes" | undefined {
    return count >= this.#limits.entries ? "entries" : this.#left <= 0 ? "bytes" : undefined;
  }

  #special(value: object, prototype: object | null, depth: number): unknown {
    const recorded = recordedAs(value);
    if (recorded !== undefined) return this.#object(recorded, depth);
    if (types.isProxy(value)) return this.#instance(value, prototype, depth);
    const builtIn = BUILT_INS.find(([is]) => is(value));
    if (builtIn !== undefined) return this.#builtIn(value, prototype, builtIn[1], depth);
    if (types.isNativeError(value) || value instanceof Error) return this.#error(value, depth);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return this.#bytes(value);
    if (prototype === RecordedHandle.prototype) return this.#handle(value as RecordedHandle, depth);
    if (prototype === RecordedStream.prototype) return this.#stream(value as RecordedStream, depth);
    const platformName = platformNameOf(value);
    if (platformName !== undefined) return this.#platform(value, platformName, prototype, depth);
    if (types.isBoxedPrimitive(value)) return this.#lose(new Marker("unsupported", className(prototype)));
    if (isOpaque(value)) return this.#lose(new Marker("unsupported", className(prototype)));
    if (value instanceof Marker) return this.#lose(this.#marker(value));
    return this.#instance(value, prototype, depth);
  }

  /** What a replay was given in place of something that is not recorded stays that; what was kept of it is within the limits already. */
  #marker({ reason, detail, size, kept }: Marker): Marker {
    const limits = { ...this.#limits, valueBytes: this.#limits.capsuleBytes };
    return new Marker(reason, detail, size, new Copier(limits, undefined, undefined).run(kept).copy);
  }

  #regExp(value: RegExp): unknown {
    // A new one of it has the source and flags that it was made with, whatever it says of itself.
    this.#left -= COST_OF_PARSING;
    const { source, flags } = new RegExp(value);
    const { lastIndex } = value as { lastIndex: unknown };
    if (source.length > this.#left) return this.#head("RegExp", source);
    this.#left -= source.length;
    if (typeof lastIndex !== "number") return this.#lose(new Marker("unreadable", "lastIndex"));
    return this.#keep(value, new RegExpNode(source, flags, lastIndex));
  }

  #url(value: URL): unknown {
    this.#left -= COST_OF_PARSING;
    const href = HREF?.get?.call(value) as string;
    if (href.length > this.#left) return this.#head("URL", href);
    this.#left -= href.length;
    return this.#keep(value, new UrlNode(href));
  }

  #platform(value: object, name: PlatformName, prototype: object | null, depth: number): unknown {
    this.#left -= COST_OF_CLASS;
    const parts: unknown[] = [];
    const node = new NamedNode(PLATFORM_NODES[name], parts);
    this.#remember(value, node);
    const limit = this.#platformParts(parts, value, name, depth);
    if (limit !== undefined) {
      this.#forget(value);
      return this.#lose(new Marker(limit, name));
    }
    if (name === "Request" || name === "Response") this.#onBody?.(value);
    // A subclass would come back as the class, and without the fields that somebody has put on it.
    if (!isAsMade(name, value, prototype)) {
      this.#note(new Marker("unsupported", className(prototype)), "class");
    }
    return node;
  }

  /** Fills in what such a value is made of. It is kept whole, or not at all: then the limit is returned. */
  #platformParts(
    parts: unknown[],
    value: object,
    name: PlatformName,
    depth: number,
  ): "entries" | "bytes" | undefined {
    switch (name) {
      case "Headers":
      case "FormData":
      case "URLSearchParams": {
        const pairs: unknown[] = [];
        parts.push(pairs);
        return this.#pairs(pairs, entriesOf(name, value), depth);
      }
      case "AbortSignal":
        this.#abortSignal(parts, value, depth);
        return undefined;
      case "Blob":
      case "File": {
        const scalars = scalarsOf(name, value);
        parts.push(...Object.values(scalars));
        return this.#scalars(scalars);
      }
      case "Request":
      case "Response": {
        const scalars = scalarsOf(name, value);
        const headers: unknown[] = [];
        const fields: Record<string, unknown> = {
          ...scalars,
          headers: new NamedNode(NAMED.headers, [headers]),
          body: readSlot(name, value, "body") !== null,
        };
        parts.push(fields);
        const entries = entriesOf("Headers", readSlot(name, value, "headers") as object);
        const limit = this.#scalars(scalars) ?? this.#pairs(headers, entries, depth);
        if (limit !== undefined || name === "Response") return limit;
        const signal: unknown[] = [];
        fields["signal"] = new NamedNode(NAMED.abortSignal, signal);
        this.#path.push("signal");
        this.#abortSignal(signal, readSlot(name, value, "signal") as object, depth + 1);
        this.#path.pop();
        return undefined;
      }
    }
  }

  #pairs(
    pairs: unknown[],
    entries: Iterable<[string, unknown]>,
    depth: number,
  ): "entries" | "bytes" | undefined {
    for (const [name, value] of entries) {
      const limit = this.#limitAt(pairs.length);
      if (limit !== undefined) return limit;
      if (!this.#fits(name) || (typeof value === "string" && !this.#fits(value))) return "bytes";
      this.#left -= COST_OF_OBJECT;
      this.#path.push(name);
      pairs.push([name, typeof value === "string" ? value : this.#copy(value, depth + 1)]);
      this.#path.pop();
    }
    return undefined;
  }

  #scalars(scalars: Readonly<Record<string, unknown>>): "bytes" | undefined {
    for (const [key, field] of Object.entries(scalars)) {
      if (typeof field === "string" && !this.#fits(field)) return "bytes";
      this.#left -= key.length + COST_OF_NUMBER;
    }
    return undefined;
  }

  #abortSignal(parts: unknown[], value: object, depth: number): void {
    const aborted = readSlot("AbortSignal", value, "aborted") as boolean;
    parts.push(aborted);
    this.#path.push("reason");
    parts.push(aborted ? this.#copy(readSlot("AbortSignal", value, "reason"), depth + 1) : undefined);
    this.#path.pop();
  }

  #stream(value: RecordedStream, depth: number): unknown {
    const { kind } = value;
    if (!isStreamKind(kind) && !isExchangeKind(kind)) throw new TypeError("a stream of no kind");
    const parts: unknown[] = [kind];
    const node = new NamedNode(NAMED.stream, parts);
    this.#left -= COST_OF_CLASS + kind.length;
    this.#remember(value, node);
    this.#path.push("fields");
    parts.push(this.#copy(value.fields, depth + 1));
    this.#path.pop();
    return node;
  }

  #standIn(standIn: RecordedHandle | Marker, depth: number): unknown {
    return standIn instanceof Marker ? this.#lose(this.#marker(standIn)) : this.#handle(standIn, depth);
  }

  #handle({ number, name, type, methods, fields }: RecordedHandle, depth: number): unknown {
    const head = [number, this.#string(name)];
    this.#left -= COST_OF_CLASS;
    if (type === undefined) return new NamedNode(NAMED.handle, head);
    this.#path.push("fields");
    const parts = [this.#string(type), this.#copy(methods, depth + 1), this.#copy(fields, depth + 1)];
    this.#path.pop();
    return new NamedNode(NAMED.handle, [...head, ...parts]);
  }

  /** Takes a text's cost off what is left, if that much is left. */
  #fits(text: string): boolean {
    if (text.length > this.#left) return false;
    this.#left -= text.length + 1;
    return true;
  }

  #instance(value: object, prototype: object | null, depth: number): unknown {
    const name = className(prototype);
    this.#left -= COST_OF_CLASS + name.length;
    const node = new InstanceNode(name);
    this.#remember(value, node);
    if (name !== "" && !(this.#classes?.has(name) ?? false))
      this.#note(new Marker("unsupported", name), "told");
    this.#fill(node.fields, value, Object.keys(value), depth);
    if (types.isProxy(value)) return node;
    return this.#extended(value, node, "", isEnumerable, depth);
  }

  #list(value: readonly unknown[], prototype: object | null, depth: number): unknown {
    const type = prototype === Array.prototype ? "" : this.#subclass(prototype);
    const copy = this.#array(value, depth);
    if (
      type === "" &&
      (value.length > this.#limits.entries || types.isProxy(value) || !mayHaveFurther(value))
    )
      return copy;
    return this.#extended(value, copy, type, isItemKey, depth);
  }

  /** The name of a listed class that extends one of the language's; of one that is not listed it is lost. */
  #subclass(prototype: object | null): string {
    const name = className(prototype);
    if (this.#classes?.has(name) === true) return name;
    this.#note(new Marker("unsupported", name), "class");
    return "";
  }

  /** What one of the language's own classes holds, with what somebody has put on it. */
  #builtIn(value: object, prototype: object | null, own: object, depth: number): unknown {
    const type = prototype === own ? "" : this.#subclass(prototype);
    const copy = this.#builtInCopy(value, depth);
    if (!(typeof copy === "object" && copy !== null) || copy instanceof Marker || ArrayBuffer.isView(value)) {
      return copy;
    }
    return this.#extended(value, copy, type, (key) => key === "lastIndex", depth);
  }

  #builtInCopy(value: object, depth: number): unknown {
    if (types.isDate(value)) return this.#keep(value, new DateNode(Date.prototype.getTime.call(value)));
    if (types.isMap(value)) return this.#map(value, depth);
    if (types.isSet(value)) return this.#set(value, depth);
    if (types.isRegExp(value)) return this.#regExp(value);
    if (ArrayBuffer.isView(value)) return this.#bytes(value);
    return this.#url(value as URL);
  }

  #map(source: Map<unknown, unknown>, depth: number): unknown {
    const node = new MapNode();
    this.#remember(source, node);
    for (const [key, field] of Map.prototype.entries.call(source) as IterableIterator<[unknown, unknown]>) {
      const count = node.entries.length;
      const limit = this.#limitAt(count);
      if (limit !== undefined) {
        const rest = this.#lose(new Marker(limit, "Map", sizeOf(Map.prototype, source)));
        this.#note(rest, "lost");
        node.entries.push([rest, undefined]);
        break;
      }
      this.#path.push(typeof key === "string" || typeof key === "number" ? key : count);
      const entry: [unknown, unknown] = [this.#copy(key, depth + 1), this.#copy(field, depth + 1)];
      for (const part of entry) if (part instanceof Marker) this.#note(part, "lost");
      node.entries.push(entry);
      this.#path.pop();
    }
    return node;
  }

  #set(source: Set<unknown>, depth: number): unknown {
    const node = new SetNode();
    this.#remember(source, node);
    for (const item of Set.prototype.values.call(source) as IterableIterator<unknown>) {
      const count = node.items.length;
      const limit = this.#limitAt(count);
      if (limit !== undefined) {
        const rest = this.#lose(new Marker(limit, "Set", sizeOf(Set.prototype, source)));
        this.#note(rest, "lost");
        node.items.push(rest);
        break;
      }
      this.#path.push(count);
      const copied = this.#copy(item, depth + 1);
      if (copied instanceof Marker) this.#note(copied, "lost");
      node.items.push(copied);
      this.#path.pop();
    }
    return node;
  }

  #error(source: Error, depth: number): unknown {
    const name = className(Object.getPrototypeOf(source) as object | null);
    this.#left -= COST_OF_CLASS + name.length;
    const node = new ErrorNode(name);
    this.#remember(source, node);
    const known =
      BUILT_IN_ERRORS.has(name) || (this.#classes?.has(name) ?? false) || isPlatformError(source, name);
    if (!known) this.#note(new Marker("unsupported", name), "told");
    // `message`, `cause` and `errors` are own but not enumerable; a DOMException has its name and message from getters.
    const hidden = ["message", "cause", "errors"].filter((key) => Object.hasOwn(source, key));
    const keys = new Set([
      ...(name === "DOMException" ? ["message", "name"] : []),
      ...hidden,
      ...Object.keys(source),
    ]);
    keys.delete("stack");
    this.#fill(node.fields, source, [...keys], depth);
    return this.#extended(
      source,
      node,
      "",
      (key, isHidden) => !isHidden || key === "stack" || keys.has(key),
      depth,
    );
  }

  #bytes(source: ArrayBufferView | ArrayBufferLike): unknown {
    const isView = ArrayBuffer.isView(source);
    const size = source.byteLength;
    const name = isView ? viewName(source) : types.isSharedArrayBuffer(source) ? undefined : "ArrayBuffer";
    if (name === undefined) return this.#lose(new Marker("unsupported", "SharedArrayBuffer"));
    // An own property of that name can be anything: 0 would make what is left NaN, and all limits void.
    const unit =
      isView && "BYTES_PER_ELEMENT" in source ? Math.max(1, Number(source.BYTES_PER_ELEMENT) || 1) : 1;
    const room = Math.max(this.#left, 0);
    const kept = size <= room ? size : room - (room % unit);
    const view = isView
      ? new Uint8Array(source.buffer, source.byteOffset, kept)
      : new Uint8Array(source as ArrayBuffer, 0, kept);
    const node = new BytesNode(name, Uint8Array.prototype.slice.call(view));
    this.#left -= kept;
    if (kept === size) return this.#keep(source, node);
    return this.#lose(new Marker("bytes", name, size, node));
  }

  /** The copy of `source`, if it has one already. */
  #seenBefore(source: object): object | undefined {
    if (this.#seen !== undefined) return this.#seen.get(source) as object | undefined;
    const index = this.#seenSources.indexOf(source);
    return index === -1 ? undefined : (this.#seenCopies[index] as object);
  }

  #remember(source: object, copy: object): void {
    if (this.#seen !== undefined) {
      this.#seen.set(source, copy);
    } else if (this.#seenSources.length < SEEN_IN_LIST) {
      this.#seenSources.push(source);
      this.#seenCopies.push(copy);
    } else {
      this.#seen = new Map(this.#seenSources.map((known, index) => [known, this.#seenCopies[index]]));
      this.#seen.set(source, copy);
    }
  }

  #forget(source: object): void {
    const index = this.#seenSources.indexOf(source);
    if (this.#seen !== undefined) this.#seen.delete(source);
    else if (index !== -1) {
      this.#seenSources.splice(index, 1);
      this.#seenCopies.splice(index, 1);
    }
  }

  #keep(source: object, node: object): object {
    this.#remember(source, node);
    return node;
  }

  #lose(marker: Marker): Marker {
    this.#left -= COST_OF_MARKER + marker.detail.length;
    this.#note(marker, this.#path.length === 0 ? "lost" : "told");
    return marker;
  }

  #loseAt(index: number, marker: Marker): Marker {
    this.#path.push(index);
    this.#lose(marker);
    this.#path.pop();
    return marker;
  }

  /** The first place counts, of those of the greatest weight. */
  #note(marker: Marker, kind: Loss["kind"]): void {
    const known = this.#loss;
    if (known === undefined || WEIGHTS[kind] > WEIGHTS[known.kind]) {
      this.#loss = { path: [...this.#path], marker, kind };
    }
  }
}

/** The own getter of a property: somebody's code, which a recorder does not run. A Proxy is asked as anybody asks it. */
function getterOf(source: object, key: string): object | undefined {
  const descriptor = types.isProxy(source) ? undefined : Object.getOwnPropertyDescriptor(source, key);
  return descriptor && getterIn(descriptor);
}

function getterIn(descriptor: PropertyDescriptor): object | undefined {
  if ("value" in descriptor) return undefined;
  return (Reflect.get(descriptor, "get") as object | undefined) ?? NO_GETTER;
}

/** Of a property that can only be set. */
const NO_GETTER: object = {};

/** What is recorded where a getter would have to run; of what stands for a missing part, that it is missing. */
function markerOf(getter: object): Marker {
  const standIn = standInOf(getter);
  return standIn instanceof Marker ? standIn : new Marker("unreadable", "getter");
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** The marker at the end of a list that was cut when it was recorded: in a replay the same list is copied again. */
function cutMarkerAt(source: readonly unknown[], index: number, length: number): Marker | undefined {
  return index === length - 1 ? cutMarkerIn(source, index) : undefined;
}

/** The marker of a cut at that key. */
function cutMarkerIn(source: object, key: string | number): Marker | undefined {
  const descriptor = Object.getOwnPropertyDescriptor(source, key);
  const getter: unknown = descriptor && Reflect.get(descriptor, "get");
  const standIn = typeof getter === "function" ? standInOf(getter) : undefined;
  const last: unknown = standIn ?? descriptor?.value;
  const isCut = last instanceof Marker && (last.detail === "array" || last.detail === "object");
  return isCut ? last : undefined;
}

const WEIGHTS: Readonly<Record<Loss["kind"], number>> = { told: 0, class: 1, lost: 2 };

const PLATFORM_NODES: Readonly<Record<PlatformName, string>> = {
  Headers: NAMED.headers,
  FormData: NAMED.formData,
  URLSearchParams: NAMED.searchParams,
  Blob: NAMED.blob,
  File: NAMED.file,
  Request: NAMED.request,
  Response: NAMED.response,
  AbortSignal: NAMED.abortSignal,
};

/** The getter itself: a value may have another of that name. */
const HREF = Object.getOwnPropertyDescriptor(URL.prototype, "href");

const BUILT_INS: readonly (readonly [(value: object) => boolean, object])[] = [
  [types.isDate, Date.prototype],
  [types.isMap, Map.prototype],
  [types.isSet, Set.prototype],
  [types.isRegExp, RegExp.prototype],
  [(value) => value instanceof URL, URL.prototype],
  [(value) => value instanceof Uint8Array && !Buffer.isBuffer(value), Uint8Array.prototype],
];

const BUILT_IN_ERRORS: ReadonlySet<string> = new Set(
  "Error TypeError RangeError SyntaxError ReferenceError EvalError URIError AggregateError DOMException".split(
    " ",
  ),
);

/** Errors of Node's own classes, which no program can name: they are told by their code, which is recorded. */
function isPlatformError(error: Error, name: string): boolean {
  const own = (key: string): unknown => Object.getOwnPropertyDescriptor(error, key)?.value;
  const code = own("code");
  if (own("name") !== name || typeof code !== "string") return false;
  return ["ABORT_ERR", "ERR_", "UND_ERR_", "HPE_"].some((prefix) => code.startsWith(prefix));
}

/** Assigns an own property, whatever its name: `__proto__` too. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

/** A plain slice would keep the whole of a huge string alive. */
function detachedHead(text: string, length: number): string {
  return Buffer.from(text.slice(0, length), "utf16le").toString("utf16le");
}

function nameOf(value: unknown): string {
  try {
    const { name } = value as { name: unknown };
    return typeof name === "string" ? name.slice(0, 200) : "";
  } catch {
    return ""; // a name may be a getter, and it may throw: the marker then goes without
  }
}

function className(prototype: object | null): string {
  return prototype === null ? "" : nameOf((prototype as { constructor?: unknown }).constructor) || "Object";
}

/** Whether a value has a method of that name. A getter that would have to tell is not asked. */
function hasMethod(value: object, key: string): boolean {
  let owner: object | null = value;
  // A Proxy may have itself for its prototype, and so for ever.
  for (let height = 0; owner !== null && height < HIGHEST; height++) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, key);
    if (descriptor !== undefined) return typeof descriptor.value === "function";
    owner = Object.getPrototypeOf(owner) as object | null;
  }
  return false;
}

/** Things whose insides are machinery and not data: streams, sockets, iterators, promises. */
function isOpaque(value: object): boolean {
  return (
    types.isPromise(value) ||
    types.isGeneratorObject(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    value instanceof WeakRef ||
    types.isModuleNamespaceObject(value) ||
    hasMethod(value, "then") ||
    hasMethod(value, "next") ||
    hasMethod(value, "on") ||
    hasMethod(value, "pipe") ||
    hasMethod(value, "addEventListener") ||
    Symbol.asyncIterator in value
  );
}

function isEnumerable(_key: string, isHidden: boolean): boolean {
  return !isHidden;
}

/** Whether a key of a list is that of an item, or its length. */
function isItemKey(key: string): boolean {
  return key === "length" || String(Number(key) >>> 0) === key;
}

/** The real size of a Map or Set, whatever it says itself. */
function sizeOf(prototype: object, collection: object): number {
  return Object.getOwnPropertyDescriptor(prototype, "size")?.get?.call(collection) as number;
}

function viewName(view: ArrayBufferView): TypedArrayName | "Buffer" | "DataView" | undefined {
  if (Buffer.isBuffer(view)) return "Buffer";
  if (types.isDataView(view)) return "DataView";
  const tag = Object.getOwnPropertyDescriptor(
    Object.getPrototypeOf(Uint8Array.prototype),
    Symbol.toStringTag,
  );
  const name = tag?.get?.call(view) as string;
  return (TYPED_ARRAY_NAMES as readonly string[]).includes(name) ? (name as TypedArrayName) : undefined;
}
