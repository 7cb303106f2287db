import { promisify } from "node:util";
import { hindcast, memoryStore } from "hindcast";
import { describe, expect, test } from "vitest";
import { callsOf, onlyCapsuleOf } from "../record/recorded.js";

type AnyFunction = (...input: never[]) => unknown;

const hc = hindcast({ service: "wrap", store: memoryStore({ capacity: 10 }) });
const data = { name: "d", version: "1" };
const model = { name: "m", version: "1" };

const wrappers = [
  ["ingest", <F extends AnyFunction>(name: string, body: F): F => hc.ingest({ name, data }, body)],
  ["feature", <F extends AnyFunction>(name: string, body: F): F => hc.feature({ name, data }, body)],
  ["infer", <F extends AnyFunction>(name: string, body: F): F => hc.infer({ name, model }, body)],
  ["decide", <F extends AnyFunction>(name: string, body: F): F => hc.decide({ name }, body)],
  ["tool", <F extends AnyFunction>(name: string, body: F): F => hc.tool({ name }, body)],
  ["agent", <F extends AnyFunction>(name: string, body: F): F => hc.agent({ name }, body)],
  ["pipeline", <F extends AnyFunction>(name: string, body: F): F => hc.pipeline({ name }, body)],
  ["effect", <F extends AnyFunction>(name: string, body: F): F => hc.effect({ name }, body)],
] as const;

describe.each(wrappers)("G1: hc.%s", (_kind, wrap) => {
  test("passes `this` and all arguments, whichever way it is called", () => {
    const body = function (this: unknown, ...input: unknown[]): unknown[] {
      return [this, ...input];
    };
    const owner = { method: wrap("s", body) };
    expect(owner.method(1, "two")).toEqual([owner, 1, "two"]);
    expect(owner.method()[0]).toBe(owner);
    expect(owner.method.call("text", 1)).toEqual(["text", 1]);
    expect(owner.method.apply(undefined, [])).toEqual([undefined]);
    expect(owner.method.bind(7)(undefined)).toEqual([7, undefined]);
  });

  test("keeps name and length, as bare functions have them", () => {
    function three(_a: number, _b: number, _c: number): void {}
    const one = (_a: number, _b = 2, ..._rest: number[]): void => {};
    expect([wrap("other", three).name, wrap("other", three).length]).toEqual(["three", 3]);
    expect([wrap("other", one).name, wrap("other", one).length]).toEqual(["one", 1]);
  });

  test("keeps own properties: symbols, getters, attributes, frozenness of each", () => {
    const key = Symbol("own");
    let reads = 0;
    const body = Object.defineProperties((x: number): number => x, {
      plain: { value: { a: 1 }, enumerable: true, writable: true, configurable: true },
      hidden: { value: 2, enumerable: false, writable: false, configurable: false },
      counted: { get: () => ++reads, enumerable: true, configurable: true },
      [key]: { value: "symbol", enumerable: true },
    });
    const wrapped = wrap("s", body);
    expect(reads).toBe(0);
    const { prototype: _, ...own }: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(wrapped);
    expect(own).toEqual(Object.getOwnPropertyDescriptors(body));
    expect(Reflect.get(wrapped, key)).toBe("symbol");
    expect(
      wrap(
        "s",
        Object.freeze(() => 5),
      )(),
    ).toBe(5);
  });

  test("has no property that the bare function has not", () => {
    const arrow = (): number => 1;
    const later = async (): Promise<number> => 1;
    expect(Reflect.ownKeys(wrap("s", arrow))).toEqual(Reflect.ownKeys(arrow));
    expect(Reflect.ownKeys(wrap("s", later))).toEqual(Reflect.ownKeys(later));
  });

  test("an async function stays recognisable as one, as frameworks that look for it need", () => {
    const later = async (): Promise<number> => 1;
    const wrapped = wrap("s", later);
    expect(Object.getPrototypeOf(wrapped)).toBe(Object.getPrototypeOf(later));
    expect(wrapped.constructor.name).toBe("AsyncFunction");
  });

  test("sync stays sync, and gives the very value", () => {
    const value = Object.freeze({ a: 1 });
    expect(wrap("s", () => value)()).toBe(value);
    expect(wrap("s", () => undefined)()).toBeUndefined();
  });

  test("a promise stays one, and gives the very value", async () => {
    const value = Object.freeze({ a: 1 });
    const promise = wrap("s", async () => value)();
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe(value);
  });

  const thrown: readonly (readonly [string, unknown])[] = [
    ["an Error", new TypeError("no")],
    ["a frozen Error", Object.freeze(new Error("frozen"))],
    ["a frozen object", Object.freeze({ status: 404 })],
    ["an Error whose fields throw", hostileError()],
    ["a string", "text"],
    ["a symbol", Symbol("thrown")],
    ["undefined", undefined],
    ["null", null],
    ["NaN", Number.NaN],
    ["a function", () => 1],
    ["a revoked Proxy", revokedProxy()],
  ];

  test.each(thrown)("throws the very value that the function throws: %s", async (_what, value) => {
    const fails = wrap("s", () => {
      throw value;
    });
    const rejects = wrap("s", async () => {
      throw value;
    });
    expect(Object.is(caught(fails), value)).toBe(true);
    let rejected: unknown = "nothing";
    await rejects().catch((error: unknown) => {
      rejected = error;
    });
    expect(Object.is(rejected, value)).toBe(true);
  });

  test("a generator stays lazy, and `return` and `throw` reach it", () => {
    const seen: string[] = [];
    const count = wrap("s", function* (limit: number): Generator<number, string> {
      seen.push("begun");
      try {
        for (let index = 0; index < limit; index++) yield index;
      } catch (error) {
        seen.push(`caught ${String(error)}`);
        yield -1;
      } finally {
        seen.push("finally");
      }
      return "end";
    });
    const iterator = count(5);
    expect(seen).toEqual([]);
    expect(iterator.next()).toEqual({ value: 0, done: false });
    expect(iterator.throw("stop")).toEqual({ value: -1, done: false });
    expect(iterator.return("out")).toEqual({ value: "out", done: true });
    expect(seen).toEqual(["begun", "caught stop", "finally"]);
  });

  test("an async generator stays lazy, and leaving its loop closes it", async () => {
    const seen: string[] = [];
    const count = wrap("s", async function* (): AsyncGenerator<number> {
      seen.push("begun");
      try {
        for (let index = 0; ; index++) yield index;
      } finally {
        seen.push("finally");
      }
    });
    const iterator = count();
    expect(seen).toEqual([]);
    for await (const index of iterator) if (index === 2) break;
    expect(seen).toEqual(["begun", "finally"]);
  });

  test("a stream passes through unread", async () => {
    let pulled = 0;
    const stream = new ReadableStream<number>(
      { pull: (controller) => controller.enqueue(pulled++) },
      { highWaterMark: 0 },
    );
    const got = wrap("s", () => stream)();
    await hc.flush();
    expect(got).toBeInstanceOf(ReadableStream);
    expect([got.locked, pulled]).toEqual([false, 0]);
    const reader = got.getReader();
    expect(await reader.read()).toEqual({ done: false, value: 0 });
    expect(pulled).toBe(1);
    await reader.cancel();
  });

  test("a thenable is awaited as it would be", async () => {
    const thenable = {
      // oxlint-disable-next-line unicorn/no-thenable
      then: (resolve: (value: string) => unknown) => resolve("thenable"),
    };
    expect(await wrap("s", () => thenable)()).toBe("thenable");
  });
});

