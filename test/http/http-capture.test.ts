import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { type AddressInfo, createServer as createTcpServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { explain, readCapsule, replay, valueAt } from "hindcast/replay";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

const originals = {
  request: http.request,
  get: http.get,
  secureRequest: https.request,
  secureGet: https.get,
};
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Listening {
  readonly port: number;
  readonly connections: () => number;
  readonly stop: () => Promise<void>;
}

async function listen(
  server: http.Server | https.Server | ReturnType<typeof createTcpServer>,
): Promise<Listening> {
  let connections = 0;
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections += 1;
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => undefined);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const stop = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done());
      for (const socket of open) socket.destroy();
    });
  closing.push(stop);
  return { port: (server.address() as AddressInfo).port, connections: () => connections, stop };
}

/** A server that answers by path. */
function serve(): Promise<Listening> {
  return listen(http.createServer(answer));
}

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => void respond(request, Buffer.concat(chunks), response));
}

let served = 0;

async function respond(
  request: http.IncomingMessage,
  body: Buffer,
  response: http.ServerResponse,
): Promise<void> {
  served += 1;
  const { pathname, searchParams } = new URL(request.url ?? "", "http://loopback");
  switch (pathname) {
    case "/echo":
      response.setHeader("X-Served", served);
      response.end(
        JSON.stringify({ method: request.method, headers: request.headers, body: body.toString() }),
      );
      return;
    case "/wait":
      await wait(Number(searchParams.get("ms")));
      response.end(`${searchParams.get("ms")} after ${served}`);
      return;
    case "/chunks":
      response.writeHead(
        200,
        "Fine",
        [
          ["X-Odd-CASE", "a"],
          ["Set-Cookie", "one=1"],
          ["Set-Cookie", "two=2"],
          ["Trailer", "X-Sum"],
        ].flat(),
      );
      for (const size of [1, 5000, 3, 70_000]) {
        response.write(Buffer.alloc(size, size % 251));
        await wait(4);
      }
      response.addTrailers({ "X-Sum": "75004" });
      response.end();
      return;
    case "/gzip":
      response.setHeader("Content-Encoding", "gzip");
      response.end(gzipSync("compressed ".repeat(50)));
      return;
    case "/empty":
      response.writeHead(204).end();
      return;
    case "/hints":
      response.writeEarlyHints({ link: "</a.css>; rel=preload" });
      response.end("hinted");
      return;
    case "/large":
      response.end(Buffer.alloc(1_500_000, 7));
      return;
    case "/reset":
      response.write("half");
      await wait(5);
      response.socket?.resetAndDestroy();
      return;
    case "/cut":
      response.writeHead(200, { "Content-Length": 100 });
      response.write("half");
      await wait(5);
      response.socket?.destroy();
      return;
    case "/silent":
      return;
    default:
      response.writeHead(404).end();
  }
}

/** Connections that anybody in this process asks for. */
async function withoutNetwork<T>(body: () => Promise<T>): Promise<T> {
  const connect = vi.spyOn(Socket.prototype, "connect").mockImplementation(function (this: Socket) {
    return this.destroy(new Error("there is no network"));
  });
  try {
    return await body();
  } finally {
    const attempts = connect.mock.calls.length;
    connect.mockRestore();
    expect(attempts).toBe(0);
  }
}

function instance(options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const hc = hindcast({ service: "http", capture: { http: httpCapture() }, ...options });
  closing.push(() => hc.close());
  return hc;
}

/** Records a run, stops the server, and replays it without a network. */
async function recordAndReplay<T>(body: () => Promise<T>, server?: Listening, options = {}) {
  const hc = instance(options);
  const entry = hc.pipeline({ name: "program" }, body);
  const outcome = await entry();
  await hc.flush();
  await server?.stop();
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    const result = await withoutNetwork(() => replay(stored, entry, { patience: "300ms", timeout: "3s" }));
    if (result.verdict !== "identical") throw new Error(explain(result));
    expect(result.outcome).toEqual({ status: "ok", value: outcome });
    return { outcome, capsule };
  }
  throw new Error("nothing was recorded");
}

type Seen = [event: string, ...rest: unknown[]];

