/** Effects that give a builder: nothing is begun that the program does not ask for, and what it asks for is recorded. */
import fc from "fast-check";
import { hindcast, type Hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

// Builders are thenables: that is what these tests are about.
/* oxlint-disable unicorn/no-thenable */

/** What has been done outside. */
class World {
  readonly done: string[] = [];
}

type Style = "mutable" | "immutable" | "promise";

/** A query builder, such as those of knex (`mutable`), kysely (`immutable`), or a lazy promise with methods. */
class Query implements PromiseLike<string> {
  readonly #world: World;
  readonly #style: Style;
  #text: string;

  constructor(world: World, style: Style, text: string) {
    this.#world = world;
    this.#style = style;
    this.#text = text;
  }

  get length(): number {
    return this.#text.length;
  }

  #with(text: string): Query {
    if (this.#style !== "mutable") return new Query(this.#world, this.#style, this.#text + text);
    this.#text += text;
    return this;
  }

  where(value: unknown): Query {
    return this.#with(` where ${value instanceof Query ? `(${value.#text})` : JSON.stringify(value)}`);
  }

  order(name: string): Query {
    return this.#with(` order ${name}`);
  }

  clone(): Query {
    return new Query(this.#world, this.#style, this.#text);
  }

  self(): this {
    return this;
  }

  broken(): Query {
    throw new RangeError(`broken: ${this.#text}`);
  }

  toText(): string {
    return this.#text;
  }

  async run(): Promise<string> {
    this.#world.done.push(`run ${this.#text}`);
    const text = this.#text;
    await new Promise((resolve) => setTimeout(resolve, 1));
    return `ran ${text}`;
  }

  // A promise of rows, or a failure, like that of a database.
  then<A, B>(
    fulfilled?: ((value: string) => A | PromiseLike<A>) | null,
    rejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#world.done.push(`then ${this.#text}`);
    const text = this.#text;
    const count = this.#world.done.length;
    return new Promise<string>((resolve, reject) => {
      setTimeout(() => {
        if (text.includes("fail")) reject(new TypeError(text));
        else resolve(`rows of ${text} ${count}`);
      }, 1);
    }).then(fulfilled, rejected);
  }

  catch<B>(rejected: (error: unknown) => B): Promise<string | B> {
    return this.then(undefined, rejected);
  }
}

type Step =
  | { readonly kind: "open"; readonly table: string }
  | { readonly kind: "call"; readonly on: number; readonly method: "where" | "order"; readonly value: string }
  | { readonly kind: "drop"; readonly on: number; readonly value: string }
  | { readonly kind: "within"; readonly on: number; readonly other: number }
  | { readonly kind: "bare"; readonly on: number; readonly method: "clone" | "self" | "toText" | "broken" }
  | { readonly kind: "read"; readonly on: number }
  | { readonly kind: "same"; readonly on: number; readonly other: number }
  | { readonly kind: "await" | "run" | "catch" | "later"; readonly on: number };

const on = fc.nat(5);
const word = fc.constantFrom("a", "b", "fail");
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("open" as const), table: word }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("call" as const),
      on,
      method: fc.constantFrom("where" as const, "order" as const),
      value: word,
    }),
  },
  fc.record({ kind: fc.constant("drop" as const), on, value: word }),
  fc.record({ kind: fc.constant("within" as const), on, other: on }),
  fc.record({
    kind: fc.constant("bare" as const),
    on,
    method: fc.constantFrom("clone" as const, "self" as const, "toText" as const, "broken" as const),
  }),
  fc.record({ kind: fc.constant("read" as const), on }),
  fc.record({ kind: fc.constant("same" as const), on, other: on }),
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("await" as const, "run" as const, "catch" as const, "later" as const),
      on,
    }),
  },
);

/** Does the steps, and tells all that it sees. */
async function perform(program: readonly Step[], from: (table: string) => Query): Promise<unknown[]> {
  const seen: unknown[] = [];
  const queries: Query[] = [];
  const later: Promise<unknown>[] = [];
  const attempt = async (body: () => unknown): Promise<unknown> => {
    try {
      return await body();
    } catch (error) {
      return String(error);
    }
  };
  for (const [index, step] of program.entries()) {
    if (step.kind === "open") {
      queries.push(from(step.table));
      continue;
    }
    const query = queries[step.on % Math.max(queries.length, 1)];
    if (query === undefined) continue;
    if (step.kind === "call") queries.push(query[step.method](step.value));
    else if (step.kind === "drop") query.order(step.value);
    else if (step.kind === "within") queries.push(query.where(queries[step.other % queries.length]));
    else if (step.kind === "bare") {
      if (step.method === "broken" || step.method === "toText") {
        const { method } = step;
        seen.push(await attempt(() => query[method]()));
      } else queries.push(query[step.method]());
    } else if (step.kind === "read") seen.push(query.length);
    else if (step.kind === "same") seen.push(query === queries[step.other % queries.length]);
    else if (step.kind === "await") seen.push(await attempt(() => query));
    else if (step.kind === "run") seen.push(await attempt(() => query.run()));
    else if (step.kind === "catch")
      seen.push(await query.catch((error: unknown) => `caught ${String(error)}`));
    else later.push(attempt(() => query).then((result) => seen.push([index, result])));
  }
  await Promise.all(later);
  return seen;
}

