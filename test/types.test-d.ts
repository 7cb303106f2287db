/** The types tell the truth (G1): what compiles here, and what must not, is what a user meets. */
import { hindcast } from "hindcast";
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

// Effects keep their type.
const client = { get: async (id: string) => ({ id }), other: 1 };
const db = hc.effects("db", client, ["get"]);
isTrue<Equal<typeof db, typeof client>>();
// @ts-expect-error no such method
hc.effects("db", client, ["put"]);

export { decided, Model, score };
