/** Effects that give something live, and functions that are given to effects: all of it is part of the run. */
import { EventEmitter, once } from "node:events";
import { Readable } from "node:stream";
import { inspect } from "node:util";
import fc from "fast-check";
import { hindcast, type Hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What has been done outside. */
class World {
  readonly done: string[] = [];
  next = 0;
}

class Result {
  readonly rows: readonly { readonly id: number }[];
  constructor(rows: readonly { readonly id: number }[]) {
    this.rows = rows;
  }
  count(): number {
    return this.rows.length;
  }
}

class Cursor {
  readonly #world: World;
  readonly #rows: number[];
  closed = false;
  position = 0;

  constructor(world: World, rows: number[]) {
    this.#world = world;
    this.#rows = rows;
  }

  get left(): number {
    return this.#rows.length;
  }

  async read(count: number): Promise<number[]> {
    this.#world.done.push(`read ${count}`);
    await wait(1);
    this.position += count;
    return this.#rows.splice(0, count);
  }

  peek(): number | undefined {
    return this.#rows[0];
  }

  close(): this {
    this.closed = true;
    return this;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<number> {
    while (this.#rows.length > 0) {
      await wait(1);
      yield this.#rows.shift() as number;
    }
  }
}

type Listener = (value: number) => void;

class Connection extends EventEmitter {
  readonly #world: World;
  queries = 0;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  async query(text: string): Promise<Result> {
    this.queries += 1;
    this.#world.done.push(text);
    await wait(1);
    if (text === "fail") throw new RangeError(text);
    return new Result([{ id: this.#world.next++ }, { id: this.#world.next++ }]);
  }

  cursor(): Cursor {
    return new Cursor(
      this.#world,
      [1, 2, 3, 4, 5].map((row) => row + this.#world.next),
    );
  }

  table(name: string): { find(): Cursor; name: string } {
    return { find: () => this.cursor(), name };
  }

  get(id: number, callback: (error: Error | null, value?: { id: number; v: number }) => void): void {
    this.#world.done.push(`get ${id}`);
    const v = this.#world.next++;
    setTimeout(() => (id === 3 ? callback(new TypeError("three")) : callback(null, { id, v })), 1);
  }

  async transaction<T>(body: (tx: Connection) => Promise<T>): Promise<T> {
    await wait(1);
    const result = await body(new Connection(this.#world));
    this.#world.done.push("commit");
    return result;
  }

  each(values: readonly number[], body: (value: number) => number): number[] {
    return values.map((value) => body(value + this.#world.next));
  }

  async load(options: { readonly parts: number; readonly onProgress: Listener }): Promise<number> {
    for (let part = 0; part < options.parts; part++) {
      await wait(1);
      options.onProgress(part);
      options.onProgress(part + 0.5);
    }
    return options.parts;
  }

  ping(): void {
    setTimeout(() => this.emit("pong", this.#world.next++), 1);
  }

  start(count: number): void {
    for (let index = 0; index < count; index++) {
      setTimeout(() => {
        this.emit("tick", this.#world.next++);
        this.emit("tick", index);
      }, 1 + index);
    }
    setTimeout(() => this.emit("end"), count + 3);
  }
}

interface Program {
  readonly ops: readonly { readonly op: string; readonly n: number }[];
  readonly parallel: boolean;
}

const OPS = [
  "query",
  "fail",
  "data",
  "cursor",
  "iterate",
  "table",
  "get",
  "transaction",
  "each",
  "load",
  "events",
  "once",
  "same",
] as const;

const programs: fc.Arbitrary<Program> = fc.record({
  ops: fc.array(fc.record({ op: fc.constantFrom(...OPS), n: fc.integer({ min: 1, max: 4 }) }), {
    maxLength: 7,
  }),
  parallel: fc.boolean(),
});

/** Does the operations, and tells all that it sees. `stage` is called inside of callbacks. */
async function perform(
  { ops, parallel }: Program,
  connect: () => Connection,
  stage: (value: number) => number,
): Promise<unknown[]> {
  const seen: unknown[] = [];
  const db = connect();
  const one = async (op: string, n: number, index: number): Promise<void> => {
    const see = (...what: unknown[]): void => void seen.push([index, ...what]);
    switch (op) {
      case "query": {
        const result = await db.query(`select ${n}`);
        return see(
          result.count(),
          result.rows,
          Object.entries(result),
          JSON.stringify(result),
          inspect(result),
        );
      }
      case "fail":
        return see(await db.query("fail").catch((error: unknown) => String(error)));
      case "data":
        return see(db.queries, typeof db.query, "queries" in db);
      case "cursor": {
        const cursor = db.cursor();
        see(cursor.closed, cursor.left, cursor.peek());
        see(await cursor.read(n), cursor.left, cursor.position);
        return see(cursor.close() === cursor, cursor.closed);
      }
      case "iterate": {
        for await (const row of db.cursor())
          if (row % 3 === n) break;
          else see(row);
        return;
      }
      case "table": {
        const table = db.table(`t${n}`);
        return see(table.name, await table.find().read(n));
      }
      case "get":
        return see(
          await new Promise((resolve) =>
            db.get(n, (error, value) => resolve(error === null ? stage(value?.v ?? 0) : String(error))),
          ),
        );
      case "transaction":
        return see(
          await db.transaction(async (tx) => {
            const { rows } = await tx.query("in transaction");
            return stage(rows.length + tx.queries);
          }),
        );
      case "each":
        return see(db.each([n, 2, 3], (value) => stage(value)));
      case "load":
        return see(await db.load({ parts: n, onProgress: (part) => see("progress", stage(part)) }));
      case "events": {
        const listener: Listener = (value) => see("tick", stage(value));
        const other: Listener = () => see("never");
        db.on("tick", listener).on("tick", other).off("tick", other);
        db.start(n);
        await new Promise((resolve) => db.once("end", () => resolve(undefined)));
        db.off("tick", listener);
        return see(db.listenerCount("tick"));
      }
      case "once": {
        db.ping();
        const [value] = (await once(db, "pong")) as [number];
        return see(stage(value));
      }
      case "same":
        return see(connect() === db);
    }
  };
  if (parallel) await Promise.all(ops.map(({ op, n }, index) => one(op, n, index)));
  else for (const [index, { op, n }] of ops.entries()) await one(op, n, index);
  return seen;
}

test("G1, G4: random programs over live results and callbacks see what they see without the library, and replay", async () => {
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      const bareWorld = new World();
      const bareDb = new Connection(bareWorld);
      // What goes on at once reads what is outside in whatever order.
      const bare = await perform(
        program,
        () => bareDb,
        (value) => value * 2,
      );
      const world = new World();
      const db = new Connection(world);
      const hc = hindcast({ service: "handle" });
      const stage = hc.feature(
        { name: "double", data: { name: "d", version: "1" } },
        (value: number) => value * 2,
      );
      const connect = hc.effect({ name: "connect" }, () => db);
      const flow = hc.pipeline({ name: "flow" }, () => perform(program, connect, stage));
      // Copied at once: what is emitted after the run has ended is added to the list all the same, and is not of the run.
      const recorded = [...(await flow())];
      if (!program.parallel) expect(recorded).toEqual(bare);
      const { length } = world.done;
      expect(world.done.toSorted()).toEqual(bareWorld.done.toSorted());
      const [stored] = await storedBy(hc);
      expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
      const result = await replay(stored!, flow, { timeout: 5_000 });
      if (result.verdict === "diverged") expect(result.divergence.message).toBe("");
      expect(result).toMatchObject({ verdict: "identical", outcome: { status: "ok", value: recorded } });
      expect(world.done).toHaveLength(length);
      await hc.close();
    }),
    { numRuns: Number(process.env["HANDLE_RUNS"] ?? 40) },
  );
}, 240_000);

async function identical(hc: Hindcast, flow: () => unknown, expected: unknown): Promise<void> {
  expect(await flow()).toEqual(expected);
  const [stored] = await storedBy(hc);
  expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
  const result = await replay(stored!, flow as () => Promise<unknown>);
  if (result.verdict === "diverged") expect(result.divergence.message).toBe("");
  expect(result).toMatchObject({
    verdict: "identical",
    outcome: { status: "ok", value: expected },
  });
}

test("an event target: listeners, once, removal, handler properties", async () => {
  const hc = hindcast({ service: "handle" });
  class Socket extends EventTarget {
    onmessage: ((event: Event) => void) | null = null;
    open(): void {
      setTimeout(() => {
        const event = Object.assign(new Event("message"), { data: "hello" });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      }, 2);
    }
  }
  const connect = hc.effect({ name: "connect" }, () => new Socket());
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const socket = connect();
    const seen: unknown[] = [];
    const never = (): void => void seen.push("never");
    socket.addEventListener("message", never);
    socket.removeEventListener("message", never);
    socket.addEventListener("message", (event) => seen.push((event as Event & { data: string }).data));
    await new Promise((resolve) => {
      socket.onmessage = ({ type }) => resolve(seen.push(type));
      socket.open();
    });
    return seen;
  });
  await identical(hc, flow, ["hello", "message"]);
});

test("a chained client, made of Proxies and private fields", async () => {
  const hc = hindcast({ service: "handle" });
  class Collection {
    readonly #rows = [{ id: 1 }, { id: 2 }];
    find(query: { id?: number } = {}): { toArray(): Promise<{ id: number }[]> } {
      const rows = this.#rows.filter(({ id }) => query.id === undefined || id === query.id);
      return { toArray: async () => (await wait(1), rows) };
    }
  }
  const client = new Proxy({} as { db(name: string): { collection(name: string): Collection } }, {
    get: (_target, key) =>
      key === "db"
        ? () =>
            new Proxy(
              {},
              {
                get: (_inner, name) => (name === "then" ? undefined : () => new Collection()),
              },
            )
        : undefined,
  });
  const mongo = hc.effects("mongo", client, ["db"]);
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const users = mongo.db("shop").collection("users");
    return [await users.find({ id: 2 }).toArray(), (await users.find().toArray()).length];
  });
  expect(await flow()).toEqual([[{ id: 2 }], 2]);
  const [stored] = await storedBy(hc);
  const result = await replay(stored!, flow);
  if (result.verdict === "diverged") expect(result.divergence.message).toBe("");
  expect(result).toMatchObject({ verdict: "identical" });
});

test("a function that is given: called as an effect, and taken by the next one as what it is", async () => {
  const hc = hindcast({ service: "handle" });
  const released: unknown[] = [];
  const open = hc.effect({ name: "open" }, async () => {
    const release = (reason: string): string => `${reason} ${released.push(reason)}`;
    return Object.assign(release, { kind: "lock" });
  });
  const isSame = hc.effect(
    { name: "isSame" },
    (value: unknown) => typeof value === "function" && "kind" in value,
  );
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const release = await open();
    return [release("done"), release.kind, typeof release, isSame(release)];
  });
  await identical(hc, flow, ["done 1", "lock", "function", true]);
  expect(released).toEqual(["done"]);
});

test("the stages and effects of a transaction are part of the run, and its failure is the effect's", async () => {
  const hc = hindcast({ service: "handle" });
  const inner = hc.tool({ name: "inner" }, (value: number) => value + 1);
  const db = hc.effects(
    "db",
    {
      async transaction(body: (tx: { get(): Promise<number> }) => Promise<number>): Promise<number> {
        await wait(1);
        return body({ get: async () => Math.random() });
      },
    },
    ["transaction"],
  );
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const value = await db.transaction(async (tx) => inner(await tx.get()));
    const failed = await db
      .transaction(async () => {
        throw new RangeError("rolled back");
      })
      .catch((error: unknown) => String(error));
    return [value > 1, failed];
  });
  await identical(hc, flow, [true, "RangeError: rolled back"]);
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule.calls).toHaveLength(2);
  expect(effectsOf(capsule).map(({ name }) => name)).toContain("db.transaction.callback.get");
});

test("record and revive of a method rule what is recorded, and what a replay gives", async () => {
  const hc = hindcast({ service: "handle" });
  class Money {
    readonly cents: number;
    constructor(cents: number) {
      this.cents = cents;
    }
    plus(other: Money): Money {
      return new Money(this.cents + other.cents);
    }
  }
  const bank = { balance: async () => new Money(40), name: () => "bank" };
  const db = hc.effects("bank", bank, {
    balance: {
      record: { output: (money: Money) => money.cents },
      revive: { output: (cents: number) => new Money(cents) },
    },
    name: {},
  });
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const balance = await db.balance();
    return [db.name(), balance instanceof Money, balance.plus(new Money(2)).cents];
  });
  await identical(hc, flow, ["bank", true, 42]);
  expect(effectsOf(await onlyCapsuleOf(hc)).map(({ name, outcome }) => [name, outcome])).toEqual([
    ["bank.balance", { status: "ok", value: 40 }],
    ["bank.name", { status: "ok", value: "bank" }],
  ]);
  expect(() => hc.effects("bank", bank, { balance: { recrod: {} } as object })).toThrow(/"recrod"/);
});

