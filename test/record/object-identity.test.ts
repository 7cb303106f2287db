/** A replay gives copies: what depends on an object being the very same is identical, or told to be inexact. */
import fc from "fast-check";
import { hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { onlyCapsuleOf } from "./recorded.js";

type Hindcast = ReturnType<typeof hindcast>;
type Entry = (...input: never[]) => unknown;

interface Row {
  a: number;
}

async function trial(make: (hc: Hindcast) => Entry, ...input: unknown[]) {
  const hc = hindcast({ service: "identity", capture: false });
  const entry = make(hc);
  await entry(...(input as never[]));
  const capsule = await onlyCapsuleOf(hc);
  const { verdict } = await replay(capsule, entry as never);
  return { exact: capsule.replayable.exact, reasons: capsule.replayable.reasons, verdict };
}

const same = {};
const trials: readonly (readonly [string, RegExp, (hc: Hindcast) => Entry, unknown[]])[] = [
  [
    "an effect sets a field of its argument",
    /changed at \$\.id/u,
    (hc) => {
      const save = hc.effect({ name: "save" }, async (entity: { id?: number }) => {
        entity.id = 41;
      });
      return hc.pipeline({ name: "p" }, async () => {
        const entity: { id?: number } = {};
        await save(entity);
        return entity.id;
      });
    },
    [],
  ],
  [
    "an effect gives its argument",
    /had already \(argument 0 of effect/u,
    (hc) => {
      const save = hc.effect({ name: "save" }, async (entity: Row) => entity);
      return hc.pipeline({ name: "p" }, async () => {
        const entity = { a: 1 };
        (await save(entity)).a = 2;
        return entity.a;
      });
    },
    [],
  ],
  [
    "an effect fills a buffer",
    /Argument 0 of effect "read" changed/u,
    (hc) => {
      const read = hc.effect({ name: "read" }, async (bytes: Uint8Array) => {
        bytes.set([7, 8]);
        return 2;
      });
      return hc.pipeline({ name: "p" }, async () => {
        const bytes = new Uint8Array(3);
        await read(bytes);
        return [...bytes];
      });
    },
    [],
  ],
  [
    "two effects give one object",
    /had already \(the result of effect/u,
    (hc) => {
      const settings = { a: 1 };
      const get = hc.effect({ name: "get" }, async () => settings);
      return hc.pipeline({ name: "p" }, async () => (await get()) === (await get()));
    },
    [],
  ],
  [
    "an effect gives an item of the run's argument",
    /argument 0 of/u,
    (hc) => {
      const find = hc.effect({ name: "find" }, async (list: Row[]) => list[1]);
      return hc.pipeline({ name: "p" }, async (list: Row[]) => list.indexOf((await find(list)) as Row));
    },
    [[{ a: 1 }, { a: 2 }]],
  ],
  [
    "two arguments of the run are one object",
    /Argument 1 of the run/u,
    (hc) => hc.pipeline({ name: "p" }, (a: object, b: object) => a === b),
    [same, same],
  ],
  [
    "an effect throws one error twice",
    /had already/u,
    (hc) => {
      const down = new Error("down");
      const get = hc.effect({ name: "get" }, async () => {
        throw down;
      });
      return hc.pipeline({ name: "p" }, async () => {
        const errors = new Set<unknown>();
        for (let i = 0; i < 2; i++) await get().catch((error: unknown) => errors.add(error));
        return errors.size;
      });
    },
    [],
  ],
  [
    "an effect returns one promise twice",
    /had already/u,
    (hc) => {
      const settled = Promise.resolve({ a: 1 });
      const get = hc.effect({ name: "get" }, () => settled);
      return hc.pipeline({ name: "p" }, async () => {
        const [a, b] = await Promise.all([get(), get()]);
        a.a = 2;
        return b.a;
      });
    },
    [],
  ],
  [
    "a sync effect gives live state",
    /had already/u,
    (hc) => {
      const session = { hits: 0 };
      const get = hc.effect({ name: "session" }, () => session);
      return hc.pipeline({ name: "p" }, () => {
        get().hits++;
        get().hits++;
        return get().hits;
      });
    },
    [],
  ],
];

test.each(trials)("%s: the run says so", async (_name, message, make, input) => {
  const { exact, reasons, verdict } = await trial(make, ...input);
  expect(reasons.map((reason) => reason.message).join("\n")).toMatch(message);
  expect(reasons[0]?.code).toBe("lost");
  expect(exact).toBe(false);
  expect(verdict).not.toBe("diverged");
});

test("effects that give new objects and change nothing stay exact", async () => {
  const { exact, verdict } = await trial((hc) => {
    const find = hc.effect({ name: "find" }, async (query: Row) => [{ ...query }, { a: 2 }]);
    return hc.pipeline({ name: "p" }, async () => {
      const query = { a: 1 };
      return [await find(query), await find(query)];
    });
  });
  expect([exact, verdict]).toEqual([true, "identical"]);
});

test("programs that see which objects are the same are identical, or inexact", async () => {
  const step = fc.record({
    kind: fc.constantFrom("argument", "item", "earlier", "new", "error", "promise", "change"),
    at: fc.nat(5),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const result = await trial(
        (hc) => {
          const made: Row[] = [];
          const down = new Error("down");
          const settled = Promise.resolve({ a: 0 });
          const ask = hc.effect({ name: "ask" }, async (kind: string, at: number, list: Row[]) => {
            if (kind === "error") throw down;
            if (kind === "promise") return settled;
            if (kind === "argument") return list;
            if (kind === "item") return list[at % list.length];
            if (kind === "change") list.push({ a: at });
            const earlier = kind === "earlier" ? made[at % Math.max(made.length, 1)] : undefined;
            const row = earlier ?? { a: at };
            made.push(row);
            return row;
          });
          return hc.pipeline({ name: "p" }, async (list: Row[]) => {
            const seen: unknown[] = [list, ...list];
            for (const { kind, at } of steps)
              seen.push(await ask(kind, at, list).catch((error: unknown) => error));
            return [list.length, seen.map((value) => seen.indexOf(value))];
          });
        },
        [{ a: 1 }, { a: 2 }],
      );
      expect(result.exact ? result.verdict : "inexact").toMatch(/^(?:identical|inexact)$/u);
      expect(result.exact || result.reasons.length > 0).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test("an effect may transfer the buffer that it is given", async () => {
  const { exact, reasons } = await trial((hc) => {
    const send = hc.effect({ name: "send" }, async (bytes: Uint8Array) => {
      structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
    });
    return hc.pipeline({ name: "p" }, async () => {
      const bytes = new Uint8Array(3);
      await send(bytes);
      return bytes.length;
    });
  });
  expect([exact, reasons[0]?.message]).toEqual([
    false,
    expect.stringContaining('Argument 0 of effect "send"'),
  ]);
});