function inAnyOrder(seen: readonly unknown[]): string[] {
  return seen.map((one) => JSON.stringify(one)).toSorted();
}

test("G1, G4: random programs over builders of each style do and see what they do without the library, and replay", async () => {
  const styles = fc.constantFrom<Style>("mutable", "immutable", "promise");
  await fc.assert(
    fc.asyncProperty(styles, fc.array(steps, { maxLength: 14 }), async (style, program) => {
      const bareWorld = new World();
      const bare = await perform(program, (table) => new Query(bareWorld, style, table));
      const world = new World();
      const hc = hindcast({ service: "builder" });
      const from = hc.effect({ name: "from" }, (table: string) => new Query(world, style, table));
      const flow = hc.pipeline({ name: "flow" }, () => perform(program, from));
      const recorded = await flow();
      // What goes on at once may end in another order than without turns.
      expect(inAnyOrder(recorded)).toEqual(inAnyOrder(bare));
      expect(world.done).toEqual(bareWorld.done);
      const [stored] = await storedBy(hc);
      const result = await replay(stored!, flow, { timeout: 5_000 });
      expect(result).toMatchObject({ verdict: "identical", outcome: { status: "ok", value: recorded } });
      expect(world.done).toEqual(bareWorld.done);
      await hc.close();
    }),
    { numRuns: Number(process.env["BUILDER_RUNS"] ?? 60) },
  );
}, 120_000);

function opened(style: Style = "mutable"): { hc: Hindcast; world: World; from: (table: string) => Query } {
  const world = new World();
  const hc = hindcast({ service: "builder" });
  return { hc, world, from: hc.effect({ name: "from" }, (table: string) => new Query(world, style, table)) };
}

test("the call and what is called on it up to the asking are one effect", async () => {
  const { hc, from } = opened();
  await hc.pipeline({ name: "flow" }, async () => from("t").where({ id: 1 }).order("n"))();
  const [effect, ...others] = effectsOf(await onlyCapsuleOf(hc));
  expect(others).toEqual([]);
  expect(effect).toMatchObject({
    name: "from",
    input: ["t", [".where", { id: 1 }], [".order", "n"]],
    outcome: { status: "ok" },
  });
});

test("what is never asked is never begun, and stays pending", async () => {
  const { hc, world, from } = opened();
  hc.pipeline({ name: "flow" }, () => [from("t").where(1).toText()])();
  const capsule = await onlyCapsuleOf(hc);
  expect(world.done).toEqual([]);
  expect(effectsOf(capsule)).toEqual([
    { name: "from", input: ["t"], outcome: { status: "pending" } },
    {
      name: "from.toText",
      input: ["t", [".where", 1], [".toText"]],
      outcome: { status: "ok", value: "t where 1" },
    },
  ]);
});

test("a changed step is a divergence, and nothing is performed", async () => {
  const { hc, world, from } = opened();
  let id = 1;
  const flow = hc.pipeline({ name: "flow" }, async () => from("t").where(id));
  await flow();
  id = 2;
  const [stored] = await storedBy(hc);
  expect(await replay(stored!, flow)).toMatchObject({
    verdict: "diverged",
    divergence: { point: "effect-input", effect: "from" },
  });
  expect(world.done).toEqual(["then t where 1"]);
});

test("a builder that a stage or the pipeline returns is asked by whoever awaits it", async () => {
  const { hc, world, from } = opened("immutable");
  const find = hc.tool({ name: "find" }, () => from("t").where(1));
  const flow = hc.pipeline({ name: "flow" }, () => find().order("n"));
  expect(await flow()).toBe("rows of t where 1 order n 1");
  expect(world.done).toEqual(["then t where 1 order n"]);
});

test("a substitute gets the arguments and the steps; a live one is performed", async () => {
  const { hc, world, from } = opened();
  const flow = hc.pipeline({ name: "flow" }, async () => from("t").where(1));
  await flow();
  const [stored] = await storedBy(hc);
  const given = await replay(stored!, flow, {
    effects: { from: (...input: unknown[]) => JSON.stringify(input) },
  });
  expect(given.outcome).toEqual({ status: "ok", value: '["t",[".where",1]]' });
  expect(world.done).toHaveLength(1);
  const live = await replay(stored!, flow, { effects: { from: "live" } });
  expect(live.outcome).toEqual({ status: "ok", value: "rows of t where 1 2" });
});
