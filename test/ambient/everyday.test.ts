import { AsyncLocalStorage } from "node:async_hooks";
import { randomInt } from "node:crypto";
import { EventEmitter, on, once } from "node:events";
import { createServer, get, Agent } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { PassThrough, Readable, Transform } from "node:stream";
import { finished, pipeline as pipeStreams } from "node:stream/promises";
import {
  scheduler,
  setImmediate as waitImmediate,
  setInterval as every,
  setTimeout as wait,
} from "node:timers/promises";
import { promisify } from "node:util";
import { MessageChannel } from "node:worker_threads";
import { hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterAll, describe, expect, test } from "vitest";

const server = createServer((_request, response) => void setTimeout(() => response.end("answer"), 1));
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address() as AddressInfo;
const agent = new Agent({ keepAlive: true, maxSockets: 2 });
afterAll(() => {
  agent.destroy();
  server.close();
});

const ask = (): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", agent }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += String(chunk))).on("end", () => resolve(text));
    }).on("error", reject);
  });

async function collect(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(typeof item === "string" ? item : String(item));
  return items;
}

/** A scheduler as React has one: work is done in the macrotask of a message to itself. */
class MessageScheduler {
  readonly #channel = new MessageChannel();
  readonly #work: (() => void)[] = [];

  constructor() {
    this.#channel.port1.on("message", () => this.#work.shift()?.());
    this.#channel.port1.unref();
  }

  schedule(work: () => void): void {
    this.#work.push(work);
    this.#channel.port2.postMessage(null);
  }

  close(): void {
    this.#channel.port1.close();
  }
}

type Body = (see: (what: unknown) => void) => unknown;

const EVERYDAY: Readonly<Record<string, Body>> = {
  "scheduler.yield": async (see) => {
    for (let count = 0; count < 3; count++) {
      await scheduler.yield();
      see(count);
    }
  },
  "scheduler.wait": () => scheduler.wait(2),
  "the interval iterator of timers/promises": async (see) => {
    let ticks = 0;
    for await (const value of every(2, "tick")) {
      see(value);
      ticks += 1;
      if (ticks === 3) break;
    }
  },
  "an interval iterator that is aborted": async (see) => {
    const controller = new AbortController();
    try {
      for await (const value of every(1, "tick", { signal: controller.signal })) {
        see(value);
        controller.abort();
      }
    } catch (error) {
      return (error as Error).name;
    }
    return "not aborted";
  },
  "an interval iterator of a slow reader": async (see) => {
    let ticks = 0;
    for await (const value of every(1, "tick")) {
      await wait(4);
      see(value);
      if (++ticks === 2) break;
    }
  },
  "timers/promises.setImmediate": async (see) => see(await waitImmediate("value")),
  "a timer that is aborted": async () => {
    const controller = new AbortController();
    const waiting = wait(50, "value", { signal: controller.signal }).catch((error: Error) => error.name);
    await wait(1);
    controller.abort();
    return waiting;
  },
  "randomInt with a callback": async (see) => {
    for (let count = 0; count < 3; count++) see(await promisify<number, number>(randomInt)(1_000));
  },
  "Readable.from over timers": () =>
    collect(
      Readable.from(
        (async function* () {
          for (let count = 0; count < 3; count++) yield `${await wait(1, count)}`;
        })(),
      ),
    ),
  "streams of the program's own": async () => {
    const upper = new Transform({
      transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()),
    });
    const end = new PassThrough();
    const [items] = await Promise.all([collect(end), pipeStreams(Readable.from(["a", "b"]), upper, end)]);
    const sink = new PassThrough().resume().end("x");
    await finished(sink);
    return items;
  },
  "web streams of the program's own": async () => {
    const { readable, writable } = new TransformStream<string, string>();
    const writer = writable.getWriter();
    void writer.write("a").then(() => writer.close());
    return collect(readable);
  },
  "a scheduler on a MessageChannel": async (see) => {
    const messages = new MessageScheduler();
    await new Promise<void>((done) => {
      messages.schedule(() => see("first"));
      messages.schedule(() => {
        see("second");
        messages.schedule(() => done(see("third")));
      });
    });
    messages.close();
  },
  "a MessageChannel of the web's kind": async () => {
    const { port1, port2 } = new globalThis.MessageChannel();
    const answer = await new Promise((resolve) => {
      Object.assign(port1, { onmessage: ({ data }: { data: unknown }) => resolve(data) });
      port2.postMessage({ nested: [1, 2] });
    });
    port1.close();
    return answer;
  },
  "queueMicrotask and process.nextTick": (see) =>
    new Promise<void>((done) => {
      queueMicrotask(() => see("microtask"));
      process.nextTick(() => done(see("tick")));
    }),
  "AbortSignal.any": async () => {
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(3)]);
    await once(signal as never, "abort");
    return String(signal.reason);
  },
  "structuredClone, events and EventEmitter.on": async () => {
    const emitter = new EventEmitter();
    setTimeout(() => emitter.emit("item", structuredClone({ deep: [1] })), 1);
    for await (const [item] of on(emitter, "item")) return item as unknown;
    return undefined;
  },
  "metrics of the process": async () => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    process.memoryUsage();
    process.cpuUsage();
    process.resourceUsage();
    performance.eventLoopUtilization();
    performance.mark("mark");
    await wait(3);
    delay.disable();
  },
  console: async () => {
    console.debug = () => undefined;
    console.debug("line");
    await wait(1);
  },
  "an AsyncLocalStorage of the program's own": (see) =>
    new AsyncLocalStorage<string>().run("store", async () => {
      await wait(1);
      see("in the store");
    }),
  "connections that another run has opened": async () => [
    await ask(),
    ...(await Promise.all([ask(), ask(), ask()])),
  ],
  "FinalizationRegistry and WeakRef": async () => {
    const registry = new FinalizationRegistry(() => undefined);
    registry.register({}, 1);
    await wait(1);
    return new WeakRef({}).deref() !== undefined;
  },
};

