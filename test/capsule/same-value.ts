/**
 * Whether two values are the same in everything that a program can see: stricter than
 * `deepStrictEqual`, which takes one shared object for two equal ones and all URLs for equal.
 */
import { inspect, types } from "node:util";
import { isPlatformValue } from "./recordable-values.js";

/** Where the two differ, or undefined where they do not. */
export function difference(a: unknown, b: unknown): string | undefined {
  const left = new Map<object, object>();
  const right = new Map<object, object>();

  const compare = (one: unknown, other: unknown, path: string): string | undefined => {
    if (Object.is(one, other)) return undefined;
    if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
      return `${path}: ${show(one)} became ${show(other)}`;
    }
    if (left.has(one) || right.has(other)) {
      return left.get(one) === other && right.get(other) === one ? undefined : `${path}: shared otherwise`;
    }
    left.set(one, other);
    right.set(other, one);
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return `${path}: another prototype`;
    return compareInside(one, other, path) ?? compareKeys(one, other, path);
  };

  const compareInside = (one: object, other: object, path: string): string | undefined => {
    if (Array.isArray(one)) {
      return one.length === (other as unknown[]).length ? undefined : `${path}: another length`;
    }
    if (types.isDate(one)) return compare(one.getTime(), (other as Date).getTime(), `${path}.getTime()`);
    if (types.isRegExp(one)) return compare(sourceOf(one), sourceOf(other as RegExp), path);
    if (one instanceof URL) return compare(one.href, (other as URL).href, `${path}.href`);
    if (types.isAnyArrayBuffer(one)) return compareBytes(one, other as ArrayBuffer, path);
    if (ArrayBuffer.isView(one)) return compareBytes(viewed(one), viewed(other as ArrayBufferView), path);
    if (types.isMap(one)) {
      return compareLists([...one].flat(), [...(other as Map<unknown, unknown>)].flat(), `${path}.entries`);
    }
    if (types.isSet(one)) return compareLists([...one], [...(other as Set<unknown>)], `${path}.values`);
    if (one instanceof DOMException) {
      const names = ["name", "message", "code"] as const;
      return compareLists(
        names.map((name) => one[name]),
        names.map((name) => (other as DOMException)[name]),
        path,
      );
    }
    if (isPlatformValue(one)) return comparePlatform(one, other, path);
    if (types.isNativeError(one) !== types.isNativeError(other)) return `${path}: no native error`;
    return undefined;
  };

  /** Their content aside, which is not part of a value. */
  const comparePlatform = (one: object, other: object, path: string): string | undefined => {
    const seen = (value: object): readonly unknown[] => {
      if (value instanceof Headers || value instanceof FormData || value instanceof URLSearchParams) {
        return [...value];
      }
      const keys = [
        ..."kind size type name lastModified method url mode credentials cache redirect referrer".split(" "),
        ..."referrerPolicy integrity keepalive destination duplex isReloadNavigation".split(" "),
        ..."isHistoryNavigation status statusText ok redirected aborted reason headers".split(" "),
        ..."signal bodyUsed fields".split(" "),
      ];
      const fields = keys.filter((key) => key in value).map((key) => [key, Reflect.get(value, key)]);
      return [...fields, "body" in value && value.body !== null];
    };
    return compareLists(seen(one), seen(other), path);
  };

  const compareKeys = (one: object, other: object, path: string): string | undefined => {
    if (ArrayBuffer.isView(one)) return undefined;
    const keysOfOne = keysOf(one);
    const keysOfOther = keysOf(other);
    if (
      keysOfOne.length !== keysOfOther.length ||
      keysOfOne.some((key, index) => key !== keysOfOther[index])
    ) {
      return `${path}: keys ${keysOfOne.map(show).join()} became ${keysOfOther.map(show).join()}`;
    }
    for (const key of keysOfOne) {
      const before = Object.getOwnPropertyDescriptor(one, key);
      const after = Object.getOwnPropertyDescriptor(other, key);
      if (before?.enumerable !== after?.enumerable) return `${path}[${show(key)}]: enumerable otherwise`;
      const found = compare(before?.value, after?.value, `${path}[${show(key)}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  const compareLists = (
    one: readonly unknown[],
    other: readonly unknown[],
    path: string,
  ): string | undefined => {
    if (one.length !== other.length) return `${path}: ${one.length} became ${other.length}`;
    for (const [index, item] of one.entries()) {
      const found = compare(item, other[index], `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  return compare(a, b, "value");
}

/** In order, but for those of errors: theirs are own and hidden, and their stack is not recorded. */
function keysOf(value: object): PropertyKey[] {
  if (value instanceof Error) {
    return Object.getOwnPropertyNames(value)
      .filter((key) => key !== "stack")
      .toSorted();
  }
  // Node's own classes keep their state under symbols; what a head says of itself instead is hidden.
  if (isPlatformValue(value)) return Object.keys(value);
  return value instanceof URL ? Object.getOwnPropertyNames(value) : Reflect.ownKeys(value);
}

function sourceOf(expression: RegExp): string {
  return `/${expression.source}/${expression.flags}`;
}

function viewed(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function compareBytes(
  one: Uint8Array | ArrayBufferLike,
  other: Uint8Array | ArrayBufferLike,
  path: string,
): string | undefined {
  const same = Buffer.compare(new Uint8Array(one as Uint8Array), new Uint8Array(other as Uint8Array)) === 0;
  return same ? undefined : `${path}: other bytes`;
}

function show(value: unknown): string {
  return inspect(value, { depth: 0 });
}
