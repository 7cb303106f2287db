import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { mcpCapture } from "hindcast/mcp";
import { makeServer } from "./mcp-server.js";
import type { DriverFixture } from "./run-driver.js";

// The same in a replay, where nobody listens to it.
const PORT = 45_872;
const isReplay = process.env["SERVER_PORT"] !== undefined;
let server: Server | undefined;

const sessions = new Map<string, StreamableHTTPServerTransport>();

async function listen(): Promise<void> {
  server = createServer((request, response) => {
    const known = sessions.get(String(request.headers["mcp-session-id"]));
    if (known !== undefined) return void known.handleRequest(request, response);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    void makeServer()
      .connect(transport as never)
      .then(() => transport.handleRequest(request, response));
  });
  await new Promise<void>((resolve) => server?.listen(PORT, "127.0.0.1", resolve));
}

function lazily(connect: (client: Client) => Promise<void>): () => Promise<Client> {
  let connecting: Promise<Client> | undefined;
  return () => {
    connecting ??= (async () => {
      const client = new Client({ name: "field", version: "1.0.0" });
      await connect(client);
      return client;
    })();
    return connecting;
  };
}

const overHttp = lazily((client) =>
  client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${PORT}/mcp`))),
);
const overStdio = lazily((client) =>
  client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ["--import", "tsx", isReplay ? "/nowhere" : join(import.meta.dirname, "mcp-server.ts")],
    }),
  ),
);

const failing = async (body: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await body();
  } catch (error) {
    const { message, code } = error as McpError;
    return [error instanceof McpError, message, code];
  }
};

const program = (connected: () => Promise<Client>) => async (id: number) => {
  const client = await connected();
  const progress: unknown[] = [];
  const slow = await client.callTool({ name: "slow", arguments: { steps: 3 } }, undefined, {
    onprogress: (one) => progress.push(one),
  });
  return [
    (await client.listTools()).tools.map(({ name }) => name),
    await client.callTool({ name: "add", arguments: { a: id, b: 1 } }),
    await Promise.all([1, 2, 3].map((b) => client.callTool({ name: "add", arguments: { a: id, b } }))),
    await client.callTool({ name: "fail", arguments: {} }),
    await failing(() => client.readResource({ uri: "clock://never" })),
    await client.readResource({ uri: "clock://now" }),
    await client.ping(),
    slow,
    progress.length,
    progress,
  ];
};

export const fixture: DriverFixture = {
  captures: { mcp: mcpCapture(Client, McpError) },
  prepare: listen,
  programs: { "streamable HTTP": program(overHttp), stdio: program(overStdio) },
  async close() {
    await (await overHttp()).close();
    await (await overStdio()).close();
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  },
};