/** Everything that a program can hear of an exchange, in order. */
function hear(request: http.ClientRequest, seen: Seen[] = []): Promise<Seen[]> {
  return new Promise((done) => {
    const after = (): void => void setImmediate(() => done(seen));
    request.on("socket", () => seen.push(["socket", request.reusedSocket]));
    for (const event of ["finish", "timeout", "continue", "abort", "drain"]) {
      request.on(event, () => seen.push([event]));
    }
    request.on("information", ({ statusCode, rawHeaders }) =>
      seen.push(["information", statusCode, rawHeaders]),
    );
    request.on("error", (error: NodeJS.ErrnoException) => seen.push(["error", error.code, error.message]));
    request.on("close", () => {
      seen.push(["close", request.destroyed, request.writableFinished]);
      after();
    });
    request.on("response", (response) => {
      const { statusCode, statusMessage, headers, rawHeaders, httpVersion } = response;
      seen.push(["response", statusCode, statusMessage, { ...headers }, rawHeaders, httpVersion]);
      response.on("data", (chunk: Buffer) =>
        seen.push(["data", chunk.length, chunk.toString("latin1", 0, 20)]),
      );
      response.on("aborted", () => seen.push(["aborted"]));
      response.on("end", () => seen.push(["end", response.complete, { ...response.trailers }]));
      response.on("error", (error: NodeJS.ErrnoException) =>
        seen.push(["response error", error.code, error.message]),
      );
      response.on("close", () => seen.push(["response close"]));
    });
  });
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function ask(url: string, options: http.RequestOptions = {}, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, options, (response) => void textOf(response).then(resolve, reject));
    request.on("error", reject);
    request.end(body);
  });
}

const eventsOf = (seen: readonly Seen[]): string[] => seen.map(([event]) => event);

