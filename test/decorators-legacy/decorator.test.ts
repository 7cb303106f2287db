/** Stages as decorators of TypeScript's `experimentalDecorators`, in which this folder is compiled. */
import { hindcast, memoryStore, type StoredCapsule } from "hindcast";
import { expect, test } from "vitest";
import { z } from "zod";

const model = { name: "m", version: "1" };
const store = memoryStore();
const hc = hindcast({ service: "legacy", store });

async function lastStored(): Promise<StoredCapsule | undefined> {
  await hc.flush();
  let last: StoredCapsule | undefined;
  for await (const capsule of store.find()) last = capsule;
  return last;
}

class Model {
  static readonly factor: number = 2;
  readonly label: string = "base";
  readonly #bias = 1;

  @hc.tool({})
  static double(x: number): number {
    return x * this.factor;
  }

  @hc.infer({ model })
  predict(x: number, _y = 1): number {
    return x + this.#bias;
  }

  @hc.infer({
    name: "later",
    model,
    input: z.object({ ratio: z.coerce.number() }),
    output: z.number().max(10),
  })
  async predictLater(features: { ratio: number }): Promise<number> {
    return features.ratio * 2;
  }

  @hc.tool({ name: "base.describe" })
  describe(): string {
    return this.label;
  }
}

class Derived extends Model {
  override readonly label = "derived";

  @hc.tool({ name: "derived.describe" })
  override describe(): string {
    return `${super.describe()}!`;
  }
}

test("G1: a decorated method is a method: this, #private fields, name, length, attributes", async () => {
  const one = new Model();
  expect(one.predict(1)).toBe(2);
  expect([one.predict.name, one.predict.length]).toEqual(["predict", 1]);
  expect(Object.getOwnPropertyDescriptor(Model.prototype, "predict")).toMatchObject({
    enumerable: false,
    configurable: true,
    writable: true,
  });
  expect((await lastStored())?.summary).toMatchObject({ pipeline: "predict", versions: ["m@1"] });
});

test("G1: static methods", async () => {
  expect(Model.double(4)).toBe(8);
  expect((await lastStored())?.summary.pipeline).toBe("double");
});

test("G1: inheritance, `super` calls", async () => {
  expect([new Derived().describe(), new Derived().predict(1)]).toEqual(["derived!", 2]);
  expect((await lastStored())?.summary.pipeline).toBe("predict");
});

test("contracts stand at a decorated method as anywhere else", async () => {
  const one = new Model();
  expect(await one.predictLater({ ratio: "4" as unknown as number })).toBe(8);
  await expect(one.predictLater({ ratio: 6 })).rejects.toMatchObject({
    code: "contract-violation",
    stage: "later",
    side: "output",
  });
});

test("what is no method is refused when the class is defined, by name", () => {
  expect(() => {
    class Wrong {
      // A field has no descriptor for a decorator to change.
      // @ts-expect-error a field is no method
      @hc.infer({ model })
      threshold = 1;
    }
    return Wrong;
  }).toThrow(
    expect.objectContaining({ code: "invalid-options", message: expect.stringContaining('"threshold"') }),
  );
});

test("a getter, a class, and a method that does not fit its contract do not compile", () => {
  expect(() => {
    class Wrong {
      // @ts-expect-error a getter is no method
      @hc.tool({})
      get computed(): number {
        return 1;
      }
    }
    return Wrong;
  }).toThrow(expect.objectContaining({ code: "invalid-options" }));
  expect(() => {
    // @ts-expect-error a class is no method
    @hc.tool({})
    class Wrong {}
    return Wrong;
  }).toThrow(expect.objectContaining({ code: "invalid-options" }));
  class Unfit {
    // @ts-expect-error the method's parameter is not what the contract gives
    @hc.decide({ input: z.object({ ratio: z.number() }) })
    decide(text: string): string {
      return text;
    }
  }
  expect(Unfit).toBeDefined();
});
