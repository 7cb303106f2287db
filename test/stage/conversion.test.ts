/** `record` and `revive`: values that are no plain data, recorded as such and made again. */
import { type Failure, hindcast, memoryStore, type StoredCapsule } from "hindcast";
import { inputOf, outcomeOf, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";

class Tensor {
  readonly #data: Float32Array;
  constructor(data: Float32Array) {
    this.#data = data;
  }
  get data(): Float32Array {
    return this.#data;
  }
}
const toData = (tensor: Tensor): Float32Array => tensor.data;
const toTensor = (data: Float32Array): Tensor => new Tensor(data);
const sum = (tensor: Tensor): number => tensor.data.reduce((total, number) => total + number, 0);

function make() {
  const failures: Failure[] = [];
  const hc = hindcast({
    service: "test",
    store: memoryStore(),
    onError: (failure) => failures.push(failure),
  });
  const capsule = async (): Promise<StoredCapsule> => {
    await hc.flush();
    for await (const stored of hc.store.find()) return stored;
    throw new Error("nothing was kept");
  };
  return { hc, capsule, failures };
}

describe("G4: what is no plain data", () => {
  test("is recorded as data, and made again: the root's input, a stage's and an effect's result", async () => {
    const { hc, capsule } = make();
    const load = hc.effect(
      { name: "load", record: { output: toData }, revive: { output: toTensor } },
      async (size: number) => new Tensor(new Float32Array(size).fill(0.5)),
    );
    const read = hc.effect(
      { name: "read", record: { output: toData }, revive: { output: toTensor } },
      () => new Tensor(new Float32Array([0.25])),
    );
    const scale = hc.infer(
      {
        name: "scale",
        model: { name: "scale", version: "1" },
        record: { input: (one: Tensor, by: number) => [one.data, by], output: toData },
        revive: { output: toTensor },
      },
      async (one: Tensor, by: number) => new Tensor(one.data.map((number) => number * by)),
    );
    const score = hc.pipeline(
      {
        name: "score",
        record: { input: (tensor: Tensor) => [tensor.data] },
        revive: { input: (data: Float32Array) => [toTensor(data)] },
      },
      async (tensor: Tensor) => sum(tensor) + sum(await scale(await load(3), 4)) + sum(read()),
    );
    expect(await score(new Tensor(new Float32Array([1, 2])))).toBe(9.25);
    const stored = await capsule();
    const result = await replay(stored, score);
    expect(result.verdict).toBe("identical");
    expect(inputOf(result.replayed)).toEqual([new Float32Array([1, 2])]);
    const recorded = await replay(stored, score, { stages: { scale: "recorded" } });
    expect([recorded.verdict, recorded.outcome]).toEqual(["identical", { status: "ok", value: 9.25 }]);
    expect(result.replayed.replayable).toEqual({ exact: true, reasons: [] });
  });

  test("may be a stream or a Response, which is then recorded as it is converted, and not as it is read", async () => {
    const { hc, capsule } = make();
    class Rows {
      readonly #rows: readonly number[];
      constructor(rows: readonly number[]) {
        this.#rows = rows;
      }
      get all(): readonly number[] {
        return this.#rows;
      }
      async *[Symbol.asyncIterator]() {
        yield* this.#rows;
      }
    }
    const conversions = {
      record: { output: (rows: Rows) => rows.all },
      revive: { output: (rows: number[]) => new Rows(rows) },
    };
    const query = hc.effect({ name: "query", ...conversions }, async () => new Rows([1, 2]));
    const double = hc.tool({ name: "double", ...conversions }, async (rows: Rows) => {
      return new Rows(rows.all.map((row) => 2 * row));
    });
    const total = hc.pipeline(
      {
        name: "total",
        record: { input: (rows: Rows) => [rows.all] },
        revive: { input: (rows: number[]) => [new Rows(rows)] },
      },
      async (rows: Rows) => {
        let sum = 0;
        for (const each of [rows, await query(), await double(rows)])
          for await (const row of each) sum += row;
        return sum;
      },
    );
    expect(await total(new Rows([10]))).toBe(33);
    const stored = await capsule();
    for (const stages of [{}, { double: "recorded" }] as const) {
      const { verdict, outcome, replayed } = await replay(stored, total, { stages });
      expect([verdict, outcome]).toEqual(["identical", { status: "ok", value: 33 }]);
      expect(replayed.effects.map(({ name }) => name)).toEqual(["query"]);
    }
  });

  test("is not looked at where nothing is recorded", () => {
    const hc = hindcast({ service: "test", keep: [] });
    const explode = (): never => {
      throw new Error("called");
    };
    const stage = hc.tool({ name: "stage", record: { input: explode, output: explode } }, (n: number) => n);
    expect(stage(3)).toBe(3);
  });

  test("is converted outside of the program: what a record function reads is no effect", async () => {
    const { hc, capsule } = make();
    const stage = hc.pipeline(
      { name: "p", record: { output: () => [Date.now(), Math.random() < 2] } },
      () => 1,
    );
    stage();
    const { replayed } = await replay(await capsule(), stage);
    expect(replayed.effects).toEqual([]);
  });
});

describe("G2: a record or revive that throws", () => {
  test("never reaches the caller: it is counted, and the value recorded as without", async () => {
    const { hc, capsule, failures } = make();
    const explode = (): never => {
      throw new TypeError("no conversion");
    };
    const effect = hc.effect({ name: "effect", record: { output: explode } }, async () => 2);
    const stage = hc.pipeline(
      { name: "p", record: { input: () => "no list" as never, output: explode } },
      async (n: number) => n + (await effect()),
    );
    expect(await stage(1)).toBe(3);
    expect(hc.stats().failures.conversion).toBe(3);
    expect(failures.map(({ source }) => source)).toEqual(["conversion"]);
    const stored = await capsule();
    const { replayed, verdict } = await replay(stored, stage);
    expect(verdict).toBe("identical");
    expect([inputOf(replayed), outcomeOf(replayed)]).toEqual([[1], { status: "ok", value: 3 }]);
  });

  test("in a replay is counted, and the data given as it is recorded", async () => {
    const { hc, capsule } = make();
    const revive = (): never => {
      throw new TypeError("no conversion");
    };
    const stage = hc.pipeline({ name: "p", revive: { input: revive } }, (n: number) => n);
    stage(1);
    expect((await replay(await capsule(), stage)).verdict).toBe("identical");
    expect(hc.stats().failures.conversion).toBe(1);
  });

  test.each([5, null, {}, { input: 5 }, { output: () => 1, other: () => 1 }])(
    "that is none is refused at once: %o",
    (record) => {
      const { hc } = make();
      expect(() => hc.tool({ name: "stage", record: record as never }, () => 1)).toThrow(/record of "stage"/);
      expect(() => hc.effect({ name: "e", record: record as never }, () => 1)).toThrow(
        /record of effect "e"/,
      );
    },
  );
});
