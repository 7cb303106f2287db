/** Stages as standard (TC39) decorators; `test/decorators-legacy` has the other dialect. */
import { hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { z } from "zod";
import { callsOf, callTree, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const model = { name: "m", version: "1" };
const Features = z.object({ ratio: z.coerce.number() });

test("G1: a decorated method is a method: this, #private fields, name, length, rejection", async () => {
  const hc = hindcast({ service: "decorator" });
  const error = new Error("no");
  class Model {
    readonly #bias: number;
    constructor(bias: number) {
      this.#bias = bias;
    }

    @hc.infer({ model })
    predict(x: number, _y = 1): number {
      return x + this.#bias;
    }

    @hc.tool({ name: "failing" })
    async fail(): Promise<never> {
      throw error;
    }
  }
  const one = new Model(1);
  expect([one.predict(1), new Model(10).predict(1)]).toEqual([2, 11]);
  expect([one.predict.name, one.predict.length]).toEqual(["predict", 1]);
  expect(Object.keys(one)).toEqual([]);
  expect(Object.getOwnPropertyDescriptor(Model.prototype, "predict")).toMatchObject({ enumerable: false });
  await expect(one.fail()).rejects.toBe(error);
  const names = (await storedBy(hc)).map((stored) => stored.summary.pipeline);
  expect(names).toEqual(["predict", "predict", "failing"]);
});

test("G1: static and private methods, and methods with computed names", async () => {
  const hc = hindcast({ service: "decorator" });
  const key = Symbol("by symbol");
  class Model {
    static readonly factor = 2;

    @hc.tool({})
    static double(x: number): number {
      return x * this.factor;
    }

    @hc.tool({})
    #secretStep(x: number): number {
      return x + 1;
    }

    @hc.tool({})
    [key](x: number): number {
      return x;
    }

    @hc.pipeline({})
    run(x: number): number {
      return Model.double(this.#secretStep(this[key](x)));
    }
  }
  expect(new Model().run(1)).toBe(4);
  expect(callTree(await onlyCapsuleOf(hc))).toEqual([
    "run",
    "run > Symbol(by symbol)",
    "run > #secretStep",
    "run > double",
  ]);
});

test("G1: inheritance: an overriding method, `super` calls, and a method inherited as it is", async () => {
  const hc = hindcast({ service: "decorator" });
  class Base {
    readonly label: string = "base";

    @hc.tool({ name: "base.describe" })
    describe(): string {
      return this.label;
    }

    @hc.tool({ name: "inherited" })
    inherited(): string {
      return `${this.label} inherited`;
    }
  }
  class Derived extends Base {
    override readonly label = "derived";

    @hc.tool({ name: "derived.describe" })
    override describe(): string {
      return `${super.describe()}!`;
    }
  }
  const derived = new Derived();
  expect([derived.describe(), derived.inherited(), new Base().describe()]).toEqual([
    "derived!",
    "derived inherited",
    "base",
  ]);
  const [first, second] = await storedBy(hc);
  expect(first?.summary.pipeline).toBe("derived.describe");
  expect(second?.summary.pipeline).toBe("inherited");
});

test("contracts stand at a decorated method as anywhere else", async () => {
  const hc = hindcast({ service: "decorator" });
  class Model {
    @hc.infer({ model, input: Features, output: z.number().max(10) })
    async predict(features: { ratio: number }): Promise<number> {
      return features.ratio * 2;
    }
  }
  const one = new Model();
  expect(await one.predict({ ratio: "4" as unknown as number })).toBe(8);
  await expect(one.predict({ ratio: 6 })).rejects.toMatchObject({
    code: "contract-violation",
    stage: "predict",
    side: "output",
  });
});

test("G4: a decorated pipeline replays with the `this` that is given", async () => {
  const hc = hindcast({ service: "decorator" });
  class Service {
    readonly threshold: number = 1;

    @hc.pipeline({ name: "decide" })
    async decide(x: number): Promise<boolean> {
      return x > this.threshold;
    }
  }
  const service = new Service();
  expect(await service.decide(5)).toBe(true);
  const [stored] = await storedBy(hc);
  // oxlint-disable-next-line typescript/unbound-method
  const result = await replay(stored!, service.decide, { self: service });
  expect(result.verdict).toBe("identical");
});

test("what is no method is refused when the class is defined, by name", () => {
  const hc = hindcast({ service: "decorator" });
  const decorate = hc.tool({}) as unknown as (...input: unknown[]) => unknown;
  for (const kind of ["field", "getter", "setter", "accessor", "class"]) {
    expect(() => decorate(undefined, { kind, name: "threshold" })).toThrow(
      expect.objectContaining({
        code: "invalid-options",
        message: expect.stringMatching(new RegExp(`"threshold".*${kind}`)),
      }),
    );
  }
});

test("one decorator may stand at many methods, each under its own name", async () => {
  const hc = hindcast({ service: "decorator" });
  const asTool = hc.tool({});
  class Model {
    @asTool
    one(): number {
      return 1;
    }

    @asTool
    two(): number {
      return 2;
    }
  }
  const flow = hc.pipeline({ name: "flow" }, () => new Model().one() + new Model().two());
  expect(flow()).toBe(3);
  const capsule = await onlyCapsuleOf(hc);
  expect(callTree(capsule)).toEqual(["flow", "flow > one", "flow > two"]);
  expect(callsOf(capsule, "two")).toEqual([{ input: [], outcome: { status: "ok", value: 2 } }]);
});
