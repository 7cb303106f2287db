/** A server on loopback that answers late, differently each time, in pieces, and sometimes not to the end. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

export interface RandomServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * `/client/whole?d=5` answers in one piece within 5 ms, `/chunks?d=5` in several, `/broken?d=5` breaks off in the
 * middle, `/failed?d=5` answers with status 503, and `/dropped?d=5` drops the connection unanswered.
 */
export async function startRandomServer(): Promise<RandomServer> {
  const requests = new Map<string, number>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const [, client = "", path] = url.pathname.split("/");
    const number = (requests.get(client) ?? 0) + 1;
    requests.set(client, number);
    const pause = (): Promise<void> => wait(Math.random() * Number(url.searchParams.get("d")));
    const answer = async (): Promise<void> => {
      request.resume();
      await pause();
      if (path === "dropped") return void request.socket.destroy();
      response.statusCode = path === "failed" ? 503 : 200;
      response.setHeader("x-number", String(number));
      if (path === "chunks" || path === "broken") {
        const count = 1 + Math.floor(Math.random() * 4);
        for (let index = 0; index < count; index++) {
          response.write(`${Math.random()} `);
          await pause();
        }
        if (path === "broken") return void request.socket.destroy();
        response.end();
      } else response.end(JSON.stringify({ method: request.method, drawn: Math.random() }));
    };
    answer().catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