test("what a stage returns and is given is the handle, and a question for its class is told", async () => {
  const hc = hindcast({ service: "handle", logger: { warn: () => undefined } });
  const open = hc.effect({ name: "open" }, () => new Cursor(new World(), [1, 2, 3]));
  const pass = hc.tool({ name: "pass" }, (cursor: Cursor) => cursor);
  const opening = hc.tool({ name: "opening" }, async () => pass(open()));
  const flow = hc.pipeline({ name: "flow" }, async () => (await opening()).read(2));
  await identical(hc, flow, [1, 2]);

  const other = hindcast({ service: "handle", logger: { warn: () => undefined } });
  const ask = other.effect({ name: "open" }, () => new Cursor(new World(), [1]));
  other.pipeline({ name: "flow" }, () => ask() instanceof Cursor)();
  const { reasons } = (await onlyCapsuleOf(other)).replayable;
  expect(reasons).toEqual([
    {
      code: "class",
      name: "open",
      message:
        'What effect "open" gave was asked for its class, which a replay cannot give it: ' +
        "list Cursor in hindcast({ classes }).",
    },
  ]);
});

test("lazy promises in a list, a transaction of namespaces, and the body of a response", async () => {
  const hc = hindcast({ service: "handle" });
  const done: string[] = [];
  /** As Prisma's are: nothing is done before somebody asks. */
  class Lazy {
    readonly #name: string;
    readonly [Symbol.toStringTag] = "LazyPromise";
    constructor(name: string) {
      this.#name = name;
    }
    get name(): string {
      return this.#name;
    }
    // oxlint-disable-next-line unicorn/no-thenable
    then<T>(fulfilled: (value: string) => T): Promise<T> {
      done.push(this.#name);
      return wait(1).then(() => fulfilled(this.#name));
    }
  }
  const find = (name: string): Lazy => new Lazy(name);
  const users = hc.effects("users", { find }, ["find"]);
  const client = hc.effects(
    "client",
    {
      async all(lazy: readonly Lazy[]): Promise<string[]> {
        return lazy.map((one) => one.name);
      },
      async transaction<T>(
        body: (tx: { users: { find: (name: string) => Lazy } }) => Promise<T>,
      ): Promise<T> {
        return body({ users: { find } });
      },
      async request(): Promise<{ status: number; body: Readable }> {
        return { status: 200, body: Readable.from(["a", "b"]) };
      },
    },
    ["all", "transaction", "request"],
  );
  const flow = hc.pipeline({ name: "flow" }, async () => {
    const names = await client.all([users.find("a"), users.find("b")]);
    const within = await client.transaction(
      async (tx) => tx.users.find("c") as unknown as PromiseLike<string>,
    );
    const { status, body } = await client.request();
    let text = "";
    for await (const chunk of body) text += String(chunk);
    return [names, within, status, text];
  });
  await identical(hc, flow, [["a", "b"], "c", 200, "ab"]);
  expect(done).toEqual(["c"]);
});
