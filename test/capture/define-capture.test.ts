import { EventEmitter } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { hindcast, type Hindcast, type HindcastOptions } from "hindcast";
import { type Capture, type CaptureTools, defineCapture } from "hindcast/capture";
import { httpCapture } from "hindcast/http";
import { readCapsule, replay, type ReplayOptions } from "hindcast/replay";
import { expect, test } from "vitest";

class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`refused: ${code}`);
    this.code = code;
  }
}

/** A driver of every kind: answers at once, in promises, by callbacks and events, and fails in each of them. */
class Client extends EventEmitter {
  asked = 0;

  read(key: string): string {
    this.asked += 1;
    if (key === "bad") throw new Refused("E1");
    return `${key}=${Math.random()}`;
  }

  async query(key: string): Promise<string> {
    this.asked += 1;
    await wait(1 + Math.random() * 3);
    if (key === "bad") throw new Refused("E2");
    return `${key}=${Math.random()}`;
  }

  get(key: string, callback: (error: unknown, value?: string) => void): void {
    this.asked += 1;
    setTimeout(
      () => {
        if (key === "bad") callback(new Refused("E3"));
        else callback(null, `${key}=${Math.random()}`);
      },
      1 + Math.random() * 3,
    );
  }

  subscribe(count: number): void {
    this.asked += 1;
    let told = 0;
    const tick = setInterval(() => {
      this.emit("message", told);
      told += 1;
      if (told === count) clearInterval(tick);
    }, 1);
  }
}

const recordError = { error: ({ code, message }: Refused) => Object.assign(new Error(message), { code }) };
const reviveError = { error: ({ code }: { code: string }) => new Refused(code) };
const conversions = { record: recordError, revive: reviveError };

const MODULE = { Client };

function clientCapture(module = MODULE): Capture {
  return defineCapture({
    name: "client",
    target: module,
    patch: ({ run, method, inside }) => [
      method(
        module.Client.prototype,
        "read",
        (original) =>
          function (this: unknown, ...input: unknown[]) {
            const perform = (): unknown => original.apply(this, input);
            return run()?.effect({ name: "read", input, ...conversions }, perform) ?? perform();
          },
      ),
      method(
        module.Client.prototype,
        "query",
        (original) =>
          function (this: unknown, ...input: unknown[]) {
            const current = run();
            const perform = (): Promise<unknown> => original.apply(this, input) as Promise<unknown>;
            if (current === undefined) return perform();
            return current.promise({ name: "query", input, ...conversions }, (arrive) => {
              perform().then(
                (value) => arrive({ status: "ok", value }),
                (error: unknown) => arrive({ status: "error", error }),
              );
            });
          },
      ),
      method(
        module.Client.prototype,
        "get",
        (original) =>
          function (this: unknown, key: string, callback: unknown) {
            const current = run();
            if (current === undefined) return original.call(this, key, callback);
            current.start(
              { name: "get", input: [key], ...conversions },
              (arrive) => {
                original.call(this, key, (error: unknown, value: unknown) =>
                  arrive(error ? { status: "error", error } : { status: "ok", value }),
                );
              },
              (outcome) => {
                const call = callback as (error: unknown, value?: unknown) => void;
                if (outcome.status === "error") call(outcome.error);
                else call(null, outcome.value);
              },
            );
            return undefined;
          },
      ),
      method(
        module.Client.prototype,
        "subscribe",
        (original) =>
          function (this: unknown, count: number) {
            const current = run();
            if (current === undefined) return original.call(this, count);
            const emit = EventEmitter.prototype.emit.bind(this as EventEmitter);
            const own = { value: undefined as unknown };
            current.follow<number>(
              { name: "message", input: [count] },
              (tell) => {
                own.value = tell;
                Object.assign(this as object, {
                  emit: (event: string, value: number) => {
                    tell(value);
                    return event === "message";
                  },
                });
                inside(() => original.call(this, count));
              },
              (value) => {
                emit("message", value);
                return value === count - 1;
              },
            );
            return undefined;
          },
      ),
    ],
  });
}

function instance(options: Partial<HindcastOptions> = {}): Hindcast {
  return hindcast({ service: "captures", logger: { warn: () => undefined }, ...options });
}

