/** What functions give back at once or in a promise of some kind, and how they end otherwise. */
import { type Ended, kindOf, settled, ticks, type Trial } from "./trial.js";

// What these are about is called `then`.
/* oxlint-disable unicorn/no-thenable */

/** How a call ends: what the function does, and what its caller does with what it gives. */
export interface Outcome {
  readonly ending: string;
  readonly open?: boolean;
  readonly prepare: (trial: Trial) => Prepared;
}

export interface Prepared {
  /** Further arguments than the two that every case passes. */
  readonly input?: readonly unknown[];
  readonly body: (...input: readonly unknown[]) => unknown;
  readonly use: (ended: Ended) => Promise<void> | void;
}

/** Values that make trouble for whoever looks at what was thrown. */
export const thrown: readonly (readonly [string, () => unknown])[] = [
  ["an Error", () => new TypeError("no")],
  ["a frozen Error", () => Object.freeze(new Error("frozen"))],
  ["undefined", () => undefined],
  ["null", () => null],
  ["a number", () => Number.NaN],
  ["a symbol", () => Symbol("thrown")],
  ["a frozen object", () => Object.freeze({ status: 404 })],
  ["a Proxy that throws", () => hostileProxy()],
  [
    "an Error whose fields throw",
    () =>
      Object.defineProperties(new Error("x"), {
        stack: { get: refuse },
        message: { get: refuse },
        name: { get: refuse },
        cause: { get: refuse },
        code: { get: refuse },
      }),
  ],
];

const returned: readonly (readonly [string, () => unknown])[] = [
  ["an object", () => ({ a: { b: 1 } })],
  ["a frozen object", () => Object.freeze({ a: 1 })],
  ["undefined", () => undefined],
  ["a symbol", () => Symbol("value")],
  ["-0", () => -0],
  ["a function", () => () => 1],
  ["a class", () => class {}],
  ["a Proxy that throws", () => hostileProxy()],
  ["an array", () => [1, [2]]],
  ["an object whose `then` is no function", () => ({ then: 1 })],
  [
    "an object whose `then` throws",
    () => ({
      get then(): never {
        return refuse();
      },
    }),
  ],
  ["an iterator", () => [1, 2][Symbol.iterator]()],
  ["an EventTarget", () => new EventTarget()],
];

export function refuse(): never {
  throw new Error("a trap");
}

export function hostileProxy(target: object = {}): object {
  const traps = [
    "get",
    "has",
    "ownKeys",
    "getOwnPropertyDescriptor",
    "getPrototypeOf",
    "isExtensible",
    "defineProperty",
    "set",
  ];
  return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, refuse])));
}

/** Notes how something ended, and whether with the very value. */
export function noteEnd(trial: Trial, what: string, ended: Ended, expected: unknown): void {
  trial.note(what, ended.how);
  if (ended.how !== "is pending") trial.note(`${what}: the very value`, Object.is(ended.value, expected));
}

/** Functions that give their result at once. */
export const atOnce: readonly Outcome[] = [
  ...returned.map(
    ([what, make]): Outcome => ({
      ending: `returns ${what}`,
      prepare(trial) {
        const value = make();
        return { body: () => value, use: (ended) => noteEnd(trial, "call", ended, value) };
      },
    }),
  ),
  ...thrown.map(
    ([what, make]): Outcome => ({
      ending: `throws ${what}`,
      prepare(trial) {
        const value = make();
        return {
          body: () => {
            throw value;
          },
          use: (ended) => noteEnd(trial, "call", ended, value),
        };
      },
    }),
  ),
];

/** A way of giving a promise. `work` does what is promised; `asked` says that somebody waits for it. */
export interface Promising {
  readonly name: string;
  readonly promise: (work: () => Promise<unknown>, trial: Trial) => unknown;
  /** Looks at what was returned, before anybody waits for it. */
  readonly look?: (value: never, trial: Trial) => void;
  /** Waits for it in a way that is its own. */
  readonly wait?: (value: never, trial: Trial) => Promise<void>;
}

