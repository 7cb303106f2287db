/** Makes the platform's own objects of what is recorded of them (see `platform-values.ts`). */
import { platformClass, type HeadName } from "./platform-values.js";
import { absentContent, contentNotRecorded, headReaders, setBareHead } from "./recorded-head.js";

type Fields = Readonly<Record<string, unknown>>;
type Pair = readonly [string, unknown];

export function reviveHeaders(pairs: readonly Pair[]): Headers {
  const headers = new (platformClass("Headers"))();
  // One by one: a cookie may come several times.
  for (const [name, value] of pairs) appendHeader(headers, name, String(value));
  return headers;
}

/** One by one as well: a constructor that is given them as Headers takes off the space. */
function fillHeaders(headers: Headers, recorded: unknown): void {
  for (const [name, value] of recorded as Headers) appendHeader(headers, name, value);
}

/** A header that was given several times, the last time empty, ends in a space, which would be taken off. */
function appendHeader(headers: Headers, name: string, value: string): void {
  const isLastEmpty = value.endsWith(", ");
  if (isLastEmpty) appendHeader(headers, name, value.slice(0, -2));
  headers.append(name, isLastEmpty ? "" : value);
}

export function reviveSearchParams(pairs: readonly Pair[]): URLSearchParams {
  const params = new (platformClass("URLSearchParams"))();
  for (const [name, value] of pairs) params.append(name, String(value));
  return params;
}

export function reviveFormData(pairs: readonly Pair[]): FormData {
  const form = new (platformClass("FormData"))();
  const blob = platformClass("Blob");
  for (const [name, value] of pairs) {
    if (value instanceof blob) form.append(name, value);
    else form.append(name, String(value));
  }
  return form;
}

export function reviveBlob(size: unknown, type: string): Blob {
  return dressBlob(new (platformClass("Blob"))([], { type }), "Blob", { size, type });
}

export function reviveFile(size: unknown, type: string, name: string, lastModified: number): File {
  const file = new (platformClass("File"))([], name, { type, lastModified });
  return dressBlob(file, "File", { size, type, name, lastModified });
}

/** Not aborted yet; `abort` does it, which may have to wait until the reason is whole. */
export function reviveAbortSignal(): {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
} {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

export function reviveRequest(fields: Fields): Request {
  const { url, body, headers, signal, mode, referrer, ...rest } = fields;
  const platform = platformClass("Request");
  const options: RequestInit & { duplex?: "half" } = {
    method: rest["method"] as string,
    ...(body === true ? { body: absentContent("Request"), duplex: "half" } : {}),
    ...(signal instanceof AbortSignal ? { signal } : {}),
  };
  let request: Request;
  try {
    request = new platform(url as string, {
      ...options,
      ...(rest as RequestInit),
      mode: mode as NonNullable<RequestInit["mode"]>,
      // Its own name for "none is set" is refused as a referrer.
      ...(referrer === "about:client" ? {} : { referrer: referrer as string }),
    });
  } catch {
    // Some of what a request may say of itself cannot be asked for, such as the mode "navigate".
    request = new platform(url as string, options);
  }
  fillHeaders(request.headers, headers);
  return dress(request, "Request", fields);
}

/** Statuses with which a Response can have no body. */
const WITHOUT_BODY: ReadonlySet<unknown> = new Set([101, 103, 204, 205, 304]);

export function reviveResponse(fields: Fields): Response {
  const platform = platformClass("Response");
  const { status, statusText, headers, body } = fields;
  const isAllowed = typeof status === "number" && status >= 200 && status <= 599;
  const content = body === true && !WITHOUT_BODY.has(status) ? absentContent("Response") : null;
  const response = new platform(content, {
    status: isAllowed ? status : 200,
    statusText: statusText as string,
  });
  fillHeaders(response.headers, headers);
  return dress(response, "Response", fields);
}

/** Makes `value` say of itself what was recorded, where it could not be made to. */
function dress<T extends Request | Response>(value: T, what: HeadName, fields: Fields): T {
  for (const [key, field] of Object.entries(fields)) {
    if (key === "headers" || key === "signal" || key === "body") continue;
    if (!Object.is(Reflect.get(value, key), field)) define(value, key, field);
  }
  const { status } = fields;
  if (typeof status === "number" && Reflect.get(value, "ok") !== (status >= 200 && status <= 299)) {
    define(value, "ok", status >= 200 && status <= 299);
  }
  define(value, "clone", () => {
    const clone = Reflect.get(Object.getPrototypeOf(value) as object, "clone") as (this: T) => T;
    return dress(clone.call(value), what, fields);
  });
  const words = [what, fields["method"] ?? status, fields["statusText"], fields["url"]];
  // The platform's own goes on for a page.
  define(value, Symbol.for("nodejs.util.inspect.custom"), () =>
    words.filter((word) => word !== undefined && word !== "").join(" "),
  );
  return setBareHead(value, fields);
}

const BLOB_READERS = ["text", "arrayBuffer", "bytes"] as const;
const BLOB_STREAMS = ["stream", "textStream"] as const;

function dressBlob<T extends Blob>(blob: T, what: HeadName, fields: Fields): T {
  const { size } = fields;
  if (typeof size !== "number" || !(size >= 0)) throw new TypeError("a Blob of no size");
  define(blob, "size", size);
  const reader = (key: string): (() => unknown) | undefined => {
    const method: unknown = Reflect.get(Object.getPrototypeOf(blob) as object, key);
    return typeof method === "function" && headReaders.has(method) ? (method as () => unknown) : undefined;
  };
  for (const key of BLOB_READERS) {
    if (!(key in blob)) continue;
    define(blob, key, () => reader(key)?.call(blob) ?? Promise.reject(contentNotRecorded(what)));
  }
  for (const key of BLOB_STREAMS) {
    if (key in blob) define(blob, key, () => reader(key)?.call(blob) ?? absentContent(what));
  }
  define(blob, "slice", (start?: number, end?: number, type?: string) => {
    const [from, to] = [position(start ?? 0, size), position(end ?? size, size)];
    // Made by the platform, so that the type is what it makes of it.
    const part = platformClass("Blob").prototype.slice.call(blob, 0, 0, type);
    return dressBlob(part, "Blob", { size: Math.max(to - from, 0), type: part.type });
  });
  return setBareHead(blob, fields);
}

/** Counted from the end where it is negative, and never outside. */
function position(index: number, size: number): number {
  const whole = Math.trunc(index) || 0;
  return whole < 0 ? Math.max(size + whole, 0) : Math.min(whole, size);
}

function define(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: false, configurable: true });
}
