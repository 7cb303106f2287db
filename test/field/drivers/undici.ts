import { createServer, type Server } from "node:http";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { undiciCapture } from "hindcast/undici";
import * as undici from "undici";
import type { DriverFixture } from "./run-driver.js";

// The same in a replay, where nobody listens to it.
const PORT = 45_871;
const origin = `http://127.0.0.1:${PORT}`;
let server: Server | undefined;

const agent = new undici.Agent({ connections: 8 });
const pool = new undici.Pool(origin, { connections: 4 });

async function listen(): Promise<void> {
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", origin);
    if (pathname === "/broken") {
      response.writeHead(200, { "content-length": "1000" });
      response.write("some");
      setTimeout(() => response.destroy(), 5);
    } else if (pathname === "/error") {
      response
        .writeHead(503, { "content-type": "application/json" })
        .end(JSON.stringify({ r: Math.random() }));
    } else if (pathname === "/redirect") {
      response.writeHead(302, { location: "/json" }).end();
    } else if (pathname === "/gzip") {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(`zipped ${Math.random()}`));
    } else if (pathname === "/slow") {
      setTimeout(() => response.end("late"), 2_000);
    } else if (pathname === "/chunks") {
      response.writeHead(200, { "content-type": "text/plain" });
      let count = 0;
      const tick = setInterval(() => {
        response.write(`${count}:${Math.random()} `);
        count += 1;
        if (count === 6) {
          clearInterval(tick);
          response.end();
        }
      }, 2);
    } else if (pathname === "/large") {
      response.end(Buffer.alloc(600_000, "x"));
    } else if (pathname === "/echo") {
      response.setHeader("content-type", request.headers["content-type"] ?? "text/plain");
      request.pipe(response);
    } else {
      response.writeHead(200, { "content-type": "application/json", "set-cookie": ["a=1", "b=2"] });
      response.end(JSON.stringify({ path: request.url, r: Math.random() }));
    }
  });
  await new Promise<void>((resolve) => server?.listen(PORT, "127.0.0.1", resolve));
}

const failing = async (body: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await body();
  } catch (error) {
    const { name, message, code, cause } = error as Error & {
      code?: string;
      cause?: Error & { code?: string };
    };
    return [name, message, code, cause?.message, cause?.code, error instanceof undici.errors.UndiciError];
  }
};

const collect = (chunks: Buffer[]): Writable =>
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });

export const fixture: DriverFixture = {
  captures: { undici: undiciCapture(undici) },
  prepare: listen,
  programs: {
    fetch: async (id) => {
      const response = await undici.fetch(`${origin}/json?id=${id}`, {
        headers: { authorization: "Bearer secret" },
      });
      return [
        response.status,
        response.headers.get("content-type"),
        response.headers.getSetCookie(),
        await response.json(),
      ];
    },
    "fetch: bodies, redirects, errors": async () => {
      const sent = await undici.fetch(`${origin}/echo`, {
        method: "POST",
        body: JSON.stringify({ a: Math.random() }),
      });
      const form = new URLSearchParams({ field: "value" });
      const redirected = await undici.fetch(`${origin}/redirect`);
      return [
        await sent.json(),
        (await (await undici.fetch(`${origin}/echo`, { method: "POST", body: form })).formData()).get(
          "field",
        ),
        [redirected.url, redirected.redirected, await redirected.json()],
        await (await undici.fetch(`${origin}/gzip`)).text(),
        await (await undici.fetch(`${origin}/error`)).json(),
        await failing(async () => (await undici.fetch(`${origin}/broken`)).text()),
        await failing(() => undici.fetch("http://127.0.0.1:2/")),
      ];
    },
    "fetch: a stream that is read, and one that is given up": async () => {
      const response = await undici.fetch(`${origin}/chunks`);
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) text += decoder.decode(chunk);
      const other = await undici.fetch(`${origin}/chunks`);
      const reader = (other.body as ReadableStream<Uint8Array>).getReader();
      const first = decoder.decode((await reader.read()).value);
      await reader.cancel();
      return [text, first];
    },
    "fetch: aborted": async () => {
      const controller = new AbortController();
      const asked = failing(() => undici.fetch(`${origin}/slow`, { signal: controller.signal }));
      await wait(10);
      controller.abort(new Error("enough"));
      return [
        await asked,
        await failing(() => undici.fetch(`${origin}/slow`, { signal: AbortSignal.timeout(20) })),
      ];
    },
    "many at once": async (id) => {
      const all = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => {
          const { body } = await undici.request(`${origin}/json?id=${id + index}`, { dispatcher: agent });
          return body.json();
        }),
      );
      const first = await Promise.race([
        undici.fetch(`${origin}/json?a`).then((response) => response.json()),
        undici.request(`${origin}/json?b`).then(({ body }) => body.json()),
      ]);
      return [all, first];
    },
    request: async (id) => {
      const { statusCode, headers, body } = await undici.request(`${origin}/json?id=${id}`);
      const posted = await undici.request(`${origin}/echo`, {
        method: "POST",
        body: `text ${Math.random()}`,
      });
      const large = await undici.request(`${origin}/large`);
      let size = 0;
      for await (const chunk of large.body) {
        size += (chunk as Buffer).length;
        if (size % 3 === 0) await wait(1);
      }
      return [statusCode, headers["set-cookie"], await body.json(), await posted.body.text(), size];
    },
    "request: a body that is a stream": async (id) => {
      const body = Readable.from(
        (async function* () {
          for (let index = 0; index < 4; index++) {
            await wait(1);
            yield `${id} ${index} ${Math.random()}\n`;
          }
        })(),
      );
      return (await undici.request(`${origin}/echo`, { method: "POST", body })).body.text();
    },
    "request: failures": async () => [
      await failing(async () => (await undici.request(`${origin}/broken`)).body.text()),
      await failing(() =>
        undici.request(`${origin}/slow`, { headersTimeout: 30, dispatcher: new undici.Client(origin) }),
      ),
      await failing(() => undici.request("http://127.0.0.1:2/")),
      await failing(() => undici.request(`${origin}/slow`, { signal: AbortSignal.timeout(10) })),
    ],
    "stream and pipeline": async (id) => {
      const chunks: Buffer[] = [];
      await undici.stream(`${origin}/chunks`, { method: "GET" }, () => collect(chunks));
      const echoed: Buffer[] = [];
      await pipeline(
        Readable.from([`${id}`, " ", String(Math.random())]),
        undici.pipeline(`${origin}/echo`, { method: "POST" }, ({ body }) => body),
        collect(echoed),
      );
      return [Buffer.concat(chunks).toString(), Buffer.concat(echoed).toString()];
    },
    "a pool, a client, an interceptor": async (id) => {
      const client = new undici.Client(origin);
      const retrying = agent.compose(undici.interceptors.retry({ maxRetries: 2, minTimeout: 1 }));
      const texts = await Promise.all([
        pool.request({ path: `/json?p=${id}`, method: "GET" }).then(({ body }) => body.json()),
        client.request({ path: "/json?c", method: "GET" }).then(({ body }) => body.json()),
        undici.request(`${origin}/json?i`, { dispatcher: retrying }).then(({ body }) => body.json()),
        failing(() => undici.request(`${origin}/error`, { dispatcher: retrying })),
      ]);
      await client.close();
      return texts;
    },
  },
  async close() {
    await Promise.all([agent.close(), pool.close()]);
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  },
};