/** As clients of APIs have them: with members of its own, which its descendants have as well. */
class Tapped<T> extends Promise<T> {
  readonly #label = "tapped";
  tap(look: () => void): Tapped<T> {
    return this.then((value) => {
      look();
      return value;
    }) as Tapped<T>;
  }
  get label(): string {
    return this.#label;
  }
}

/** As the OpenAI client's: it parses when it is asked for its result. */
class Parsed<T> extends Promise<T> {
  readonly #respond: () => Promise<T>;
  #parsed: Promise<T> | undefined;
  constructor(respond: () => Promise<T>) {
    super((resolve) => resolve(undefined as T));
    this.#respond = respond;
  }
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }
  #parse(): Promise<T> {
    this.#parsed ??= this.#respond();
    return this.#parsed;
  }
  async withResponse(): Promise<{ data: T; response: string }> {
    return { data: await this.#parse(), response: "response" };
  }
  // oxlint-disable-next-line typescript/promise-function-async
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#parse().then(fulfilled, rejected);
  }
  override catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#parse().catch(rejected);
  }
  override finally(done?: (() => void) | null): Promise<T> {
    return this.#parse().finally(done);
  }
}

/** Begins its work each time it is asked for its result, as builders of queries do. */
class Query implements PromiseLike<unknown> {
  readonly #work: () => Promise<unknown>;
  readonly #trial: Trial;
  constructor(work: () => Promise<unknown>, trial: Trial) {
    this.#work = work;
    this.#trial = trial;
  }
  where(): this {
    return this;
  }
  then<A, B>(
    fulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#trial.log("asked");
    return this.#work().then(fulfilled, rejected);
  }
}

const isTapped = (value: unknown): boolean =>
  value instanceof Tapped && typeof value.tap === "function" && value.label === "tapped";

export const promises: readonly Promising[] = [
  { name: "async function", promise: (work) => work() },
  {
    name: "promise with members",
    promise: (work, trial) =>
      Object.assign(work(), { cancel: () => trial.log("cancelled"), [Symbol.for("member")]: "member" }),
    look(value: Promise<unknown> & { cancel?: () => void; [key: symbol]: unknown }, { note }) {
      note("members", [typeof value.cancel, value[Symbol.for("member")]]);
      value.cancel?.();
    },
  },
  {
    name: "promise of a subclass",
    promise: (work) => Tapped.resolve(work()),
    look: (value, { note }) => note("is tapped", isTapped(value)),
    async wait(value: Tapped<unknown>, { log, note }) {
      const [then, caught, last] = [
        value.then((same) => same),
        value.catch(() => undefined),
        value.finally(() => log("finally")),
      ];
      note("its descendants are tapped", [isTapped(then), isTapped(caught), isTapped(last)]);
      const ends = await Promise.all([then, caught, last, value.tap(() => log("tapped"))].map(settled));
      note(
        "its descendants",
        ends.map(({ how }) => how),
      );
    },
  },
  {
    name: "promise of a subclass, frozen",
    promise: (work) => Object.freeze(Tapped.resolve(work())),
    look: (value, { note }) => note("is tapped", isTapped(value)),
  },
  {
    name: "promise of a client",
    promise: (work) => new Parsed(work),
    look: (value, { note }) => note("is parsed", (value as object) instanceof Parsed),
    async wait(value: Parsed<unknown>, { note }) {
      const ended = await settled(value.withResponse());
      note("with response", ended.how);
    },
  },
  {
    name: "lazy thenable",
    promise: (work, trial) => new Query(work, trial),
    look: (value, { note }) =>
      note("is the query", (value as object) instanceof Query && (value as Query).where() === value),
    async wait(value: Query, { note }) {
      note("asked again", (await settled(value)).how);
      const own = value.then(
        () => "fulfilled",
        () => "rejected",
      );
      note("asked by hand", [own instanceof Promise, (await settled(own)).how]);
    },
  },
  {
    name: "lazy thenable, frozen",
    promise: (work, trial) => Object.freeze(new Query(work, trial)),
    look: (value, { note }) =>
      note("is the query", (value as object) instanceof Query && (value as Query).where() === value),
  },
  {
    name: "thenable function",
    promise: (work) => {
      let begun: Promise<unknown> | undefined;
      return Object.assign(() => "called", {
        then: (fulfilled: () => unknown, rejected: () => unknown) =>
          (begun ??= work()).then(fulfilled, rejected),
      });
    },
    look: (value, { note }) => note("callable", (value as () => unknown)()),
  },
];