describe("an exchange is recorded, and given again with the server stopped and no network", () => {
  test("G4, G5: http.get, with everything that can be heard of it", async () => {
    const server = await serve();
    const { outcome, capsule } = await recordAndReplay(
      () => hear(http.get(`http://127.0.0.1:${server.port}/chunks?a=1`)),
      server,
    );
    expect(eventsOf(outcome).filter((event) => event !== "data")).toEqual([
      "socket",
      "finish",
      "response",
      "end",
      "close",
      "response close",
    ]);
    const sizes = outcome.filter(([event]) => event === "data").map(([, size]) => size as number);
    expect(sizes.slice(0, 3)).toEqual([1, 5000, 3]);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(75_004);
    const response = outcome.find(([event]) => event === "response") as Seen;
    expect(response.slice(1, 3)).toEqual([200, "Fine"]);
    expect((response[3] as http.IncomingHttpHeaders)["set-cookie"]).toEqual(["one=1", "two=2"]);
    expect(response[4]).toEqual(expect.arrayContaining(["X-Odd-CASE"]));
    expect(outcome.find(([event]) => event === "end")).toEqual(["end", true, { "x-sum": "75004" }]);
    const [effect] = capsule.effects;
    expect(effect?.name).toBe("http");
  });

  test("what is sent is recorded, credentials are not", async () => {
    const server = await serve();
    const { outcome, capsule } = await recordAndReplay(
      () =>
        ask(
          `http://127.0.0.1:${server.port}/echo`,
          { method: "POST", headers: { Authorization: "Bearer secret", "X-Mine": ["a", "b"] }, auth: "u:p" },
          "hello",
        ),
      server,
    );
    const echoed = JSON.parse(outcome) as { body: string; headers: Record<string, string> };
    expect([echoed.body, echoed.headers["authorization"], echoed.headers["content-length"]]).toEqual([
      "hello",
      "Bearer secret",
      "5",
    ]);
    const [effect] = capsule.effects;
    expect(valueAt(capsule, effect?.input[0] as number)).toMatchObject({
      method: "POST",
      url: `http://127.0.0.1:${server.port}/echo`,
      headers: expect.arrayContaining([["Authorization", "(withheld)"]]) as unknown,
      body: "hello",
    });
  });

  test("a body that is piped", async () => {
    const server = await serve();
    const { outcome } = await recordAndReplay(async () => {
      const request = http.request({ port: server.port, path: "/echo", method: "PUT" });
      const heard = new Promise<string>((resolve, reject) => {
        request.on("response", (response) => void textOf(response).then(resolve, reject)).on("error", reject);
      });
      await pipeline(Readable.from(["one ", Buffer.from("two "), "three"]), request);
      return heard;
    }, server);
    expect(JSON.parse(outcome)).toMatchObject({ body: "one two three" });
  });

  test("a large body that is piped waits for the network", async () => {
    const server = await serve();
    const size = 600_000;
    const { outcome } = await recordAndReplay(async () => {
      const request = http.request({ port: server.port, path: "/echo", method: "POST" });
      const heard = new Promise<string>((resolve, reject) => {
        request.on("response", (response) => void textOf(response).then(resolve, reject)).on("error", reject);
      });
      await pipeline(
        Readable.from(["a", "b", "c", "d", "e", "f"].map((one) => one.repeat(size / 6))),
        request,
      );
      return (JSON.parse(await heard) as { body: string }).body.length;
    }, server);
    expect(outcome).toBe(size);
  });

  test("headers that are set, and callbacks of write and end", async () => {
    const server = await serve();
    const { outcome } = await recordAndReplay(async () => {
      const seen: Seen[] = [];
      const request = http.request({
        port: server.port,
        path: "/echo",
        method: "POST",
        headers: { "X-Gone": "1" },
      });
      const heard = hear(request, seen);
      await wait(3);
      request.setHeader("X-Late", "yes");
      request.removeHeader("X-Gone");
      request.write("a", () => seen.push(["written"]));
      await wait(3);
      request.end("b", "utf8", () => seen.push(["ended"]));
      return heard;
    }, server);
    expect(eventsOf(outcome)).toEqual(expect.arrayContaining(["written", "ended"]));
    const body = outcome.find(([event]) => event === "data") as Seen;
    expect(body[1]).toBeGreaterThan(0);
  });

  test.each(["/gzip", "/empty", "/hints", "/large", "/nowhere"])("%s", async (path) => {
    const server = await serve();
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port, path })), server);
    expect(eventsOf(outcome)).toContain("end");
    if (path === "/hints") expect(eventsOf(outcome)).toContain("information");
  });

  test("HEAD, which has no body whatever its headers say", async () => {
    const server = await serve();
    const { outcome } = await recordAndReplay(
      () => hear(http.request({ port: server.port, path: "/large", method: "HEAD" }).end()),
      server,
    );
    expect(eventsOf(outcome)).not.toContain("data");
  });

  test("a body that ends with its connection", async () => {
    const server = await listen(
      createTcpServer((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.0 200 OK\r\nX-A:  b\r\n\r\nfirst");
          setTimeout(() => socket.end("second"), 5);
        });
      }),
    );
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port })), server);
    expect(outcome.filter(([event]) => event === "data").map(([, , text]) => text)).toEqual([
      "first",
      "second",
    ]);
    expect(outcome.find(([event]) => event === "end")).toEqual(["end", true, {}]);
  });

  test("gunzip of a response", async () => {
    const server = await serve();
    await recordAndReplay(
      () =>
        new Promise((done) => {
          http.get({ port: server.port, path: "/gzip" }, (response) => {
            const chunks: Buffer[] = [];
            response.on("data", (chunk: Buffer) => chunks.push(chunk));
            response.on("end", () => done(gunzipSync(Buffer.concat(chunks)).toString()));
          });
        }),
      server,
    );
  });

  test("G4: the winner of a race, and what is asked for after it", async () => {
    const server = await serve();
    await recordAndReplay(async () => {
      const url = (ms: number): string => `http://127.0.0.1:${server.port}/wait?ms=${ms}`;
      const order: string[] = [];
      await Promise.race([30, 5, 12].map((ms) => ask(url(ms)).then((text) => order.push(text))));
      await Promise.all([8, 2, 5].map((ms) => ask(url(ms)).then((text) => order.push(text))));
      return order;
    }, server);
  });

  test("G4: 50 runs at once that share an agent, each with its own order", async () => {
    const server = await serve();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    closing.push(() => agent.destroy());
    const hc = instance();
    const entry = hc.pipeline({ name: "fifty" }, async (number: number) => {
      const first = await ask(`http://127.0.0.1:${server.port}/wait?ms=${number % 7}`, { agent });
      const both = await Promise.all(
        [1, 3].map((ms) => ask(`http://127.0.0.1:${server.port}/wait?ms=${ms}`, { agent })),
      );
      return [number, first, ...both];
    });
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, number) => entry(number)));
    await hc.flush();
    expect(server.connections()).toBeLessThanOrEqual(8);
    await server.stop();
    let replayed = 0;
    for await (const stored of hc.store.find()) {
      const result = await withoutNetwork(() => replay(stored, entry));
      if (result.verdict !== "identical") throw new Error(explain(result));
      expect(outcomes).toContainEqual(result.outcome.status === "ok" ? result.outcome.value : undefined);
      replayed += 1;
    }
    expect(replayed).toBe(50);
  });
});

