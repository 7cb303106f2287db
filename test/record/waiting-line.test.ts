/** Who waits, in which order, and who gives way. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { WaitingLine, type WaitingRun } from "../../src/record/waiting-line.js";

function run(sequence: number, worth: number, size: number): WaitingRun {
  return {
    sequence,
    worth,
    kept: `worth ${worth}`,
    recording: { size },
    summary: {},
  } as unknown as WaitingRun;
}

test("first come, first served, whatever they are worth", () => {
  const line = new WaitingLine();
  const worths = [0, 5, 1, 0, -2, 5, 0.5];
  for (const [sequence, worth] of worths.entries()) line.add(run(sequence, worth, 10));
  expect(line.first?.sequence).toBe(0);
  expect(worths.map(() => line.next()?.sequence)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect([line.next(), line.first, line.length]).toEqual([undefined, undefined, 0]);
});

test("the least worth gives way first, and of those the newest", () => {
  const line = new WaitingLine();
  for (const [sequence, worth] of [1, 0, 0, 1, 0, 2].entries()) line.add(run(sequence, worth, 10));
  expect(line.makeRoom(25, 2).map(({ sequence }) => sequence)).toEqual([4, 2, 1]);
  expect(line.makeRoom(15, 2).map(({ sequence }) => sequence)).toEqual([3, 0]);
  expect(line.next()?.sequence).toBe(5);
});

test("nothing gives way in vain, or to its like", () => {
  const line = new WaitingLine();
  for (const [sequence, worth] of [0, 0, 1].entries()) line.add(run(sequence, worth, 10));
  expect(line.makeRoom(21, 1)).toEqual([]);
  expect(line.makeRoom(1, 0)).toEqual([]);
  expect(line.length).toBe(3);
});

test("it agrees with a list that is searched each time", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("add" as const),
      worth: fc.integer({ min: -1, max: 2 }),
      size: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ kind: fc.constant("next" as const) }),
    fc.record({
      kind: fc.constant("room" as const),
      worth: fc.integer({ min: -1, max: 3 }),
      bytes: fc.integer({ min: 1, max: 30 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const line = new WaitingLine();
      let model: WaitingRun[] = [];
      for (const [sequence, one] of steps.entries()) {
        if (one.kind === "add") {
          const added = run(sequence, one.worth, one.size);
          line.add(added);
          model.push(added);
        } else if (one.kind === "next") {
          expect(line.next()).toBe(model.shift());
        } else {
          const lesser = model.filter(({ worth }) => worth < one.worth);
          const enough = lesser.reduce((sum, { recording }) => sum + recording.size, 0) >= one.bytes;
          const expected: WaitingRun[] = [];
          let freed = 0;
          for (const candidate of lesser.sort((a, b) => a.worth - b.worth || b.sequence - a.sequence)) {
            if (!enough || freed >= one.bytes) break;
            freed += candidate.recording.size;
            expected.push(candidate);
          }
          expect(line.makeRoom(one.bytes, one.worth)).toEqual(expected);
          model = model.filter((candidate) => !expected.includes(candidate));
        }
        expect([line.length, line.first]).toEqual([model.length, model[0]]);
      }
    }),
  );
});

test("a long line that is never empty lets go of what has left it", () => {
  const line = new WaitingLine();
  let sequence = 0;
  for (; sequence < 2_000; sequence++) line.add(run(sequence, 0, 1));
  for (let round = 0; round < 20_000; round++) {
    expect(line.next()?.sequence).toBe(round);
    line.add(run(sequence++, 0, 1));
  }
  expect(line.length).toBe(2_000);
});
