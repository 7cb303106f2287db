/** The types tell the truth (G1): what compiles here, and what must not, is what a user meets. */
import { hindcast } from "hindcast";
import { type Divergence, replay } from "hindcast/replay";
import { z } from "zod";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function isTrue<T extends true>(): T;

const hc = hindcast({ service: "types" });
const Application = z.object({ debt: z.number(), income: z.coerce.number(), name: z.string().default("x") });
const Features = z.object({ debtRatio: z.number() });
const Decision = z.object({
  action: z.enum(["notify", "ignore"]),
  at: z.string().transform((text) => text.length),
});
const data = { name: "d", version: "1" };
const model = { name: "m", version: "1" };

// Without contracts a wrapped function is its own type: generics and overloads are kept.
const identity = hc.tool({ name: "identity" }, <T>(value: T): T => value);
isTrue<Equal<typeof identity, <T>(value: T) => T>>();

// The function's parameter is what the contract parses to; the caller gives what it takes.
const featurize = hc.feature({ data, input: Application, output: Features, name: "f" }, (a) => {
  isTrue<Equal<typeof a, { debt: number; income: number; name: string }>>();
  return { debtRatio: a.debt / a.income };
});
isTrue<
  Equal<Parameters<typeof featurize>[0], { debt: number; income: unknown; name?: string | undefined }>
>();
isTrue<Equal<ReturnType<typeof featurize>, { debtRatio: number }>>();

// Sync stays sync, async stays async, and literals need no `as const`.
const decide = hc.decide({ name: "decide", input: Features, output: Decision }, ({ debtRatio }) => {
  const action = debtRatio > 1 ? "notify" : "ignore";
  return { action, at: "now" };
});
const decided: { action: "notify" | "ignore"; at: number } = decide({ debtRatio: 1 });
const later = hc.decide({ name: "later", output: Decision }, async (_id: string, _flag?: boolean) => ({
  action: "notify",
  at: "now",
}));
isTrue<Equal<ReturnType<typeof later>, Promise<{ action: "notify" | "ignore"; at: number }>>>();
isTrue<Equal<Parameters<typeof later>, [_id: string, _flag?: boolean | undefined]>>();

// Further arguments pass.
const weighted = hc.infer(
  { name: "weighted", model, input: Features },
  (f, weight: number) => f.debtRatio * weight,
);
const score: number = weighted({ debtRatio: 1 }, 2);

// What is recorded in place of a value is a function's result, and its input's a list.
class Tensor {
  readonly #data: Float32Array;
  constructor(data: Float32Array) {
    this.#data = data;
  }
  data(): Float32Array {
    return this.#data;
  }
}
const embed = hc.infer(
  {
    name: "embed",
    model,
    record: { input: (text: string) => [text], output: (tensor: Tensor) => tensor.data() },
    revive: { output: (numbers: Float32Array) => new Tensor(numbers) },
  },
  async (text: string) => new Tensor(new Float32Array(text.length)),
);
isTrue<Equal<typeof embed, (text: string) => Promise<Tensor>>>();
// @ts-expect-error a record that is no pair of functions
hc.tool({ name: "x", record: (value: unknown) => value }, () => 1);
// @ts-expect-error a record of the input that gives no list
hc.tool({ name: "x", record: { input: (text: string) => text } }, () => 1);
// @ts-expect-error an effect's input is not given back
hc.effect({ name: "x", revive: { input: () => [] } }, () => 1);

// Versions are required by type.
// @ts-expect-error an ingest without data
hc.ingest({ name: "x" }, () => 1);
// @ts-expect-error a feature without data
hc.feature({ name: "x" }, () => 1);
// @ts-expect-error an infer without a model
hc.infer({ name: "x" }, () => 1);
// @ts-expect-error a data set without a version
hc.ingest({ name: "x", data: { name: "d" } }, () => 1);
hc.ingest({ name: "x", data: (id: string) => ({ name: id, version: "1" }) }, (id: string) => id);

// A stage fed with the wrong shape, and a function that does not fit its contract.
// @ts-expect-error Features is not Application
featurize({ debtRatio: 1 });
// @ts-expect-error the output contract wants debtRatio
hc.feature({ name: "x", data, input: Application, output: Features }, (a) => ({ ratio: a.debt }));
// @ts-expect-error the input contract gives no `salary`
hc.feature({ name: "x", data, input: Application }, (a) => a.salary);

// Decorators fit methods, by contract.
class Model {
  readonly #bias = 1;

  @hc.infer({ model })
  predict(x: number): number {
    return x + this.#bias;
  }

  @hc.infer({ model, input: Features, output: z.number() })
  async predictLater(features: { debtRatio: number }): Promise<number> {
    return features.debtRatio + this.#bias;
  }

