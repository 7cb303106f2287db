/**
 * One use of one function, watched. A case is played twice, with the bare function and with the wrapped
 * one, and notes what it sees; the two lists of notes must be the same.
 *
 * Notes hold texts, numbers and booleans only: whether something is the very object is told by the case,
 * which made the object.
 */

export type AnyFunction = (...input: never[]) => unknown;

/** What is under examination: anything that gives a function to be used in place of another. */
export type Wrap = <F extends AnyFunction>(body: F, options: { readonly name: string }) => F;

export interface Trial {
  readonly wrap: Wrap;
  /** Notes something that has happened; the order is part of what must be the same. */
  readonly log: (event: string) => void;
  /** Notes what was found out about `what`. */
  readonly note: (what: string, finding: unknown) => void;
}

export interface Case {
  /** Who is called, and what it gives. */
  readonly callable: string;
  /** How it ends. */
  readonly ending: string;
  /** Whether it is left unended on purpose, so that its run goes on. */
  readonly open: boolean;
  readonly play: (trial: Trial) => Promise<void>;
}

/** What was noted in one playing of a case: by subject; events under `order`. */
export type Notes = ReadonlyMap<string, unknown>;

/** Plays a case, and waits until nothing of it is under way but what it leaves open. */
export async function play(one: Case, wrap: Wrap): Promise<Notes> {
  const notes = new Map<string, unknown>();
  const order: string[] = [];
  const unhandled: unknown[] = [];
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (reason) => unhandled.push(reason));
  try {
    await one.play({
      wrap,
      log: (event) => order.push(event),
      note: (what, finding) => notes.set(what, finding),
    });
    await ticks(3);
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of listeners) process.on("unhandledRejection", listener);
  }
  return notes.set("order", order).set("unhandled rejections", unhandled.length);
}

/** Lets the event loop go round. */
export function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function ticks(count: number): Promise<void> {
  for (let round = 0; round < count; round++) await tick();
}

/** How a call, or a promise, ended. */
export type Ended =
  | { readonly how: "returned"; readonly value: unknown }
  | { readonly how: "threw"; readonly value: unknown }
  | { readonly how: "is pending" };

export function attempt(call: () => unknown): Ended {
  try {
    return { how: "returned", value: call() };
  } catch (value) {
    return { how: "threw", value };
  }
}

/** How `promise` ends, if it does within some rounds of the event loop. */
export async function settled(promise: unknown): Promise<Ended> {
  let ended: Ended = { how: "is pending" };
  Promise.resolve(promise).then(
    (value) => (ended = { how: "returned", value }),
    (value: unknown) => (ended = { how: "threw", value }),
  );
  // A recorded result has its turn, and what waits for it another: a few rounds at the most.
  for (let round = 0; round < 25 && ended.how === "is pending"; round++) await tick();
  return ended;
}

/** What kind of thing `value` is, as a program could tell. */
export function kindOf(value: unknown): string {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return String(value);
  const { constructor } = value as { constructor?: { name?: unknown } };
  return `${Object.prototype.toString.call(value)} ${String(constructor?.name)}`;
}
