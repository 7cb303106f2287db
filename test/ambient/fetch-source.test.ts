/** Exchanges by `fetch` are recorded without being declared, and replayed without a connection. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterEach, describe, expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function instance(options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const hc = hindcast({ service: "fetch", ...options });
  closing.push(() => hc.close());
  return hc;
}

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  closing.push(stop);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

/** Counts what tries to reach the network while `body` runs. */
async function connections(body: () => Promise<unknown>): Promise<number> {
  // oxlint-disable-next-line typescript/unbound-method
  const { connect } = net.Socket.prototype;
  let count = 0;
  net.Socket.prototype.connect = function (this: net.Socket, ...input: Parameters<typeof connect>) {
    count += 1;
    return connect.apply(this, input);
  } as typeof connect;
  try {
    await body();
  } finally {
    net.Socket.prototype.connect = connect;
  }
  return count;
}

/** Runs the program for real, and again from its capsule with the server gone. */
async function recordAndReplay(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  program: (url: string, declared: typeof fetch) => Promise<unknown>,
  options: Parameters<typeof instance>[0] = {},
) {
  const { url, stop } = await serve(answer);
  const hc = instance(options);
  const declared = hc.effect({ name: "declared" }, (...input: Parameters<typeof fetch>) => fetch(...input));
  const entry = hc.pipeline({ name: "entry" }, (address: string) => program(address, declared));
  const outcome = await entry(url);
  await stop();
  await hc.flush();
  const [stored] = await storedBy(hc);
  expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
  const attempts = await connections(async () => {
    const result = await replay(stored!, entry);
    expect(explain(result)).toMatch(/^verdict {3}identical/);
    expect(result.outcome).toEqual({ status: "ok", value: outcome });
  });
  expect(attempts).toBe(0);
  return { outcome, stored: stored! };
}

const said = (error: unknown): unknown[] => [
  String(error),
  (error as { cause?: { code?: string } }).cause?.code,
  error instanceof TypeError,
  error instanceof DOMException,
];