describe("G4, G7: what people do every day is no alarm, and is exact", () => {
  const isHere = (name: string): boolean => name !== "AbortSignal.any" || "any" in AbortSignal;
  test.each(Object.entries(EVERYDAY).filter(([name]) => isHere(name)))("%s", async (_name, body) => {
    await using hc = hindcast({
      service: "everyday",
      logger: { warn: () => undefined },
      capture: { http: httpCapture() },
    });
    let seen: string[] = [];
    const load = hc.effect({ name: "load" }, (delay: number) => wait(delay, delay));
    const stage = hc.decide({ name: "stage" }, (value: unknown) => String(JSON.stringify(value)));
    const program = hc.pipeline({ name: "program" }, async () => {
      const mine: string[] = [];
      seen = mine;
      const branch = async (name: string, work: Body): Promise<unknown> => {
        const value = await work((what) => void mine.push(`${name} ${stage(what)}`));
        mine.push(`${name} = ${stage(value)}`);
        return value;
      };
      return Promise.all([
        branch("a", body),
        branch("b", async (see) => [await load(Math.random() * 3), await body(see)]),
        branch("c", () => wait(Math.random() * 4)),
        branch("d", async (see) => [await body(see), await load(1)]),
      ]);
    });
    const orders = new Set<string>();
    for (let count = 0; count < 3; count++) {
      await program();
      orders.add(JSON.stringify(seen));
    }
    await Promise.all(Array.from({ length: 5 }, () => program()));
    await hc.flush();
    let count = 0;
    for await (const stored of hc.store.find({ pipeline: "program" })) {
      count += 1;
      expect(readCapsule(stored).replayable.reasons).toEqual([]);
      const result = await replay(stored, program);
      expect(result.verdict, explain(result)).toBe("identical");
      orders.delete(JSON.stringify(seen));
    }
    expect([count, orders.size]).toEqual([8, 0]);
  });
});

describe("messages to oneself", () => {
  test("a port gets its messages in the order in which they were sent, by runs and by others", async () => {
    const logger = { warn: () => undefined };
    await using hc = hindcast({ service: "everyday", logger });
    const { port1, port2 } = new MessageChannel();
    const sent: number[] = [];
    const got: number[] = [];
    const all = new Promise<void>((done) => {
      port1.on("message", (message: number) => {
        got.push(message);
        if (got.length === 30) done();
      });
    });
    const send = (): void => {
      sent.push(sent.length);
      port2.postMessage(sent.length - 1);
    };
    const program = hc.pipeline({ name: "program" }, async () => {
      for (let count = 0; count < 5; count++) {
        send();
        await wait(Math.random() * 3);
      }
    });
    const runs = [program(), program(), program()];
    for (let count = 0; count < 15; count++) {
      send();
      await wait(Math.random() * 2);
    }
    await Promise.all([...runs, all]);
    port1.close();
    expect(got).toEqual(sent);
  });

  test("a message that waits when its run has ended comes", async () => {
    await using hc = hindcast({ service: "everyday" });
    const { port1, port2 } = new MessageChannel();
    const got: unknown[] = [];
    port1.on("message", (message) => got.push(message));
    const program = hc.pipeline({ name: "program" }, async () => port2.postMessage("from a run"));
    await program();
    await hc.flush();
    for await (const stored of hc.store.find())
      expect((await replay(stored, program)).verdict).toBe("identical");
    port2.postMessage("from nobody");
    await wait(10);
    port1.close();
    expect(got).toEqual(["from a run", "from a run", "from nobody"]);
  });

  test("a listener that throws keeps no message from coming", async () => {
    await using hc = hindcast({ service: "everyday" });
    const { port1, port2 } = new MessageChannel();
    const got: unknown[] = [];
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error));
    port1.on("message", (message) => {
      got.push(message);
      if (message === 0) throw new Error("of the listener");
    });
    try {
      await hc.pipeline({ name: "program" }, async () => {
        for (let message = 0; message < 3; message++) port2.postMessage(message);
        await wait(5);
      })();
      for (let message = 3; message < 6; message++) port2.postMessage(message);
      await wait(20);
    } finally {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
      port1.close();
    }
    expect(got).toEqual([0, 1, 2, 3, 4, 5]);
    expect(thrown).toHaveLength(1);
  });

  test("the class is what it was, and is put back", async () => {
    const before = [MessageChannel, globalThis.MessageChannel];
    const hc = hindcast({ service: "everyday" });
    const channel = new globalThis.MessageChannel();
    expect(channel).toBeInstanceOf(globalThis.MessageChannel);
    expect(globalThis.MessageChannel.name).toBe("MessageChannel");
    channel.port1.close();
    await hc.close();
    expect([MessageChannel, globalThis.MessageChannel]).toEqual(before);
  });
});