test("G1: what is thrown is thrown without a look at it", async () => {
  const recorder = hindcast({ service: "wrap" });
  const fail = recorder.tool({ name: "fail" }, () => {
    throw hostileError();
  });
  expect(caught(fail)).toBeInstanceOf(Error);
  const [call] = callsOf(await onlyCapsuleOf(recorder), "fail");
  expect(call?.outcome.status).toBe("error");
});

test("G1: promisify.custom and other well-known symbols still work", async () => {
  const sleep = Object.assign((_delay: number, done: () => void): void => done(), {
    [promisify.custom]: async (_delay: number) => "promised",
  });
  expect(await promisify(hc.tool({ name: "sleep" }, sleep))(1)).toBe("promised");
});

test("G1: a function of sloppy mode, with its own `caller` and `arguments`, is wrapped", () => {
  // oxlint-disable-next-line typescript/no-implied-eval
  const sloppy = new Function("a", "return a + 1") as (a: number) => number;
  expect(hc.tool({ name: "sloppy" }, sloppy)(1)).toBe(2);
});

test("G1: a stage wrapped again is two stages", async () => {
  const recorder = hindcast({ service: "wrap" });
  const inner = recorder.tool({ name: "inner" }, (x: number) => x + 1);
  const outer = recorder.agent({ name: "outer" }, inner);
  expect(outer(1)).toBe(2);
  const capsule = await onlyCapsuleOf(recorder);
  expect(callsOf(capsule, "outer")).toEqual(callsOf(capsule, "inner"));
  expect(capsule.calls).toHaveLength(2);
});

function caught(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("it did not throw");
}

function hostileError(): Error {
  return new Proxy(new Error("hostile"), {
    get() {
      throw new Error("a trap of the thrown value was sprung");
    },
  });
}

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
