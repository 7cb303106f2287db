/** The servers that a recording talks to and a replay does not find. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { startModelServer } from "../../vendors/model-server.js";
import { makeServer } from "../drivers/mcp-server.js";
import type { Servers } from "./row.js";

interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

async function listen(answer: RequestListener): Promise<Listening> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const PAGE = ["c1", "c2", "c3", "c4"];

/** Something else each time, after a moment that is another each time. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://loopback");
  request.resume();
  setTimeout(() => {
    response.setHeader("content-type", "application/json");
    if (pathname === "/missing") response.statusCode = 404;
    const drawn = { chance: Math.random(), asked: request.url };
    if (pathname === "/gzip") {
      response.setHeader("content-encoding", "gzip");
      response.end(gzipSync(JSON.stringify(drawn)));
    } else if (pathname === "/rows") {
      response.end(JSON.stringify([{ id: searchParams.get("id"), chance: Math.random() }]));
    } else if (pathname === "/v1/customers") {
      const from = PAGE.indexOf(searchParams.get("starting_after") ?? "") + 1;
      const data = PAGE.slice(from, from + 2).map((id) => ({ id, object: "customer", ...drawn }));
      response.end(JSON.stringify({ object: "list", data, has_more: from === 0, url: pathname }));
    } else {
      response.end(JSON.stringify(drawn));
    }
  }, Math.random() * 4);
}

async function listenForTools(): Promise<Listening> {
  const { StreamableHTTPServerTransport } = await import(
    "@modelcontextprotocol/sdk/server/streamableHttp.js"
  );
  type Transport = InstanceType<typeof StreamableHTTPServerTransport>;
  const sessions = new Map<string, Transport>();
  return listen((request, response) => {
    const known = sessions.get(String(request.headers["mcp-session-id"]));
    if (known !== undefined) return void known.handleRequest(request, response);
    const transport: Transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    void makeServer()
      .connect(transport as never)
      .then(() => transport.handleRequest(request, response));
  });
}

export interface LoopbackServers {
  readonly servers: Servers;
  close(): Promise<void>;
}

export async function startLoopbackServers(): Promise<LoopbackServers> {
  const [http, models, mcp] = await Promise.all([listen(answer), startModelServer(), listenForTools()]);
  return {
    servers: { http: http.url, models: models.url, mcp: `${mcp.url}/mcp` },
    close: async () => {
      await Promise.all([http.close(), models.close(), mcp.close()]);
    },
  };
}