describe("what goes wrong is recorded as it went", () => {
  test("nobody listens", async () => {
    const server = await serve();
    await server.stop();
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port, host: "127.0.0.1" })));
    expect(outcome.find(([event]) => event === "error")?.[1]).toBe("ECONNREFUSED");
  });

  test.each(["/reset", "/cut"])("%s in the middle of a body", async (path) => {
    const server = await serve();
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port, path })), server);
    expect(eventsOf(outcome)).toEqual(expect.arrayContaining(["data", "aborted", "response error", "close"]));
    expect(eventsOf(outcome)).not.toContain("end");
  });

  test("no HTTP at all", async () => {
    const server = await listen(
      createTcpServer((socket) => void socket.once("data", () => socket.end("nonsense\r\n"))),
    );
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port })), server);
    expect(outcome.find(([event]) => event === "error")?.[1]).toMatch(/^HPE_/);
  });

  test("a hang-up before the response", async () => {
    const server = await listen(
      createTcpServer((socket) => void socket.once("data", () => socket.destroy())),
    );
    const { outcome } = await recordAndReplay(() => hear(http.get({ port: server.port })), server);
    expect(outcome.find(([event]) => event === "error")).toEqual(["error", "ECONNRESET", "socket hang up"]);
  });

  test.each(["an option", "a method"])("a timeout, by %s, and destroy because of it", async (how) => {
    const server = await serve();
    const { outcome } = await recordAndReplay(() => {
      const options = { port: server.port, path: "/silent", ...(how === "an option" ? { timeout: 20 } : {}) };
      const request = http.get(options);
      if (how === "a method") request.setTimeout(20);
      request.on("timeout", () => request.destroy(new Error("too slow")));
      return hear(request);
    }, server);
    expect(eventsOf(outcome)).toEqual(expect.arrayContaining(["timeout", "error", "close"]));
    expect(outcome.find(([event]) => event === "error")?.[2]).toBe("too slow");
  });

  test("destroy at once, destroy in the middle of a body, and abort", async () => {
    const server = await serve();
    await recordAndReplay(async () => {
      const atOnce = http.get({ port: server.port, path: "/chunks" });
      const first = hear(atOnce);
      atOnce.destroy();
      const midway = http.get({ port: server.port, path: "/chunks" });
      const second = hear(midway);
      midway.on("response", (response) => response.once("data", () => midway.destroy(new Error("enough"))));
      const given = http.get({ port: server.port, path: "/silent" });
      const third = hear(given);
      setTimeout(() => given.abort(), 10);
      return [await first, await second, await third];
    }, server);
  });

  test("a signal, before and during", async () => {
    const server = await serve();
    const { outcome } = await recordAndReplay(async () => {
      const early = hear(http.get({ port: server.port, path: "/silent", signal: AbortSignal.abort() }));
      const controller = new AbortController();
      const late = hear(http.get({ port: server.port, path: "/silent", signal: controller.signal }));
      setTimeout(() => controller.abort(), 10);
      return [await early, await late];
    }, server);
    for (const seen of outcome) expect(seen.find(([event]) => event === "error")?.[1]).toBe("ABORT_ERR");
  });

  test("options that Node refuses", async () => {
    const { outcome } = await recordAndReplay(async () => {
      try {
        http.get({ path: "/a b" });
        return "sent";
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    });
    expect(outcome).toBe("ERR_UNESCAPED_CHARACTERS");
  });
});

describe("https", () => {
  let key: Buffer;
  let cert: Buffer;

  beforeAll(() => {
    const directory = mkdtempSync(join(tmpdir(), "hindcast-tls-"));
    const [keyFile, certFile] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ].concat([
        "-keyout",
        keyFile,
        "-out",
        certFile,
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
      ]),
      { stdio: "ignore" },
    );
    key = readFileSync(keyFile);
    cert = readFileSync(certFile);
  });

  test("G4, G5: with the caller's own certificate authority and agent", async () => {
    const server = await listen(https.createServer({ key, cert }, answer));
    const agent = new https.Agent({ keepAlive: true, ca: cert });
    closing.push(() => agent.destroy());
    const { outcome } = await recordAndReplay(async () => {
      const asked = [];
      for (let index = 0; index < 3; index += 1) {
        const request = https.get(`https://localhost:${server.port}/chunks`, { agent });
        const secure = new Promise((done) => {
          request.on("socket", (socket) => {
            if (socket.connecting) socket.on("secureConnect", () => done((socket as never)["authorized"]));
            else done("kept alive");
          });
        });
        const seen = await hear(request);
        asked.push([await secure, eventsOf(seen), request.socket?.remotePort]);
      }
      return asked;
    }, server);
    expect(outcome.map(([secure]) => secure)).toEqual([true, "kept alive", "kept alive"]);
    expect(server.connections()).toBe(1);
  });

  test("a certificate that nobody vouches for", async () => {
    const server = await listen(https.createServer({ key, cert }, answer));
    const { outcome } = await recordAndReplay(
      () => hear(https.get(`https://localhost:${server.port}/echo`)),
      server,
    );
    expect(outcome.find(([event]) => event === "error")?.[1]).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
  });
});

