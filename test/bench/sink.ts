/** A server on loopback for those that must send what they record somewhere. It says yes to everything. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

interface Sink extends AsyncDisposable {
  readonly url: string;
}

export async function openSink(): Promise<Sink> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = JSON.stringify({
    org_info: [{ id: "bench", name: "bench", api_url: url, proxy_url: url }],
    project: { id: "bench", name: "bench" },
    ids: [],
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