describe("G4, G5: what a program sees of an exchange", () => {
  const answers: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => unknown>> = {
    json: (_request, response) => {
      response.writeHead(201, "Made", {
        "content-type": "application/json",
        "x-drawn": String(Math.random()),
      });
      response.end(JSON.stringify({ drawn: Math.random() }));
    },
    "several cookies": (_request, response) => {
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      response.end("ok");
    },
    "no content": (_request, response) => response.writeHead(204).end(),
    "an error status": (_request, response) => response.writeHead(500).end("down"),
    redirect: (request, response) => {
      if (request.url === "/there") response.end("there");
      else response.writeHead(302, { location: "/there" }).end();
    },
  };
  test.each(Object.entries(answers))("%s", async (_name, answer) => {
    const { outcome } = await recordAndReplay(answer, async (url) => {
      const response = await fetch(`${url}/first`);
      const { ok, status, statusText, redirected, type } = response;
      const place = new URL(response.url).pathname;
      const copy = response.clone();
      return {
        head: { ok, status, statusText, redirected, type, place },
        headers: [...response.headers].filter(([name]) => name !== "date"),
        isResponse: response instanceof Response,
        text: await response.text(),
        copy: [await copy.text(), new URL(copy.url).pathname],
        used: response.bodyUsed,
      };
    });
    expect(outcome).toMatchObject({ isResponse: true });
  });

  const readings: Readonly<Record<string, (response: Response) => Promise<unknown>>> = {
    text: (response) => response.text(),
    json: (response) => response.json(),
    arrayBuffer: async (response) => new Uint8Array(await response.arrayBuffer()),
    blob: async (response) => (await response.blob()).size,
    "a reader": async (response) => {
      const reader = response.body?.getReader();
      return [await reader?.read(), await reader?.read()];
    },
    "a reader with a buffer of its own": async (response) => {
      const reader = response.body?.getReader({ mode: "byob" });
      const { value } = (await reader?.read(new Uint8Array(4))) ?? {};
      return Buffer.from(value ?? []).toString();
    },
    "for await": async (response) => {
      const sizes: number[] = [];
      for await (const chunk of response.body ?? []) sizes.push((chunk as Uint8Array).byteLength);
      return sizes;
    },
    tee: async (response) => {
      const [left, right] = (response.body as ReadableStream).tee();
      return [await new Response(left).text(), await new Response(right).text()];
    },
    pipeThrough: async (response) => {
      const texts = (response.body as ReadableStream).pipeThrough(new TextDecoderStream());
      let text = "";
      for await (const part of texts) text += String(part);
      return text;
    },
    cancel: async (response) => {
      await response.body?.cancel("enough");
      return "cancelled";
    },
    "nothing at all": async (response) => response.status,
  };
  test.each(Object.entries(readings))("its body, read by %s", async (_name, read) => {
    await recordAndReplay(
      async (_request, response) => {
        response.write('{"a":');
        await wait(5);
        response.end(`${Math.random()}}`);
      },
      async (url) => read(await fetch(url)),
    );
  });

  const failures: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => unknown>> =
    {
      "a connection that is dropped": (request) => request.socket.destroy(),
      "an answer that breaks off": async (request, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("some");
        await wait(5);
        request.socket.destroy();
      },
    };
  test.each(Object.entries(failures))("%s", async (_name, answer) => {
    const { outcome } = await recordAndReplay(answer, async (url) => {
      try {
        return await (await fetch(url)).text();
      } catch (error) {
        return said(error);
      }
    });
    expect(outcome).toMatchObject({ 2: true });
  });

  test("nobody there, and addresses that are none", async () => {
    const { outcome } = await recordAndReplay(
      () => undefined,
      async () => {
        const errors: unknown[] = [];
        for (const url of ["http://127.0.0.1:9/", "http://", "nonsense:"]) {
          errors.push(await fetch(url).catch(said));
        }
        return errors;
      },
    );
    expect(outcome).toHaveLength(3);
  });

  test("an abort before the head, and in mid-body", async () => {
    const { outcome } = await recordAndReplay(
      async (request, response) => {
        if (request.url === "/silent") return;
        for (let count = 0; count < 100 && !response.destroyed; count++) {
          response.write(`${count} `);
          await wait(5);
        }
        response.end();
      },
      async (url) => {
        const silent = await fetch(`${url}/silent`, { signal: AbortSignal.timeout(20) }).catch(said);
        const controller = new AbortController();
        const response = await fetch(`${url}/speaking`, { signal: controller.signal });
        let chunks = 0;
        try {
          for await (const _chunk of response.body ?? []) if ((chunks += 1) === 3) controller.abort();
        } catch (error) {
          return [silent, chunks, said(error)];
        }
        return "never";
      },
    );
    const [silent, chunks, speaking] = outcome as [unknown[], number, unknown[]];
    expect([silent[0], chunks, speaking[0]]).toEqual([
      expect.stringContaining("TimeoutError"),
      3,
      expect.stringContaining("AbortError"),
    ]);
  });

  test("an abort when the whole body has arrived: who reads it does not wait for ever", async () => {
    const { outcome } = await recordAndReplay(
      async (_request, response) => {
        response.write("one");
        await wait(5);
        response.end("two");
      },
      async (url) => {
        const controller = new AbortController();
        const response = await fetch(url, { signal: controller.signal });
        const reader = response.body!.getReader();
        const { value } = await reader.read();
        await wait(50);
        const reading = reader.read();
        controller.abort();
        return [value?.byteLength, ...(await reading.then(() => ["read"], said))];
      },
    );
    expect(outcome).toEqual([3, "AbortError: This operation was aborted", undefined, false, true]);
  });

  test("an abort when the whole body has arrived: who begins to read it then does not find it empty", async () => {
    const { outcome } = await recordAndReplay(
      async (_request, response) => {
        response.write("one");
        await wait(5);
        response.end("two");
      },
      async (url) => {
        const seen: unknown[] = [];
        for (const read of [
          (response: Response) => response.text(),
          (response: Response) => response.body!.getReader().read(),
        ]) {
          const controller = new AbortController();
          const response = await fetch(url, { signal: controller.signal });
          await wait(50);
          controller.abort();
          seen.push(await read(response).catch(said));
        }
        return seen;
      },
    );
    const aborted = ["AbortError: This operation was aborted", undefined, false, true];
    expect(outcome).toEqual([aborted, aborted]);
  });

  test.each([
    ["fetch", true],
    ["declared", true],
    ["declared", false],
  ])(
    "an abort when the whole body has arrived, while the response of %s waits for its turn (fetch captured: %s)",
    async (effect, isCaptured) => {
      const { outcome, stored } = await recordAndReplay(
        (_request, response) => {
          response.write("one");
          let rounds = 0;
          const end = (): unknown => ((rounds += 1) < 4 ? setImmediate(end) : response.end("two"));
          setImmediate(end);
          // So that the program's timers are due before the head arrives: the response comes behind them all.
          for (const until = performance.now() + 150; performance.now() < until; );
        },
        async (url, declared) => {
          const controller = new AbortController();
          const exchange = (effect === "fetch" ? fetch : declared)(url, { signal: controller.signal });
          const waiting = Promise.all(Array.from({ length: 20 }, () => wait(100)));
          void waiting.then(() => controller.abort());
          const response = await exchange;
          return [controller.signal.aborted, ...(await response.text().then((text) => [text], said))];
        },
        { capture: { fetch: isCaptured } },
      );
      expect(outcome).toEqual([true, "AbortError: This operation was aborted", undefined, false, true]);
      expect(effectsOf(readCapsule(stored)).at(-1)?.name).toBe(`${effect}.stream`);
    },
  );

  test("which of two answers first, and which attempt succeeds", async () => {
    let attempts = 0;
    await recordAndReplay(
      async (request, response) => {
        await wait(Math.random() * 8);
        attempts += 1;
        if (request.url === "/flaky" && attempts % 3 !== 0) response.writeHead(503).end();
        else response.end(request.url);
      },
      async (url) => {
        const race = await Promise.race(
          ["/a", "/b", "/c"].map(async (path) => (await fetch(url + path)).text()),
        );
        for (let attempt = 0; ; attempt++) {
          const response = await fetch(`${url}/flaky`);
          if (response.ok) return [race, attempt, await response.text()];
          await wait(Math.random() * 3);
        }
      },
    );
  });
});