describe("G1: outside of recorded runs nothing is different", () => {
  afterAll(() => {
    expect({ request: http.request, get: http.get }).toEqual({
      request: originals.request,
      get: originals.get,
    });
  });

  test("the originals are back when the last instance is closed", async () => {
    const [one, two] = [instance(), instance()];
    expect(http.request).not.toBe(originals.request);
    expect(https.get).not.toBe(originals.secureGet);
    expect([http.request.name, http.request.length]).toEqual([
      originals.request.name,
      originals.request.length,
    ]);
    await one.close();
    expect(http.request).not.toBe(originals.request);
    await two.close();
    expect([http.request, http.get, https.request, https.get]).toEqual([
      originals.request,
      originals.get,
      originals.secureRequest,
      originals.secureGet,
    ]);
  });

  test("without httpCapture() nothing is patched", () => {
    instance({ capture: true });
    expect(http.request).toBe(originals.request);
  });

  test("what is heard of an exchange in a run is what is heard outside of it", async () => {
    const server = await serve();
    const hc = instance();
    for (const path of ["/chunks", "/empty", "/hints", "/gzip", "/reset", "/cut"]) {
      const program = (): Promise<Seen[]> => hear(http.get({ port: server.port, path, agent: false }));
      const outside = await program();
      const inside = await hc.pipeline({ name: "program" }, program)();
      const plain = (seen: Seen[]): unknown[] =>
        seen.map((one) => (one[0] === "response" ? one.slice(0, 3) : one));
      expect(plain(inside)).toEqual(plain(outside));
    }
  });

  test("inside of an effect, and in what telemetry sends, the original runs", async () => {
    const { context } = await import("@opentelemetry/api");
    const { AsyncLocalStorageContextManager } = await import("@opentelemetry/context-async-hooks");
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    closing.push(() => context.disable());
    const server = await serve();
    const hc = instance();
    const suppressed = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
    const fetchOne = hc.effect({ name: "declared" }, () => ask(`http://127.0.0.1:${server.port}/echo`));
    await hc.pipeline({ name: "program" }, async () => {
      await fetchOne();
      await context.with(context.active().setValue(suppressed, true), () =>
        ask(`http://127.0.0.1:${server.port}/echo`),
      );
    })();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      expect(readCapsule(stored).effects.map(({ name }) => name)).toEqual(["declared"]);
    }
  });
});

describe("G5: a replay never reaches out", () => {
  test("what the capsule does not hold is refused, and is a divergence", async () => {
    const server = await serve();
    const hc = instance();
    let again = false;
    const entry = hc.pipeline({ name: "program" }, async () => {
      const answers = [await ask(`http://127.0.0.1:${server.port}/echo`)];
      if (again) answers.push(await ask(`http://127.0.0.1:${server.port}/echo`));
      return answers.length;
    });
    await entry();
    await hc.flush();
    again = true;
    for await (const stored of hc.store.find()) {
      const result = await withoutNetwork(() => replay(stored, entry, { patience: "200ms", timeout: "2s" }));
      expect(result.verdict).toBe("diverged");
      expect(result.outcome).toMatchObject({ status: "error", error: { code: "effect-not-recorded" } });
    }
  });

  test("what if another response had come: a function stands for the exchange", async () => {
    const server = await serve();
    const hc = instance();
    const entry = hc.pipeline({ name: "program" }, () =>
      ask(`http://127.0.0.1:${server.port}/echo`, {}, "x"),
    );
    await entry();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      const result = await withoutNetwork(() =>
        replay(stored, entry, {
          patience: "200ms",
          timeout: "2s",
          effects: {
            http: ({ body }: { body: string }) => ({
              status: 200,
              headers: [["X-A", "b"]],
              body: `what if ${body}`,
            }),
          },
        }),
      );
      expect(result.outcome).toEqual({ status: "ok", value: "what if x" });
    }
  });

  test("unless an option says so by name", async () => {
    const server = await serve();
    const hc = instance();
    const entry = hc.pipeline(
      { name: "program" },
      async () =>
        (
          JSON.parse(await ask(`http://127.0.0.1:${server.port}/echo`, { method: "POST" }, "x")) as {
            body: string;
          }
        ).body,
    );
    await entry();
    await hc.flush();
    const before = served;
    for await (const stored of hc.store.find()) {
      const result = await replay(stored, entry, { effects: { http: "live" } });
      expect(result.outcome).toEqual({ status: "ok", value: "x" });
      expect(served).toBe(before + 1);
    }
  });
});
