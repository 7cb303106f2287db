/** What programs read of a request of Next besides what any Request has, made of its URL and its headers. */

/** A URL that can be cloned. */
export function nextUrlOf(address: string): URL {
  const url = new URL(address);
  const parts = {
    basePath: "",
    buildId: undefined,
    locale: "",
    defaultLocale: undefined,
    clone: () => nextUrlOf(url.href),
  };
  for (const [key, value] of Object.entries(parts)) {
    Object.defineProperty(url, key, { value, writable: true, enumerable: false, configurable: true });
  }
  return url;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
}

/** The cookies of a request, by the methods that Next gives them. */
export interface Cookies extends Iterable<[string, Cookie]> {
  readonly size: number;
  get(name: string | Cookie): Cookie | undefined;
  getAll(name?: string | Cookie): Cookie[];
  has(name: string): boolean;
  set(name: string | Cookie, value?: string): Cookies;
  delete(names: string | readonly string[]): boolean | boolean[];
  clear(): Cookies;
  toString(): string;
}

export function cookiesOf({ headers }: Request): Cookies {
  const known = new Map<string, Cookie>();
  for (const pair of (headers.get("cookie") ?? "").split(/; */)) {
    const at = pair.indexOf("=");
    if (pair === "") continue;
    const [name, value] = at < 0 ? [pair, "true"] : [pair.slice(0, at), pair.slice(at + 1)];
    known.set(name, { name, value: decoded(value) });
  }
  const changed = (): void => headers.set("cookie", cookies.toString());
  const nameOf = (name: string | Cookie): string => (typeof name === "string" ? name : name.name);
  const remove = (name: string): boolean => known.delete(name);
  const cookies: Cookies = {
    get size() {
      return known.size;
    },
    get: (name) => known.get(nameOf(name)),
    getAll: (name) =>
      [...known.values()].filter((cookie) => name === undefined || cookie.name === nameOf(name)),
    has: (name) => known.has(name),
    set: (name, value = "") => {
      const cookie = typeof name === "string" ? { name, value } : name;
      known.set(cookie.name, cookie);
      changed();
      return cookies;
    },
    delete: (names) => {
      const result = typeof names === "string" ? remove(names) : names.map(remove);
      changed();
      return result;
    },
    clear: () => {
      known.clear();
      changed();
      return cookies;
    },
    toString: () =>
      [...known.values()].map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join("; "),
    [Symbol.iterator]: () => known[Symbol.iterator](),
  };
  return cookies;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value; // not encoded: as it came
  }
}
