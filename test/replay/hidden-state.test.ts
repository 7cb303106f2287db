/** A comparison that cannot see a difference does not say `identical`, and one that can see everything does. */
import { hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { newestCapsule } from "./newest-capsule.js";

class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  toJSON(): number {
    return this.#cents;
  }
}

class Plain {
  readonly cents: number;
  constructor(cents: number) {
    this.cents = cents;
  }
  // A text with a # in it is no private field.
  label(): string {
    return `#${this.cents}`;
  }
}

const shared = (x: number): SharedArrayBuffer => {
  const buffer = new SharedArrayBuffer(1);
  new Uint8Array(buffer)[0] = x;
  return buffer;
};

const HIDDEN: Readonly<Record<string, (x: number) => unknown>> = {
  "private field": (x) => new Money(x),
  "private field of a parent": (x) => new (class Sub extends Money {})(x),
  "private field in a list in a Map": (x) => new Map([["a", [new Money(x)]]]),
  "private field of an anonymous class": (x) =>
    new (class {
      #x = x;
      get x() {
        return this.#x;
      }
    })(),
  closure: (x) => ({ get: () => x }),
  function: (x) => () => x,
  boxed: (x) => Object(x) as unknown,
  "platform's own state": (x) => new Intl.NumberFormat("en", { minimumFractionDigits: x % 5 }),
  "promise in an object": (x) => ({ p: Promise.resolve(x) }),
  inherited: (x) => Object.create({ score: x }) as unknown,
  "Blob content": (x) => new Blob([x > 20 ? "aa" : "bb"]),
  SharedArrayBuffer: shared,
};

const SEEN: Readonly<Record<string, (x: number) => unknown>> = {
  "data beside a package's own machinery": (x) => ({ rows: [x], _parsers: [() => x] }),
  "fields of a Map": (x) => Object.assign(new Map(), { total: x }),
  "fields of an array": (x) => Object.assign([1], { score: x }),
  "fields of a Date": (x) => Object.assign(new Date(5), { score: x }),
  "not enumerable": (x) => Object.defineProperty({}, "score", { value: x }),
  "symbol key": (x) => ({ [Symbol.for("score")]: x }),
  "plain data": (x) => ({ a: [x, "b", null], d: new Date(x), m: new Map([[1, x]]), s: new Set([x]), n: 5n }),
  "an instance with fields": (x) => new Plain(x),
  bytes: (x) => [new Uint8Array([x]), Buffer.from([x]), new Float32Array([x]).buffer],
  "an error": (x) => new RangeError(`${x}`, { cause: x }),
  "no prototype": (x) => Object.assign(Object.create(null) as object, { x }),
  "platform values": (x) => [new URL(`http://localhost/${x}`), new URLSearchParams({ x: `${x}` }), /x/gu],
  headers: (x) => new Headers({ x: `${x}` }),
  "a response without a body": (x) => new Response(null, { status: 200 + x }),
  "a thrown error": (x) => {
    throw new TypeError(`${x}`);
  },
};

async function replayed(make: (x: number) => unknown, x: number, classes: (typeof Money | typeof Plain)[]) {
  let k = 10;
  const hc = hindcast({ service: "s", classes, logger: { warn: () => undefined } });
  const judge = hc.decide({ name: "judge" }, () => make(k));
  const entry = hc.pipeline({ name: "entry" }, () => judge());
  try {
    entry();
  } catch {
    // recorded
  }
  const capsule = readCapsule(await newestCapsule(hc, "entry"));
  k = x;
  return replay(capsule, entry);
}

describe.each([
  ["listed", [Money, Plain]],
  ["not listed", []],
])("classes %s", (_what, classes) => {
  test.each(Object.entries(HIDDEN))("not seen, and said so: %s", async (_name, make) => {
    for (const x of [10, 33]) {
      const result = await replayed(make, x, classes);
      expect(result.verdict).toBe("unresolved");
      expect(result).toMatchObject({ reason: "opaque" });
      expect(result.sameOutcome).toBeUndefined();
    }
  });

  test.each(Object.entries(SEEN))("seen: %s", async (_name, make) => {
    expect((await replayed(make, 10, classes)).verdict).toBe("identical");
    expect((await replayed(make, 33, classes)).verdict).toBe("diverged");
  });
});

test("what a stage says itself to record is what is compared", async () => {
  let k = 10;
  const hc = hindcast({ service: "s" });
  const record = { output: (money: Money) => money.toJSON() };
  const judge = hc.decide({ name: "judge", record }, () => new Money(k));
  const entry = hc.pipeline({ name: "entry" }, () => judge().toJSON() > 5);
  entry();
  const capsule = await newestCapsule(hc, "entry");
  expect((await replay(capsule, entry)).verdict).toBe("identical");
  k = 33;
  expect((await replay(capsule, entry)).verdict).toBe("diverged");
});