test("events reach the program one by one as they are sent, and a replay can keep their pace", async () => {
  const sent: number[] = [];
  const { url, stop } = await serve(async (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let count = 0; count < 5; count++) {
      sent.push(performance.now());
      response.write(`data: ${count}\n\n`);
      await wait(40);
    }
    response.end();
  });
  const hc = instance({ capture: { clock: false } });
  let came: number[] = [];
  const entry = hc.pipeline({ name: "entry" }, async () => {
    came = [];
    const events: string[] = [];
    for await (const chunk of (await fetch(url)).body ?? []) {
      came.push(performance.now());
      events.push(Buffer.from(chunk as Uint8Array).toString());
    }
    return events;
  });
  expect(await entry()).toEqual([0, 1, 2, 3, 4].map((count) => `data: ${count}\n\n`));
  const delays = came.map((at, index) => at - (sent[index] as number));
  // Each came before the next was sent.
  for (const [index, at] of came.slice(0, -1).entries()) expect(at).toBeLessThan(sent[index + 1] as number);
  await stop();
  await hc.flush();
  const [stored] = await storedBy(hc);
  const start = performance.now();
  expect((await replay(stored!, entry, { pace: "recorded" })).verdict).toBe("identical");
  expect((came.at(-1) as number) - start).toBeGreaterThan(150);
  expect(Math.min(...delays)).toBeLessThan(30);
});

test("credentials are not recorded", async () => {
  const { url } = await serve((_request, response) => response.end());
  const hc = instance();
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const headers = {
      authorization: "Bearer sesame",
      "x-api-key": "sesame",
      cookie: "sesame",
      accept: "text/plain",
    };
    await fetch(url, { headers });
    await fetch(url, { headers: new Headers(headers) });
    await fetch(url, { headers: Object.entries(headers) });
    await fetch(new Request(url, { headers }));
  });
  await entry();
  await hc.flush();
  const [stored] = await storedBy(hc);
  expect(Buffer.from(stored!.bytes).includes("sesame")).toBe(false);
  expect(Buffer.from(stored!.bytes).includes("text/plain")).toBe(true);
});

