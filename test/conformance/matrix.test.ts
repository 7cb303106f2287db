/** G1, G2: every callable, in every way of ending, in every condition. */
import type { Hindcast } from "hindcast";
import { readCapsule } from "hindcast/replay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conditions, enter, judge } from "./conditions.js";
import { byDesign, notForEffects, type Position } from "./differences.js";
import { type Cell, casesOfMatrix, type Difference, examine, renderTable, type Wrapper } from "./matrix.js";
import type { AnyFunction } from "./trial.js";

const cases = casesOfMatrix();
const callables = [...new Set(cases.map(({ callable }) => callable))];

/** What is called, and where from. */
const positions = {
  "a root": (hc) => ({ wrap: (body, { name }) => hc.tool({ name }, body) }),
  "a stage": (hc) => ({
    wrap: (body, { name }) => hc.tool({ name }, body),
    around: (body) => hc.pipeline({ name: "around" }, body)(),
  }),
  "an effect": (hc) => ({
    wrap: (body, { name }) => hc.effect({ name }, body),
    around: (body) => hc.pipeline({ name: "around" }, body)(),
  }),
  "a decorated method": (hc) => ({
    wrap: (body, { name }) => hc.tool({ name })(body, { kind: "method", name }),
  }),
  "a method decorated in the older dialect": (hc) => ({
    wrap: (body, { name }) => hc.tool({ name })({}, name, { value: body }).value as typeof body,
  }),
} satisfies Record<Position, (hc: Hindcast) => Pick<Wrapper, "wrap" | "around">>;

const table = new Map<string, Map<string, Cell[]>>();

describe.each(Object.keys(positions) as Position[])("G1, G2: %s", (position) => {
  // A decorator wraps as a call does: what differs can be seen in any condition.
  const applying = position.includes("decorated") ? conditions.slice(0, 2) : conditions;
  describe.each(applying)("$name", (condition) => {
    let wrapper: Wrapper;
    let hc: Hindcast;
    let end: () => Promise<void>;
    const used = new Set<Difference>();
    const cells: Cell[] = [];

    beforeAll(() => {
      ({ hc, end } = enter(condition));
      wrapper = { name: position, ...positions[position](hc), differences: byDesign(position, condition) };
      if (!table.has(position)) table.set(position, new Map());
      table.get(position)?.set(condition.name, cells);
    });
    afterAll(() => end());

    const held = callables.filter(
      (callable) => position !== "an effect" || !condition.recorded || !notForEffects.callable.test(callable),
    );
    test.each(held)("%s", async (callable) => {
      const failed: string[] = [];
      for (const one of cases.filter((candidate) => candidate.callable === callable)) {
        const before = hc.stats();
        const cell = await examine(one, wrapper);
        const problems = await judge(condition, hc, before, one);
        const mismatches = [...cell.mismatches, ...problems];
        cells.push({ ...cell, mismatches });
        for (const difference of cell.excused) used.add(difference);
        failed.push(...mismatches.map((mismatch) => `${one.callable}, ${one.ending}: ${mismatch}`));
      }
      expect(failed).toEqual([]);
    });

    test("what is stored can be read, and what is said to differ does", async () => {
      for await (const capsule of hc.store.find()) readCapsule(capsule);
      expect(hc.stats().runs.started > 0).toBe(condition.runs);
      expect(wrapper.differences.filter((difference) => !used.has(difference))).toEqual([]);
    });
  });
});

afterAll(() => {
  for (const [position, columns] of table) console.log(`\nWrapped as ${position}:\n${renderTable(columns)}`);
});

describe("the matrix finds what a wrapper breaks", () => {
  const broken: Readonly<Record<string, Wrapper["wrap"]>> = {
    "makes everything asynchronous": (body) =>
      ((...input: never[]) => Promise.resolve(body(...input))) as typeof body,
    "loses `this`": (body) => ((...input: never[]) => body(...input)) as typeof body,
    "wraps what is thrown": (body) =>
      function (this: unknown, ...input: never[]) {
        try {
          return Reflect.apply(body as AnyFunction, this as never, input) as unknown;
        } catch (cause) {
          throw new Error("wrapped", { cause });
        }
      } as typeof body,
    "calls twice": (body) =>
      function (this: unknown, ...input: never[]) {
        Reflect.apply(body as AnyFunction, this as never, input);
        return Reflect.apply(body as AnyFunction, this as never, input) as unknown;
      } as typeof body,
  };

  test.each(Object.entries(broken))("one that %s", async (_what, wrap) => {
    const wrapper = { name: "broken", wrap, differences: [] };
    const cells = [];
    for (const one of cases.filter(({ callable }) => callable === "function"))
      cells.push(await examine(one, wrapper));
    expect(cells.some(({ mismatches }) => mismatches.length > 0)).toBe(true);
  });
});
