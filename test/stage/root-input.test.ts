/** What a root is called with and is not over when the call begins: signals and streams. */
import { getEventListeners } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

const settle = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: String(error) }),
  );

describe("a signal", () => {
  const aborted = (signal: AbortSignal): Promise<unknown> =>
    new Promise((done) => signal.addEventListener("abort", () => done(signal.reason)));

  test("G4: its abort is an entry of the order, and comes where it came", async () => {
    const hc = hindcast({ service: "root" });
    const load = hc.effect({ name: "load" }, (index: number) => wait(2, index));
    let seen: unknown[] = [];
    const entry = hc.pipeline({ name: "entry" }, async (signal: AbortSignal) => {
      seen = [];
      const reason = aborted(signal).then((why) => seen.push(why));
      for (let index = 0; !signal.aborted; index++) seen.push(await load(index));
      await reason;
      return seen;
    });
    const controller = new AbortController();
    setTimeout(() => controller.abort("enough"), 9);
    const recorded = [...(await entry(controller.signal))];
    expect(recorded).toContain("enough");
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.replayable.exact).toBe(true);
    expect(effectsOf(capsule).filter(({ name }) => name === "AbortSignal.abort")).toHaveLength(1);
    const [stored] = await storedBy(hc);
    const result = await replay(stored!, entry);
    expect(explain(result)).toMatch(/^verdict {3}identical/);
    expect(seen).toEqual(recorded);
    await hc.close();
  });

  test("in an options object, and one that never aborts, and one that has", async () => {
    const hc = hindcast({ service: "root" });
    const entry = hc.pipeline({ name: "entry" }, async (options: { signal: AbortSignal; other: string }) => {
      await wait(3);
      return [
        options.signal instanceof AbortSignal,
        options.signal.aborted,
        options.signal.reason as unknown,
        options.other,
      ];
    });
    const never = new AbortController();
    const soon = new AbortController();
    const calls = [
      entry({ signal: never.signal, other: "never" }),
      entry({ signal: soon.signal, other: "soon" }),
      entry({ signal: AbortSignal.abort("before"), other: "before" }),
    ];
    soon.abort("at once");
    expect(await Promise.all(calls)).toEqual([
      [true, false, undefined, "never"],
      [true, true, "at once", "soon"],
      [true, true, "before", "before"],
    ]);
    // What the run has left behind might still hold its signal; it does not, so that nothing is held of it.
    for (let round = 0; round < 100 && getEventListeners(never.signal, "abort").length > 0; round++) {
      collectGarbage();
      await wait(2);
    }
    expect(getEventListeners(never.signal, "abort")).toEqual([]);
    await hc.flush();
    for (const stored of await storedBy(hc)) {
      expect(stored.summary.exact).toBe(true);
      expect(explain(await replay(stored, entry))).toMatch(/^verdict {3}identical/);
    }
    await hc.close();
  });

  test("G1: where nothing is recorded the program gets the signal itself", () => {
    const hc = hindcast({ service: "root", keep: [] });
    const entry = hc.pipeline({ name: "entry" }, (signal: AbortSignal) => signal);
    const { signal } = new AbortController();
    expect(entry(signal)).toBe(signal);
  });
});

describe("a stream", () => {
  async function* produce(): AsyncGenerator<string> {
    for (let index = 0; index < 3; index++) {
      await wait(1);
      yield `${index} ${Math.random()}`;
    }
  }
  const kinds: Readonly<Record<string, () => AsyncIterable<unknown>>> = {
    "async generator": produce,
    ReadableStream: () => {
      const source = produce();
      return new ReadableStream({
        async pull(controller) {
          const { done, value } = await source.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
      });
    },
    "Node Readable": () => Readable.from(produce()),
    "async iterable": () => ({ [Symbol.asyncIterator]: produce }),
  };
  test.each(Object.entries(kinds))("G4: %s", async (_kind, make) => {
    const hc = hindcast({ service: "root" });
    let seen: unknown[] = [];
    const entry = hc.pipeline(
      { name: "entry" },
      async (_name: string, stream: AsyncIterable<unknown>, take: number) => {
        seen = [];
        for await (const item of stream) {
          seen.push(item);
          if (seen.length === take) break;
        }
        return seen.length;
      },
    );
    for (const take of [100, 2])
      expect(await settle(entry("x", make(), take))).toEqual({ value: Math.min(take, 3) });
    await hc.flush();
    for (const stored of await storedBy(hc)) {
      expect(stored.summary.exact).toBe(true);
      expect(explain(await replay(stored, entry))).toMatch(/^verdict {3}identical/);
    }
    await hc.close();
  });
});

test("G1: a request that a server has got stays itself", async () => {
  const hc = hindcast({ service: "root", logger: { warn: () => undefined } });
  const handle = hc.pipeline({ name: "handle" }, async (request: IncomingMessage) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    return { request, body, complete: request.complete };
  });
  const server = createServer((request, response) => {
    handle(request).then(
      (seen) => response.end(JSON.stringify([seen.request === request, seen.body, seen.complete])),
      (error: unknown) => response.destroy(error as Error),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = await fetch(url, { method: "POST", body: "sent" });
  expect(await answer.json()).toEqual([true, "sent", true]);
  expect((await onlyCapsuleOf(hc)).replayable.exact).toBe(true);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await hc.close();
});

test("G4: a promise that a root is called with, alone or as `params`, settles in its turn", async () => {
  const hc = hindcast({ service: "root" });
  type Context = { readonly params: Promise<{ readonly id: number }>; readonly name: string };
  const entry = hc.pipeline({ name: "entry" }, async (context: Context, other: Promise<string>) => {
    const failed = other.catch((error: unknown) => (error as Error).message);
    return [(await context.params).id, context.name, await failed];
  });
  const later = (): Promise<{ id: number }> =>
    new Promise((resolve) => setTimeout(() => resolve({ id: 7 }), 2));
  const values = [
    await entry({ params: later(), name: "a" }, Promise.resolve("came")),
    await entry({ params: Promise.resolve({ id: 8 }), name: "b" }, Promise.reject(new RangeError("failed"))),
  ];
  expect(values).toEqual([
    [7, "a", "came"],
    [8, "b", "failed"],
  ]);
  for (const stored of await storedBy(hc)) {
    expect(readCapsule(stored).replayable).toEqual({ exact: true, reasons: [] });
    const result = await replay(stored, entry);
    expect(result.verdict, explain(result)).toBe("identical");
    expect(result.outcome).toEqual(result.recorded);
  }
  await hc.close();
});