describe("a body that is sent as a stream", () => {
  async function* produce(pieces: number): AsyncGenerator<Uint8Array> {
    for (let piece = 0; piece < pieces; piece++) {
      await wait(1);
      yield new TextEncoder().encode(`${piece}:${Math.random()};`);
    }
  }
  const web = (pieces: number): ReadableStream<Uint8Array> => {
    const source = produce(pieces);
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await source.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    });
  };
  const kinds: Readonly<Record<string, (pieces: number) => unknown>> = {
    "of the web": web,
    "of Node": (pieces) => Readable.from(produce(pieces)),
    "a generator": produce,
    "through a transformation": (pieces) => web(pieces).pipeThrough(new TransformStream()),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    test(`G4: ${kind}: when it is read is part of the order, and what is sent is compared`, async () => {
      const { url } = await serve((request, response) => request.pipe(response));
      const hc = instance();
      const send = async (pieces: number): Promise<unknown> => {
        const body = make(pieces);
        const meanwhile = wait(2).then(() => Math.random());
        const answer = await fetch(url, { method: "POST", body, duplex: "half" } as RequestInit);
        return [await answer.text(), await meanwhile];
      };
      const entry = hc.pipeline({ name: "entry" }, send);
      for (const pieces of [0, 1, 5]) await entry(pieces);
      for (const stored of await storedBy(hc)) {
        expect(readCapsule(stored).replayable).toEqual({ exact: true, reasons: [] });
        const result = await replay(stored, entry);
        expect(result.verdict, explain(result)).toBe("identical");
        const other = hc.pipeline({ name: "entry" }, (count: number) => send(count + 1));
        expect((await replay(stored, other)).verdict).toBe("diverged");
      }
    });
  }

  test("G2: one that fails, and a server that does not read it", async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(413, { connection: "close" });
      response.end("too much");
    });
    const hc = instance();
    const failing = hc.pipeline({ name: "failing" }, async () => {
      const body = new ReadableStream({
        async pull() {
          await wait(1);
          throw new RangeError("no more");
        },
      });
      return fetch(url, { method: "POST", body, duplex: "half" }).then(
        () => "sent",
        () => "failed",
      );
    });
    const refused = hc.pipeline({ name: "refused" }, async () => {
      const answer = fetch(url, { method: "POST", body: web(50), duplex: "half" });
      return answer.then(
        ({ status }) => status,
        () => "cut off",
      );
    });
    await failing();
    await refused();
    for (const stored of await storedBy(hc)) {
      const result = await replay(stored, stored.summary.pipeline === "failing" ? failing : refused);
      expect(result.verdict, explain(result)).toBe("identical");
    }
  });

  test("forms are sent as they are", async () => {
    const { url } = await serve((request, response) => request.pipe(response));
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async () => {
      const form = new FormData();
      form.append("name", "value");
      form.append("file", new Blob(["content"]), "a.txt");
      const text = await (await fetch(url, { method: "POST", body: form })).text();
      return text.includes("content");
    });
    expect(await entry()).toBe(true);
    const [stored] = await storedBy(hc);
    expect(readCapsule(stored!).replayable.exact).toBe(true);
    expect((await replay(stored!, entry)).verdict).toBe("identical");
  });
});

test("G1: outside of runs, inside of effects, and where it is not captured, fetch is itself", async () => {
  const original = globalThis.fetch;
  const { url } = await serve((_request, response) => response.end("here"));
  const hc = instance();
  expect([fetch.name, fetch.length]).toEqual([original.name, original.length]);
  expect(await (await fetch(url)).text()).toBe("here");
  const load = hc.effect({ name: "load" }, async () => (await fetch(url)).text());
  const entry = hc.pipeline({ name: "entry" }, load);
  expect(await entry()).toBe("here");
  expect(effectsOf(await onlyCapsuleOf(hc)).map(({ name }) => name)).toEqual(["load"]);
  await hc.close();
  expect(globalThis.fetch).toBe(original);

  const without = instance({ capture: { fetch: false } });
  expect(globalThis.fetch).toBe(original);
  await without.pipeline({ name: "entry" }, async () => (await fetch(url)).text())();
  const names = effectsOf(await onlyCapsuleOf(without)).map(({ name }) => name);
  expect(names).not.toContain("fetch");
});

test("what telemetry sends is no part of a run", async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const { url } = await serve((_request, response) => response.end("taken"));
  const hc = instance();
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const suppressed = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
    await context.with(context.active().setValue(suppressed, true), () => fetch(url));
    return (await fetch(url)).status;
  });
  expect(await entry()).toBe(200);
  const sent = effectsOf(await onlyCapsuleOf(hc)).filter(({ name }) => name === "fetch");
  expect(sent).toHaveLength(1);
  context.disable();
});
