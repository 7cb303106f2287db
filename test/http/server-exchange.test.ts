/** What a server of `node:http` hands to a handler that is a root, and Requests of a framework's own class. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterAll, describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

/** A handler as a pipeline behind a real server. */
async function served(handler: Handler) {
  const hc = hindcast({ service: "server" });
  let failures = 0;
  const entry = hc.pipeline({ name: "handle" }, handler);
  const server = http.createServer((request, response) => {
    const failed = (): void => {
      failures += 1;
      response.destroy();
    };
    Promise.resolve(entry(request, response)).catch(failed);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  closing.push(() => (server.closeAllConnections(), server.close(), hc.close()));
  const address = `http://127.0.0.1:${port}`;
  const all = async (other: Handler = handler) => {
    const results = [];
    for (const stored of await storedBy(hc)) {
      expect(readCapsule(stored).replayable).toEqual({ exact: true, reasons: [] });
      results.push(await replay(stored, other === handler ? entry : hc.pipeline({ name: "handle" }, other)));
    }
    return results;
  };
  return { hc, address, all, failures: () => failures };
}

/** Pieces, with time between them. */
const inPieces = (...pieces: string[]): RequestInit => ({
  method: "POST",
  duplex: "half",
  body: new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(new TextEncoder().encode(piece));
        await sleep(2);
      }
      controller.close();
    },
  }),
});

const handlers: Readonly<Record<string, Handler>> = {
  "for await": async (request, response) => {
    let text = "";
    for await (const chunk of request) {
      text += String(chunk);
      await sleep(1);
    }
    response.end(`${text}${Math.random()}`);
    return [text, request.complete, request.readableEnded];
  },
  events: (request, response) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.writeHead(201, { "x-length": String(chunks.length) });
        for (const chunk of chunks) response.write(chunk);
        response.end(() => resolve([chunks.length, response.headersSent, response.writableEnded]));
      });
    }),
  "paused mode": async (request, response) => {
    const sizes: number[] = [];
    request.setEncoding("utf8");
    await new Promise<void>((resolve) => {
      request.on("readable", () => {
        for (let chunk: unknown; (chunk = request.read()) !== null; ) sizes.push((chunk as string).length);
      });
      request.on("end", resolve);
    });
    response.statusCode = 202;
    response.end(sizes.join());
    return sizes;
  },
  pipe: (request, response) =>
    new Promise((resolve) => {
      response.on("finish", () => resolve("sent"));
      request.pipe(response);
    }),
  "a late reader": async (request, response) => {
    await sleep(15);
    let text = "";
    for await (const chunk of request) text += String(chunk);
    response.setHeader("content-type", "text/plain");
    response.end(`${text} ${String(response.getHeader("content-type"))}`);
    return text;
  },
  "without the body": async (request, response) => {
    const { method, url, httpVersion, headers, rawHeaders, socket } = request;
    response.end("seen");
    return [
      method,
      url,
      httpVersion,
      headers["x-own"],
      rawHeaders.length,
      socket.remoteAddress,
      socket.localPort,
    ];
  },
};

describe.each(Object.entries(handlers))("a request and a response of node:http: %s", (_name, handler) => {
  test("are the handler's own, are recorded as they go, and replayed with the server gone", async () => {
    const { address, all, failures } = await served(handler);
    const bodies: RequestInit[] = [
      inPieces("one", "two", "three"),
      { method: "POST", body: "whole" },
      { method: "POST", body: "x".repeat(300_000) },
      { method: "POST" },
      {},
    ];
    for (const options of bodies) {
      const response = await fetch(`${address}/path?q=1`, { ...options, headers: { "x-own": "yes" } });
      await response.text();
      expect(response.status).toBeLessThan(300);
    }
    await sleep(10);
    expect(failures()).toBe(0);
    const results = await all();
    expect(results).toHaveLength(bodies.length);
    for (const result of results) {
      expect(result.verdict, explain(result)).toBe("identical");
      expect(result.outcome).toEqual(result.recorded);
    }
  });
});

test("a client that hangs up in the middle ends the run as it would without the library", async () => {
  const { address, all, failures } = await served(async (request, response) => {
    let length = 0;
    for await (const chunk of request) length += (chunk as Buffer).length;
    response.end(String(length));
  });
  await new Promise((resolve) => {
    const request = http.request(address, { method: "POST" });
    request.on("error", resolve);
    request.write("half");
    setTimeout(() => request.destroy(new Error("gone")), 10);
  });
  for (let waited = 0; failures() === 0 && waited < 200; waited++) await sleep(10);
  expect(failures()).toBe(1);
  const [result] = await all();
  expect(result?.verdict, explain(result!)).toBe("identical");
  expect(result?.outcome).toMatchObject({ status: "error", error: { code: "ECONNRESET" } });
});

test("a handler that looks whether its client is still there", async () => {
  const { hc, address, all } = await served(async (request, response) => {
    const seen: unknown[] = [];
    for (let item = 0; !response.destroyed && item < 500; item++) {
      seen.push([request.destroyed, request.aborted, response.writableLength, response.writableNeedDrain]);
      response.write("x".repeat(100));
      await sleep(1);
    }
    return [seen, response.closed, response.writableFinished];
  });
  for (let client = 0; client < 8; client++) {
    await new Promise<void>((resolve) => {
      const request = http.get(address);
      request.on("error", () => undefined);
      request.on("response", (response) => {
        response.on("error", () => undefined);
        response.on("data", () => undefined);
        setTimeout(() => {
          request.destroy();
          resolve();
        }, client);
      });
    });
  }
  for (let waited = 0; hc.stats().runs.ended < 8 && waited < 200; waited++) await sleep(10);
  const results = await all();
  expect(results).toHaveLength(8);
  for (const result of results) expect(result.verdict, explain(result)).toBe("identical");
});

