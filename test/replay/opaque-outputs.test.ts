/** G14: a comparison that cannot see a difference does not say `identical`. */
import { hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";

class Secret {
  readonly #amount: number;
  constructor(amount: number) {
    this.#amount = amount;
  }
  get amount(): number {
    return this.#amount;
  }
}
class Plain {
  readonly amount: number;
  constructor(amount: number) {
    this.amount = amount;
  }
}
class Prices extends Map<string, number> {}

async function changed(
  make: (amount: number) => unknown,
  classes: readonly (new (...input: never[]) => object)[] = [],
) {
  const verdicts: string[] = [];
  for (const next of [33, 10]) {
    let amount = 10;
    const hc = hindcast({ service: "opaque", classes });
    const decide = hc.decide({ name: "decide" }, () => make(amount));
    const entry = hc.pipeline({ name: "entry" }, () => decide());
    entry();
    await hc.flush();
    amount = next;
    for await (const capsule of hc.store.find()) {
      const result = await replay(capsule, entry);
      verdicts.push(result.verdict === "unresolved" ? result.reason : result.verdict);
    }
    await hc.close();
  }
  return verdicts;
}

test.each<[string, (amount: number) => unknown]>([
  ["private state", (amount) => new Secret(amount)],
  ["a closure", (amount) => ({ get: () => amount })],
  ["a promise", (amount) => ({ later: Promise.resolve(amount) })],
  ["a local symbol", (amount) => ({ [Symbol("amount")]: amount })],
  ["a boxed number", (amount) => ({ boxed: Object(amount) as unknown })],
  [
    "a getter",
    (amount) => ({
      get amount() {
        return amount;
      },
    }),
  ],
  ["the content of a Blob", (amount) => new Blob([String(amount)])],
  ["shared memory", (amount) => ({ memory: new Uint8Array(new SharedArrayBuffer(1)).fill(amount).buffer })],
])("%s in an output: not told, and not identical", async (_what, make) => {
  expect(await changed(make)).toEqual(["opaque", "opaque"]);
});

test.each<[string, (amount: number) => unknown]>([
  ["an instance with fields", (amount) => new Plain(amount)],
  ["a key of a list", (amount) => Object.assign([1], { amount })],
  ["a key of a Map", (amount) => Object.assign(new Map(), { amount })],
  ["a hidden property", (amount) => Object.defineProperty({}, "amount", { value: amount })],
  ["a registered symbol", (amount) => ({ [Symbol.for("amount")]: amount })],
  ["a symbol of an error", (amount) => Object.assign(new Error("m"), { [Symbol.for("amount")]: amount })],
])("%s in an output: seen", async (_what, make) => {
  expect(await changed(make)).toEqual(["diverged", "identical"]);
});

test("an instance of a listed class that extends one of the language's comes back as one", async () => {
  const make = (amount: number) => new Prices([["a", amount]]);
  expect(await changed(make, [Prices])).toEqual(["diverged", "identical"]);
  const hc = hindcast({ service: "opaque", classes: [Prices] });
  const get = hc.effect({ name: "get" }, async () => Object.assign(make(1), { currency: "EUR" }));
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const prices = await get();
    return [prices instanceof Prices, prices.get("a"), prices.currency];
  });
  await entry();
  await hc.flush();
  for await (const capsule of hc.store.find()) {
    expect(await replay(capsule, entry)).toMatchObject({
      verdict: "identical",
      outcome: { value: [true, 1, "EUR"] },
    });
  }
});