async function verdicts(
  hc: Hindcast,
  entry: (...input: never[]) => unknown,
  options?: ReplayOptions,
): Promise<unknown[]> {
  await hc.flush();
  const found: unknown[] = [];
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry, { timeout: "3s", ...options });
    found.push([readCapsule(stored).replayable.exact, result.verdict]);
  }
  return found;
}

function program(client: Client): (key: string) => Promise<unknown> {
  const got = (key: string): Promise<unknown> =>
    new Promise((resolve) =>
      client.get(key, (error, value) => resolve(error instanceof Refused ? error.code : value)),
    );
  const caught = async (body: () => unknown): Promise<unknown> => {
    try {
      return await body();
    } catch (error) {
      return [error instanceof Refused, (error as Refused).code];
    }
  };
  return async (key) => {
    const messages: unknown[] = [];
    const subscribed = new Promise<void>((resolve) => {
      client.on("message", (message: number) => {
        messages.push(message, client.listenerCount("message"));
        if (messages.length === 6) resolve();
      });
    });
    client.subscribe(3);
    const first = await Promise.all([
      caught(() => client.read(key)),
      caught(() => client.query(key)),
      got(key),
      client.query("b"),
      client.query("c"),
    ]);
    await subscribed;
    client.removeAllListeners();
    return [first, messages, await Promise.race([client.query("d"), client.query("e")])];
  };
}

test.each(["a", "bad"])("G4, G5: results, errors, callbacks and events of a capture (%s)", async (key) => {
  const client = new Client();
  const hc = instance({ capture: { client: clientCapture() } });
  const entry = hc.pipeline({ name: "entry" }, async (...input: [string]) => program(new Client())(...input));
  for (let run = 0; run < 5; run++) await entry(key);
  await hc.flush();
  const asked = client.asked;
  expect(await verdicts(hc, entry)).toEqual(Array.from({ length: 5 }, () => [true, "identical"]));
  expect(client.asked).toBe(asked);
  await hc.close();
});

test("many runs at once, of one client", async () => {
  const client = new Client();
  const hc = instance({ capture: { client: clientCapture() } });
  const entry = hc.pipeline({ name: "entry" }, async (key: string) => [
    await Promise.all([client.query(key), client.query("x")]),
    client.read(key),
  ]);
  await Promise.all(Array.from({ length: 20 }, (_, index) => entry(`key-${index}`)));
  await hc.flush();
  const { asked } = client;
  expect(await verdicts(hc, entry)).toEqual(Array.from({ length: 20 }, () => [true, "identical"]));
  expect(client.asked).toBe(asked);
  await hc.close();
});

test("G6: what a capsule does not hold is refused, and where a program changed is told", async () => {
  const client = new Client();
  const hc = instance({ capture: { client: clientCapture() } });
  let more = false;
  const load = hc.ingest({ name: "load", data: { name: "d", version: "1" } }, async (key: string) => {
    const value = await client.query(key);
    return more ? [value, await client.query("more")] : value;
  });
  const entry = hc.pipeline({ name: "entry" }, (key: string) => load(key));
  await entry("a");
  await hc.flush();
  more = true;
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry);
    expect(result).toMatchObject({ verdict: "diverged", divergence: { stage: "load" } });
    expect(result.outcome).toMatchObject({ status: "error" });
  }
  await hc.close();
});

test("in a what-if another function answers", async () => {
  const client = new Client();
  const hc = instance({ capture: { client: clientCapture() } });
  const entry = hc.pipeline({ name: "entry" }, async (key: string) => [
    client.read(key),
    await client.query(key),
  ]);
  await entry("a");
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const result = await replay(stored, entry, {
      effects: { "client.read": () => "r", "client.query": async (key: string) => `q ${key}` },
    });
    expect(result.outcome).toEqual({ status: "ok", value: ["r", "q a"] });
  }
  await hc.close();
});

