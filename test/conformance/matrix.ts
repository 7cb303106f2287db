/**
 * What a wrapper of functions is held to: in every case the wrapped function must do as the bare one does,
 * played side by side. It knows nothing of this library.
 *
 * Invariants
 * 1. A case is played with the bare function and with the wrapped one; all that was noted must be the same.
 * 2. What is different by design is named, by case and by note, with the reason; a difference that is
 *    named and is not found fails as one that is found and not named.
 */
import { isDeepStrictEqual, inspect } from "node:util";
import { atOnce, promised, promises, type Outcome, throwsAtOnce } from "./outcomes.js";
import { particularCases } from "./particular-cases.js";
import { noteFunction, type Shape, shapes } from "./shapes.js";
import { streams } from "./streams.js";
import { attempt, type Case, type Notes, play, type Wrap } from "./trial.js";

export interface Wrapper {
  readonly name: string;
  readonly wrap: Wrap;
  /** What a case is played in. */
  readonly around?: (body: () => Promise<void>) => Promise<void>;
  readonly differences: readonly Difference[];
}

/** What is different by design. */
export interface Difference {
  readonly note: string;
  readonly callable?: RegExp;
  readonly ending?: RegExp;
  readonly reason: string;
}

/** What came of a case. */
export interface Cell {
  readonly one: Case;
  /** Notes that are not the same, and not said to be. */
  readonly mismatches: readonly string[];
  readonly excused: readonly Difference[];
}

const bare: Wrap = (body) => body;
const bareNotes = new WeakMap<Case, Promise<Notes>>();

/** Plays a case with the bare function, once, and with the wrapped one. */
export async function examine(one: Case, wrapper: Wrapper): Promise<Cell> {
  if (!bareNotes.has(one)) bareNotes.set(one, play(one, bare));
  const expected = (await bareNotes.get(one)) as Notes;
  let actual: Notes = new Map();
  const body = async (): Promise<void> => {
    actual = await play(one, wrapper.wrap);
  };
  await (wrapper.around === undefined ? body() : wrapper.around(body));
  const excused: Difference[] = [];
  const mismatches: string[] = [];
  for (const note of new Set([...expected.keys(), ...actual.keys()])) {
    if (isDeepStrictEqual(expected.get(note), actual.get(note))) continue;
    const difference = wrapper.differences.find((candidate) => applies(candidate, one, note));
    if (difference !== undefined) excused.push(difference);
    else mismatches.push(`${note}: ${shown(expected.get(note))}, wrapped ${shown(actual.get(note))}`);
  }
  return { one, mismatches, excused };
}

function applies({ note, callable, ending }: Difference, one: Case, found: string): boolean {
  return note === found && callable?.test(one.callable) !== false && ending?.test(one.ending) !== false;
}

function shown(finding: unknown): string {
  return inspect(finding, { breakLength: Infinity, maxArrayLength: 40, depth: 3 });
}

/** A case of each outcome, called in that shape. */
function casesOf(shape: Shape, callable: string, outcomes: readonly Outcome[]): Case[] {
  return outcomes.map(({ ending, open = false, prepare }) => ({
    callable,
    ending,
    open,
    async play(trial) {
      const first = Object.freeze({ first: true });
      const second = { second: true };
      const { input = [], body, use } = prepare(trial);
      const held = shape.hold((self, got) => {
        trial.log("called");
        trial.note("this", Object.is(self, held.self));
        trial.note("arguments", [
          got.length,
          Object.is(got[0], first),
          Object.is(got[1], second),
          ...input.map((value, index) => Object.is(got[index + 2], value)),
        ]);
        return body(first, second, ...(got.length > 2 ? got.slice(2) : input));
      }, trial);
      noteFunction(held, trial);
      const ended = attempt(() => held.call(first, second, ...input));
      trial.log("returned");
      await use(ended);
      trial.note("arguments afterwards", [JSON.stringify(first), JSON.stringify(second)]);
    },
  }));
}

const [plain] = shapes as readonly [Shape, ...Shape[]];
const shortPromises = promised(promises[0] as (typeof promises)[0]).filter(({ ending }) =>
  /^(resolves later|rejects with (an Error|undefined)|never)/.test(ending),
);
const shortStreams = (streams.find(({ name }) => name === "async generator")?.outcomes ?? []).filter(
  ({ ending }) => /^(read to its end|left after one item|thrown into)$/.test(ending),
);

/** All cases: in each shape the outcomes at which shapes can differ, and every outcome in the plainest one. */
export function casesOfMatrix(): readonly Case[] {
  return [
    ...shapes.flatMap((shape) => casesOf(shape, shape.name, atOnce)),
    ...shapes.flatMap((shape) => casesOf(shape, `${shape.name}, asynchronous`, shortPromises)),
    ...shapes.flatMap((shape) => casesOf(shape, `${shape.name}, async generator`, shortStreams)),
    ...promises.flatMap((promising) =>
      casesOf(plain, promising.name, [...promised(promising), throwsAtOnce]),
    ),
    ...streams.flatMap(({ name, outcomes }) => casesOf(plain, name, outcomes)),
    ...particularCases,
  ];
}

/** A table of what holds: a row for each callable, a column for each wrapper, `holds/cases` where not all do. */
export function renderTable(columns: ReadonlyMap<string, readonly Cell[]>): string {
  const names = [...columns.keys()];
  const callables = [
    ...new Set([...columns.values()].flatMap((cells) => cells.map(({ one }) => one.callable))),
  ];
  const rows = callables.map((callable) => [
    callable,
    ...names.map((name) => {
      const cells = (columns.get(name) ?? []).filter(({ one }) => one.callable === callable);
      const holding = cells.filter(({ mismatches }) => mismatches.length === 0).length;
      return holding === cells.length ? String(cells.length) : `${holding}/${cells.length}`;
    }),
  ]);
  const total = names.map((name) => String(columns.get(name)?.length ?? 0));
  const lines = [["cases that hold", ...names], ...rows, ["all", ...total]];
  const widths = (lines[0] ?? []).map((_, index) =>
    Math.max(...lines.map((line) => (line[index] ?? "").length)),
  );
  return lines
    .map((line) =>
      line
        .map((text, index) => (index === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[index] ?? 0)))
        .join("  "),
    )
    .join("\n");
}