interface PromiseEnding {
  readonly ending: string;
  readonly open?: boolean;
  /** `due` is when there is somebody who waits, if anybody does. */
  readonly work: (trial: Trial, due: Promise<void>, signal: AbortSignal) => Promise<unknown>;
  readonly expected: unknown;
  readonly abort?: boolean;
  /** Nobody waits for it. */
  readonly unawaited?: boolean;
}

function endings(): PromiseEnding[] {
  const reason = new Error("aborted by the caller");
  const resolved = { a: { b: 1 } };
  return [
    {
      ending: "resolves later",
      expected: resolved,
      async work({ log }, due) {
        await due;
        log("worked");
        return resolved;
      },
    },
    { ending: "resolves at once", expected: resolved, work: async () => resolved },
    { ending: "resolves to a Proxy that throws", ...resolvingTo(hostileProxyOfNothing) },
    ...thrown.map(([what, make]): PromiseEnding => {
      const expected = make();
      return {
        ending: `rejects with ${what}`,
        expected,
        async work({ log }, due) {
          await due;
          log("worked");
          throw expected;
        },
      };
    }),
    { ending: "never settles", open: true, expected: undefined, work: () => new Promise(() => undefined) },
    {
      ending: "rejects, and nobody listens",
      expected: undefined,
      unawaited: true,
      async work(_trial, due) {
        await due;
        throw new Error("unheard");
      },
    },
    {
      ending: "is aborted",
      abort: true,
      expected: reason,
      work: ({ log }, _due, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            log("aborted");
            reject(signal.reason as Error);
          });
        }),
    },
  ];
}

/** A function, since whoever resolves a promise looks at an object's `then`. */
const hostileProxyOfNothing = Object.freeze({
  toString: refuse,
  [Symbol.toPrimitive]: refuse,
  toJSON: refuse,
});

function resolvingTo(expected: unknown): Pick<PromiseEnding, "expected" | "work"> {
  return { expected, work: async () => expected };
}

/** Functions that give a promise of the given kind, in every way in which it can end. */
export function promised(promising: Promising): Outcome[] {
  return endings().map(({ ending, open = false, work, expected, abort = false, unawaited = false }) => ({
    ending,
    open: open || unawaited,
    prepare(trial): Prepared {
      const controller = new AbortController();
      let begin = (): void => undefined;
      const due = new Promise<void>((resolve) => (begin = resolve));
      return {
        input: abort ? [controller.signal] : [],
        body: (_first, _second, signal) => {
          return promising.promise(() => {
            trial.log("work begins");
            return work(trial, due, signal as AbortSignal);
          }, trial);
        },
        async use(ended) {
          trial.note("call", ended.how);
          if (ended.how !== "returned") return;
          trial.note("kind", kindOf(ended.value));
          promising.look?.(ended.value as never, trial);
          await ticks(2);
          trial.log("looked at");
          setImmediate(begin);
          if (unawaited) return;
          if (abort) setImmediate(() => controller.abort(expected));
          noteEnd(trial, "promise", await settled(ended.value), expected);
          trial.log("waited for");
          if (!open && !abort) await promising.wait?.(ended.value as never, trial);
        },
      };
    },
  }));
}

/** Promising functions that throw at once all the same. */
export const throwsAtOnce: Outcome = {
  ending: "throws at once",
  prepare(trial) {
    const value = new Error("at once");
    return {
      body: () => {
        throw value;
      },
      use: (ended) => noteEnd(trial, "call", ended, value),
    };
  },
};