test("G1: outside of runs, inside of effects, and where it is not given, the original runs", async () => {
  const methods = Client.prototype as unknown as Record<string, { name: string; length: number }>;
  const { read } = methods;
  const hc = instance({ capture: { client: clientCapture() } });
  const patched = methods["read"];
  expect(patched).not.toBe(read);
  expect([patched?.name, patched?.length]).toEqual([read?.name, read?.length]);
  const other = instance({ capture: { client: clientCapture() } });
  expect(methods["read"]).toBe(patched); // of one module, once
  const client = new Client();
  expect(client.read("a")).toMatch(/^a=/);
  const inEffect = hc.effect({ name: "inEffect" }, () => client.read("b"));
  const entry = hc.pipeline({ name: "entry" }, () => inEffect());
  entry();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    expect(readCapsule(stored).effects.map(({ name }) => name)).toEqual(["inEffect"]);
  }
  await hc.close();
  expect(methods["read"]).toBe(patched);
  await other.close();
  expect(methods["read"]).toBe(read);
});

test("G5: what goes on after its replay reaches nothing", async () => {
  const client = new Client();
  const hc = instance({ capture: { client: clientCapture() } });
  let late: Promise<unknown> | undefined;
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const value = await client.query("a");
    late = wait(5).then(() => client.query("late"));
    return value;
  });
  await entry();
  await late;
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const { asked } = client;
    expect((await replay(stored, entry)).verdict).toBe("identical");
    await wait(20);
    expect(client.asked).toBe(asked);
  }
  await hc.close();
});

test("a preparation that one of two runs did not need is no difference, in either direction", async () => {
  const lazy = {
    connected: false,
    async connect(): Promise<void> {
      await wait(2);
      lazy.connected = true;
    },
    async query(key: string): Promise<string> {
      if (!lazy.connected) throw new Error("not connected");
      return `${key}=${Math.random()}`;
    },
  };
  const begin =
    (name: string, otherwise?: () => unknown) =>
    (original: (...input: unknown[]) => unknown, run: CaptureTools["run"]) =>
    (...input: unknown[]): unknown =>
      run()?.promise({ name, input, ...(otherwise && { otherwise }) }, (arrive) => {
        (original(...input) as Promise<unknown>).then(
          (value) => arrive({ status: "ok", value }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      }) ?? original(...input);
  const capture = defineCapture({
    name: "lazy",
    target: lazy,
    preparations: ["connect"],
    patch: ({ run, method }) => [
      method(lazy, "connect", (original) => begin("connect", () => undefined)(original, run)),
      method(lazy, "query", (original) => begin("query")(original, run)),
    ],
  });
  const hc = instance({ capture: { lazy: capture } });
  let connecting: Promise<void> | undefined;
  const entry = hc.pipeline({ name: "entry" }, async (key: string) => {
    connecting ??= lazy.connect();
    await connecting;
    return Promise.all([lazy.query(key), lazy.query("b")]);
  });
  await entry("cold");
  await entry("warm");
  await hc.flush();
  const recorded: string[][] = [];
  for await (const stored of hc.store.find()) {
    recorded.push(readCapsule(stored).effects.map(({ name }) => name));
    for (const isCold of [false, true]) {
      connecting = isCold ? undefined : Promise.resolve();
      expect(await replay(stored, entry)).toMatchObject({ verdict: "identical" });
    }
  }
  expect(recorded.map((names) => names.length).toSorted((a, b) => a - b)).toEqual([2, 3]);
  await hc.close();
});

test("a wrong capture is told", () => {
  const capture = (given: object): (() => void) => {
    return () => void instance({ capture: given as never });
  };
  expect(capture({ pg: clientCapture() })).toThrow(
    'hindcast({ capture: { pg } }) is given the capture "client": give it under its own name, { client: … }.',
  );
  expect(capture({ pg: true })).toThrow(
    "hindcast({ capture: { pg } }): give pgCapture(…) of hindcast/pg, or false.",
  );
  expect(capture({ http: {} })).toThrow("give httpCapture(…) of hindcast/http, or false");
  expect(capture({ fecth: false })).toThrow('has no source "fecth"');
  expect(capture({ fetch: httpCapture() })).toThrow("hindcast({ capture: { fetch } }): give true or false");
  expect(() => defineCapture({ name: "", patch: () => [] })).toThrow("give a name and a function");
});
