/** A server of the Model Context Protocol: over its standard input where it is run by itself. */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

export function makeServer(): McpServer {
  const server = new McpServer({ name: "field", version: "1.0.0" });
  server.registerTool("add", { inputSchema: { a: z.number(), b: z.number() } }, async ({ a, b }) => ({
    content: [{ type: "text", text: `${a + b} ${Math.random()}` }],
  }));
  server.registerTool("fail", { inputSchema: {} }, async () => {
    throw new Error(`failed ${Math.random()}`);
  });
  server.registerTool("slow", { inputSchema: { steps: z.number() } }, async ({ steps }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let progress = 1; progress <= steps; progress++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (progressToken !== undefined) {
        await extra.sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress, total: steps },
        });
      }
    }
    return { content: [{ type: "text", text: `done ${Math.random()}` }] };
  });
  server.registerResource("clock", "clock://now", {}, async (uri) => ({
    contents: [{ uri: uri.href, text: String(Math.random()) }],
  }));
  return server;
}

if (process.argv[1] === import.meta.filename) await makeServer().connect(new StdioServerTransport());