test("what the handler sends is its output: something else is a divergence", async () => {
  const { address, all } = await served((_request, response) => void response.end("yes"));
  await (await fetch(address)).text();
  for (const other of [
    (_request: unknown, response: ServerResponse) => void response.end("no"),
    (_request: unknown, response: ServerResponse) => void response.writeHead(404).end("yes"),
    (_request: unknown, response: ServerResponse) =>
      void Object.assign(response, { statusCode: 404 }).end("yes"),
    () => undefined,
  ] as Handler[]) {
    const [result] = await all(other);
    expect(result?.verdict).toBe("diverged");
  }
});

test("a request whose body has been read before, and one that a framework has put data on", async () => {
  const hc = hindcast({ service: "server" });
  type Parsed = IncomingMessage & { readonly body: unknown; readonly params: { readonly id: string } };
  const entry = hc.pipeline({ name: "parsed" }, async (request: Parsed, response: ServerResponse) => {
    let more = 0;
    for await (const _ of request) more += 1;
    response.end(JSON.stringify(request.body));
    return [request.body, request.params.id, more];
  });
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += String(chunk)));
    request.on("end", () => {
      const parsed = Object.assign(request, {
        body: JSON.parse(text) as unknown,
        params: { id: "7" },
        next: () => 1,
      });
      void entry(parsed, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body: '{"a":[1]}' });
  expect(await response.json()).toEqual({ a: [1] });
  server.close();
  const [stored] = await storedBy(hc);
  const result = await replay(stored!, entry);
  expect(result.verdict, explain(result)).toBe("identical");
  expect(result.outcome).toEqual({ status: "ok", value: [{ a: [1] }, "7", 0] });
  expect(readCapsule(stored!).replayable.exact).toBe(true);
  await hc.close();
});

test.each([1, 70_000])(
  "a request of which %i bytes have come, or are to come, when the run begins",
  async (length) => {
    const hc = hindcast({ service: "server" });
    const entry = hc.pipeline(
      { name: "late" },
      async (request: IncomingMessage, response: ServerResponse) => {
        let text = "";
        for await (const chunk of request) text += String(chunk);
        response.end(text);
        return text.length;
      },
    );
    const server = http.createServer(
      (request, response) => void sleep(20).then(() => entry(request, response)),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const body = "y".repeat(length);
    for (const options of [{ body, method: "POST" }, inPieces(body, body)]) {
      expect(await (await fetch(`http://127.0.0.1:${port}`, options)).text()).toContain(body);
    }
    server.close();
    for (const stored of await storedBy(hc)) {
      const result = await replay(stored, entry);
      expect(result.verdict, explain(result)).toBe("identical");
      expect(result.outcome).toEqual(result.recorded);
      expect(readCapsule(stored).replayable.exact).toBe(true);
    }
    await hc.close();
  },
);

describe("a Request of a framework's own class", () => {
  class OwnRequest extends Request {
    readonly nextUrl = new URL(this.url);
    get cookies(): string | null {
      return this.headers.get("cookie");
    }
    get visitor(): { readonly id: number } {
      return { id: Math.round(Math.random() * 1e9) };
    }
  }
  /** As an adapter makes one that becomes a Request when it is read. */
  function lazy(body: string): Request {
    let made: Request | undefined;
    const whole = (): Request => (made ??= new Request("http://own/api?q=7", { method: "POST", body }));
    const described: PropertyDescriptorMap = {
      method: { get: () => "POST" },
      url: { get: () => "http://own/api?q=7" },
      headers: { get: () => new Headers({ cookie: "a=b" }) },
      body: { get: () => whole().body },
      bodyUsed: { get: () => whole().bodyUsed },
    };
    for (const name of ["text", "json", "arrayBuffer"] as const)
      described[name] = { value: () => whole()[name]() };
    return Object.create(Object.create(Request.prototype, described) as object) as Request;
  }
  const own = (): OwnRequest =>
    new OwnRequest("http://own/api?q=7", { method: "POST", body: '{"n":1}', headers: { cookie: "a=b" } });
  const proxied = (): OwnRequest =>
    new Proxy(own(), {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  const readings = {
    json: async (request: Request) => ((await request.json()) as { n: number }).n,
    text: (request: Request) => request.text(),
    stream: async (request: Request) => {
      let text = "";
      for await (const chunk of request.body as ReadableStream<Uint8Array>)
        text += new TextDecoder().decode(chunk);
      return [text, request.bodyUsed];
    },
  };
  const kinds = { "a subclass": own, "a Proxy": proxied, "a lazy one": () => lazy('{"n":1}') };
  for (const [kind, make] of Object.entries(kinds)) {
    for (const [reading, read] of Object.entries(readings)) {
      test(`${kind}, by ${reading}`, async () => {
        const hc = hindcast({ service: "server" });
        const inner = hc.tool({ name: "inner" }, async (request: Request) => request.url.length);
        let given: unknown;
        const entry = hc.pipeline({ name: "own" }, async (request: OwnRequest) => {
          given = request;
          const { method, url } = request;
          const more =
            request.visitor === undefined
              ? []
              : [request.nextUrl.searchParams.get("q"), request.cookies, request.visitor];
          return [
            method,
            url,
            request.headers.get("cookie"),
            await inner(request),
            await read(request),
            more,
          ];
        });
        const request = make() as OwnRequest;
        const value = await entry(request);
        expect(given).toBe(request);
        const [stored] = await storedBy(hc);
        expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
        const result = await replay(stored!, entry);
        expect(result.verdict, explain(result)).toBe("identical");
        expect(result.outcome).toEqual({ status: "ok", value });
        await hc.close();
      });
    }
  }
});