  // @ts-expect-error the output contract wants a number
  @hc.infer({ model, input: Features, output: z.number() })
  async predictText(features: { debtRatio: number }): Promise<string> {
    return String(features.debtRatio);
  }

  // @ts-expect-error a field is no method
  @hc.infer({ model })
  threshold = 1;
}

// A synchronous function stays synchronous, by type too, whichever contracts stand.
isTrue<Equal<ReturnType<typeof decide>, { action: "notify" | "ignore"; at: number }>>();
isTrue<Equal<ReturnType<typeof weighted>, number>>();
isTrue<Equal<typeof weighted, (this: unknown, input: { debtRatio: number }, weight: number) => number>>();
// @ts-expect-error there is no promise to wait for
decide({ debtRatio: 1 }).then(() => undefined);

// Under a contract the rest of a function keeps its types: further arguments, optional ones, all that are left.
const rested = hc.tool({ name: "rested", input: Features }, (f, unit = "%", ...notes: readonly string[]) => ({
  text: `${f.debtRatio}${unit}`,
  notes,
}));
isTrue<
  Equal<
    Parameters<typeof rested>,
    [input: { debtRatio: number }, unit?: string | undefined, ...notes: string[]]
  >
>();
// @ts-expect-error a note is a text
rested({ debtRatio: 1 }, "%", 1);
// Of what a generic function gives, an output contract makes what it parses to; its arguments are still checked.
const counting = hc.tool(
  { name: "count", output: z.number() },
  <T extends string>(list: readonly T[]) => list.length,
);
isTrue<Equal<ReturnType<typeof counting>, number>>();
// @ts-expect-error a list of texts
counting([1]);
// TypeScript tells of overloads the last one alone: under a contract that one is left.
const lastOnly = hc.tool({ name: "either", output: z.union([z.number(), z.string()]) }, overloaded);
isTrue<Equal<Parameters<typeof lastOnly>, [x: string, y: string]>>();

// A stage's output is the next one's input without contracts, too.
const measure = hc.tool({ name: "measure" }, (text: string) => ({ length: text.length }));
const judge = hc.tool({ name: "judge" }, ({ length }: { length: number }) => length > 1);
isTrue<Equal<typeof judge, (input: { length: number }) => boolean>>();
void judge(measure("text"));
// @ts-expect-error the measure is no text
measure(measure("text"));
// @ts-expect-error the judgement is no measure
judge(judge({ length: 1 }));

// Effects keep their type.
const client = { get: async (id: string) => ({ id }), other: 1 };
const db = hc.effects("db", client, ["get"]);
isTrue<Equal<typeof db, typeof client>>();
// @ts-expect-error no such method
hc.effects("db", client, ["put"]);
const described = hc.effects("db", client, { get: { record: { output: ({ id }: { id: string }) => id } } });
isTrue<Equal<typeof described, typeof client>>();
// @ts-expect-error no such method
hc.effects("db", client, { put: {} });
// @ts-expect-error no such option
hc.effects("db", client, { get: { name: "x" } });

export { decided, Model, score };

// Overloads, `this`, type guards and assertions are kept where no contract stands.
function overloaded(x: number): number;
function overloaded(x: string, y: string): string;
function overloaded(x: number | string, y?: string): number | string {
  return y === undefined ? x : `${x}${y}`;
}
const either = hc.tool({ name: "either" }, overloaded);
isTrue<Equal<typeof either, typeof overloaded>>();
const [ofNumber, ofText]: [number, string] = [either(1), either("a", "b")];
// @ts-expect-error no overload takes one text
either("a");
const owned = hc.tool({ name: "owned" }, function (this: { factor: number }, x: number) {
  return x * this.factor;
});
isTrue<Equal<ThisParameterType<typeof owned>, { factor: number }>>();
// @ts-expect-error it needs its `this`
owned(1);
const ownedByContract = hc.decide({ name: "owned", input: Features }, function (this: { factor: number }, f) {
  return f.debtRatio * this.factor;
});
isTrue<Equal<ThisParameterType<typeof ownedByContract>, { factor: number }>>();
const isText = hc.tool({ name: "is-text" }, (value: unknown): value is string => typeof value === "string");
isTrue<Equal<typeof isText, (value: unknown) => value is string>>();
const first = hc.tool({ name: "first" }, async <T>(list: readonly T[]): Promise<T | undefined> => list[0]);
isTrue<Equal<typeof first, <T>(list: readonly T[]) => Promise<T | undefined>>>();

// Rest and optional parameters, and a sync function that returns one of several things.
const many = hc.tool({ name: "many" }, (a: string, b = 1, ...rest: boolean[]) => [a, b, rest] as const);
isTrue<Equal<Parameters<typeof many>, [a: string, b?: number | undefined, ...rest: boolean[]]>>();
isTrue<Equal<ReturnType<typeof many>, readonly [string, number, boolean[]]>>();

