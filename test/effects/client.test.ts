/** hc.effects: a client some of whose methods are effects, and which is otherwise what it was (G1). */
import { hindcast, type Hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const TAG = Symbol("tag");

class Store {
  static readonly kind = "static";
  readonly #rows = new Map([["a", { id: "a" }]]);
  label = "primary";
  calls = 0;

  get size(): number {
    return this.#rows.size;
  }

  set limit(limit: number) {
    this.calls = limit;
  }

  async get(id: string): Promise<{ id: string } | undefined> {
    this.calls += 1;
    return this.#rows.get(id);
  }

  peek(id: string): { id: string } | undefined {
    return this.#rows.get(id);
  }

  async getAll(ids: readonly string[]): Promise<unknown[]> {
    return Promise.all(ids.map((id) => this.get(id)));
  }

  [TAG](): string {
    return `tagged ${this.#rows.size}`;
  }

  *[Symbol.iterator](): Generator<string> {
    yield* this.#rows.keys();
  }
}

function recorded<T>(body: (hc: Hindcast) => () => T): { hc: Hindcast; result: T; flow: () => T } {
  const hc = hindcast({ service: "client" });
  const flow = hc.pipeline({ name: "flow" }, body(hc));
  return { hc, flow, result: flow() };
}

test("the listed methods are recorded, named <name>.<method>; the others are not", async () => {
  const client = new Store();
  const { hc, result, flow } = recorded((own) => {
    const db = own.effects("db", client, ["get", "peek"]);
    return async () => [await db.get("a"), db.peek("a"), (await db.getAll(["a", "b"])).length];
  });
  expect(await result).toEqual([{ id: "a" }, { id: "a" }, 2]);
  expect(effectsOf(await onlyCapsuleOf(hc)).map(({ name, input }) => [name, input])).toEqual([
    ["db.get", ["a"]],
    ["db.peek", ["a"]],
  ]);
  const calls = client.calls;
  const [stored] = await storedBy(hc);
  expect((await replay(stored!, flow)).verdict).toBe("identical");
  expect(client.calls).toBe(calls + 2); // getAll alone: it was not listed
});

test("#private fields, getters, setters, symbols, iteration, fields, instanceof: as they were", () => {
  const client = new Store();
  const db = hindcast({ service: "client" }).effects("db", client, ["get"]);
  expect(db).toBeInstanceOf(Store);
  expect(Object.getPrototypeOf(db)).toBe(Store.prototype);
  expect([db.size, db.peek("a"), db[TAG](), [...db]]).toEqual([1, { id: "a" }, "tagged 1", ["a"]]);
  db.label = "secondary";
  db.limit = 40;
  expect([client.label, client.calls]).toEqual(["secondary", 40]);
  expect("get" in db && "label" in db && !("other" in db)).toBe(true);
  expect(Object.keys(db)).toEqual(Object.keys(client));
  expect(db.constructor).toBe(Store);
});

test("the methods keep name and length, and are the same function at each look", () => {
  const db = hindcast({ service: "client" }).effects("db", new Store(), ["get"]);
  // oxlint-disable-next-line typescript/unbound-method
  const { get, peek } = db;
  expect([get.name, get.length]).toEqual(["get", 1]);
  // oxlint-disable-next-line typescript/unbound-method
  expect([db.get === get, db.peek === peek]).toEqual([true, true]);
});

test("methods work taken off the client, where clients bind them", async () => {
  const db = hindcast({ service: "client" }).effects("db", new Store(), ["get"]);
  // oxlint-disable-next-line typescript/unbound-method
  const { get, peek } = db;
  expect([await get("a"), peek("a")]).toEqual([{ id: "a" }, { id: "a" }]);
});

const closings: readonly (readonly [string, <T extends object>(client: T) => T])[] = [
  ["frozen", (client) => Object.freeze(client)],
  ["sealed", (client) => Object.seal(client)],
];

test.each(closings)("a %s client: listed and unlisted methods work", async (_how, close) => {
  const client = close({
    get: async (id: string) => id,
    other(): unknown {
      return this;
    },
  });
  const { hc, result } = recorded((own) => {
    const db = own.effects("db", client, ["get"]);
    return async () => [await db.get("x"), typeof db.other()];
  });
  expect(await result).toEqual(["x", "object"]);
  expect(effectsOf(await onlyCapsuleOf(hc)).map((effect) => effect.name)).toEqual(["db.get"]);
});

test("a frozen instance with #private fields: unlisted methods still reach them", () => {
  class Sealed {
    readonly #secret = 7;
    readonly read: () => number;
    constructor() {
      this.read = function (this: Sealed): number {
        return this.#secret;
      };
      Object.freeze(this);
    }
    get(): number {
      return this.#secret;
    }
  }
  const db = hindcast({ service: "client" }).effects("db", new Sealed(), ["get"]);
  expect([db.get(), db.read()]).toEqual([7, 7]);
});

test("a method replaced on the client later, as a test double is, is the one that is called", () => {
  const client = new Store();
  const db = hindcast({ service: "client" }).effects("db", client, ["peek"]);
  db.peek = () => ({ id: "double" });
  expect(db.peek("a")).toEqual({ id: "double" });
});

test("a method of the prototype, of an own property and of a getter can be listed", async () => {
  class Base {
    inherited(): string {
      return "inherited";
    }
  }
  class Client extends Base {
    own = (): string => "own";
    get computed(): () => string {
      return () => "computed";
    }
  }
  const { hc, result } = recorded((own) => {
    const db = own.effects("db", new Client(), ["inherited", "own", "computed"]);
    return () => [db.inherited(), db.own(), db.computed()];
  });
  expect(result).toEqual(["inherited", "own", "computed"]);
  expect(effectsOf(await onlyCapsuleOf(hc)).map((effect) => effect.name)).toEqual([
    "db.inherited",
    "db.own",
    "db.computed",
  ]);
});

test("a method that is missing, or no function, is refused by name", () => {
  const hc = hindcast({ service: "client" });
  for (const method of ["put", "label", "size"]) {
    expect(() => hc.effects("db", new Store(), [method as "get"])).toThrow(
      expect.objectContaining({
        code: "invalid-options",
        message: expect.stringMatching(new RegExp(`"db".*"${method}"`)),
      }),
    );
  }
});

test("classes and functions that a client holds are usable as such", () => {
  const client = { Row: Store, make: () => new Store(), get: () => 1 };
  const db = hindcast({ service: "client" }).effects("db", client, ["get"]);
  expect(new db.Row()).toBeInstanceOf(Store);
  expect(db.Row.kind).toBe("static");
  expect(db.make()).toBeInstanceOf(Store);
});

test("G1: outside of runs a method gives what it gave, and its own promise", () => {
  const promise = Promise.resolve(1);
  const db = hindcast({ service: "client" }).effects("db", { get: () => promise }, ["get"]);
  expect(db.get()).toBe(promise);
});
