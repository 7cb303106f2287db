/** Requests that pass by what an instance has patched, or through what somebody else has. */
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { explain, readCapsule, replay, valueAt } from "hindcast/replay";
import { afterEach, expect, test } from "vitest";

// Taken before there is an instance.
const { request: earlyRequest, get: earlyGet } = http;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

type Ask = (
  options: http.RequestOptions,
  heard: (response: http.IncomingMessage) => void,
) => http.ClientRequest;

interface Served {
  readonly port: number;
  readonly heads: (string | undefined)[];
  readonly connections: () => number;
}

async function serve(): Promise<Served> {
  const heads: (string | undefined)[] = [];
  let connections = 0;
  const server = http.createServer((request, response) => {
    heads.push(request.headers.traceparent as string | undefined);
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => response.end(`${request.method} ${request.url} ${body} ${Math.random()}`));
  });
  server.on("connection", (_socket: Socket) => (connections += 1));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  closing.push(() => void server.close());
  closing.push(() => server.closeAllConnections());
  return { port: (server.address() as AddressInfo).port, heads, connections: () => connections };
}

async function textOf(ask: Ask, options: http.RequestOptions, ...sent: readonly string[]): Promise<string> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = ask(options, resolve).on("error", reject);
    for (const text of sent) request.write(text);
    request.end();
  });
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

/** As instrumentations do it: wrapped in place, with a note of what it was, and a header that is another each time. */
function instrument(seen: string[]): () => void {
  const wrap =
    (original: Ask): Ask =>
    (options, heard) => {
      const traceparent = `00-${String(seen.length).padStart(32, "0")}-${process.hrtime.bigint()}-01`;
      seen.push(traceparent);
      return original(
        {
          ...options,
          headers: { ...(options.headers as http.OutgoingHttpHeaders | undefined), traceparent },
        },
        heard,
      );
    };
  const original = http.request;
  const substitute = Object.assign(wrap(original), { __original: original });
  Object.assign(http, { request: substitute });
  return () => Object.assign(http, { request: original });
}

async function recordAndReplay(
  hc: ReturnType<typeof hindcast>,
  body: () => Promise<unknown>,
  served: Served,
): Promise<unknown[][]> {
  const entry = hc.pipeline({ name: "program" }, body);
  const outcome = await entry();
  await hc.flush();
  const before = served.connections();
  const asked: unknown[][] = [];
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    const result = await replay(stored, entry, { patience: "300ms", timeout: "3s" });
    expect(result.verdict, explain(result)).toBe("identical");
    expect(result.outcome).toEqual({ status: "ok", value: outcome });
    for (const effect of capsule.effects) {
      if (effect.name === "http") asked.push(effect.input.map((value) => valueAt(capsule, value)));
    }
  }
  expect(served.connections()).toBe(before);
  return asked;
}

test("G5: a request is captured however it was made", async () => {
  const served = await serve();
  const hc = hindcast({ service: "http", capture: { http: httpCapture() } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  closing.push(() => agent.destroy());
  const { port } = served;
  const made: Ask = (options, heard) => new http.ClientRequest(options, heard);
  const body = async (): Promise<unknown> => {
    const told: string[] = [];
    for (const [index, ask] of [earlyRequest, earlyGet, made].entries()) {
      for (const own of [undefined, false, agent] as const) {
        told.push(await textOf(ask, { port, host: "127.0.0.1", path: `/${index}`, agent: own }));
      }
    }
    const posted = {
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/posted",
      headers: ["X-List", "a", "Host", "b"],
    };
    told.push(await textOf(earlyRequest, posted, "one", "two"));
    const failed = await textOf(made, { port: 1, host: "127.0.0.1" }).catch((error: Error) => error.message);
    return [...told, failed, ...(await Promise.all([1, 2, 3].map(() => textOf(made, { port, agent }))))];
  };
  const asked = await recordAndReplay(hc, body, served);
  expect(asked).toHaveLength(14);
  expect(served.heads).toHaveLength(13);
  await hc.close();
});

for (const order of ["before", "after"] as const) {
  test(`an instrumentation that wraps request ${order} the instance sees each request once`, async () => {
    const served = await serve();
    const seen: string[] = [];
    if (order === "before") closing.push(instrument(seen));
    const hc = hindcast({ service: "http", capture: { http: httpCapture() } });
    if (order === "after") closing.push(instrument(seen));
    const { port } = served;
    const asked = await recordAndReplay(
      hc,
      async () => [
        await textOf(http.request, { port, path: "/a", headers: { "x-own": "1" } }),
        await textOf(http.request, { port, path: "/b", method: "POST" }, "sent"),
      ],
      served,
    );
    // Two were recorded, and two replayed; what was added was sent, and is in no record.
    expect(seen).toHaveLength(4);
    expect(served.heads).toEqual(seen.slice(0, 2));
    expect(JSON.stringify(asked)).not.toContain("traceparent");
    expect(JSON.stringify(asked)).toContain("x-own");
    await hc.close();
  });
}