// Generators, async generators and streams keep their types.
const counted = hc.tool({ name: "counted" }, function* (limit: number): Generator<number, string, boolean> {
  return (yield limit) ? "yes" : "no";
});
isTrue<Equal<ReturnType<typeof counted>, Generator<number, string, boolean>>>();
const tokens = hc.infer({ name: "tokens", model }, async function* (prompt: string) {
  yield prompt;
  return 1;
});
isTrue<Equal<ReturnType<typeof tokens>, AsyncGenerator<string, number, unknown>>>();
const body = hc.tool({ name: "body" }, () => new ReadableStream<Uint8Array>());
isTrue<Equal<ReturnType<typeof body>, ReadableStream<Uint8Array>>>();
const underContract = hc.infer({ name: "tokens", model, input: Features }, async function* (f) {
  yield f.debtRatio;
});
isTrue<Equal<Parameters<typeof underContract>, [input: { debtRatio: number }]>>();
isTrue<Equal<ReturnType<typeof underContract>, AsyncGenerator<number, void, unknown>>>();

// A promise of a class of its own, and a thenable, are what they were.
class Tapped<T> extends Promise<T> {
  tap(): this {
    return this;
  }
}
const tapped = hc.tool({ name: "tapped" }, (x: number) => new Tapped<number>((resolve) => resolve(x)));
isTrue<Equal<ReturnType<typeof tapped>, Tapped<number>>>();

// Stages fed with one another: the output of one is the input of the next, or it does not compile.
const load = hc.ingest({ name: "load", data, output: Application }, async (id: string) => ({
  debt: id.length,
  income: 1,
}));
const chained = hc.pipeline({ name: "chained" }, async (id: string) => decide(featurize(await load(id))));
isTrue<Equal<typeof chained, (id: string) => Promise<{ action: "notify" | "ignore"; at: number }>>>();
// @ts-expect-error an application is no features
hc.pipeline({ name: "x" }, async (id: string) => decide(await load(id)));
// @ts-expect-error the features are in a promise only if their stage is asynchronous, as `load` is
hc.pipeline({ name: "x" }, (id: string) => featurize(load(id)));
// @ts-expect-error a text where the contract wants a number, in a promise
hc.decide({ name: "x", output: z.number() }, async () => "one");

// What no decorator of a stage fits.
class Misplaced {
  // @ts-expect-error a getter is no method
  @hc.tool({})
  get computed(): number {
    return 1;
  }

  // @ts-expect-error a setter is no method
  @hc.tool({})
  set written(_value: number) {}

  // @ts-expect-error an accessor is no method
  @hc.tool({})
  accessor kept = 1;

  // @ts-expect-error a function in a field is no method: wrap it
  @hc.tool({})
  arrow = (): number => 1;

  // @ts-expect-error the method's parameter is not what the contract gives
  @hc.decide({ input: Features })
  decide(text: string): string {
    return text;
  }

  // @ts-expect-error a feature without data, as a decorator too
  @hc.feature({})
  feature(): number {
    return 1;
  }

  @hc.tool({})
  static of(): Misplaced {
    return new Misplaced();
  }

  @hc.tool({})
  async *tokens(prompt: string): AsyncGenerator<string> {
    yield prompt;
  }
}
isTrue<Equal<Misplaced["tokens"], (prompt: string) => AsyncGenerator<string>>>();
// @ts-expect-error a class is no method
@hc.tool({})
class Decorated {}

// Effects are what they wrap.
const draw = hc.effect({ name: "draw" }, <T>(list: readonly T[]): T | undefined => list[0]);
isTrue<Equal<typeof draw, <T>(list: readonly T[]) => T | undefined>>();
const pick = hc.effect({ name: "either" }, overloaded);
isTrue<Equal<typeof pick, typeof overloaded>>();
// @ts-expect-error `other` is no method
hc.effects("db", client, ["missing", "get"]);
// @ts-expect-error an effect wraps a function
hc.effect({ name: "x" }, 1);

// A replay gives what the entry gives.
declare const capsule: Uint8Array;
const replayed = await replay(capsule, chained);
if (replayed.outcome.status === "ok") {
  isTrue<Equal<typeof replayed.outcome.value, { action: "notify" | "ignore"; at: number }>>();
}
if (replayed.recorded.status === "ok") isTrue<Equal<typeof replayed.recorded.value, unknown>>();
isTrue<Equal<typeof replayed.verdict, "identical" | "diverged" | "unresolved">>();
if (replayed.verdict === "diverged") isTrue<Equal<typeof replayed.divergence, Divergence>>();
// @ts-expect-error there is a reason only where it could not be told
void replayed.reason;
// @ts-expect-error an entry is a function
await replay(capsule, client);

export { Decorated, ofNumber, ofText };
