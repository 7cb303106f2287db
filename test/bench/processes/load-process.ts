/**
 * Sends requests to a service and prints one line of JSON.
 * - `steady`: so many a second, evenly, whatever the service does. Each is timed from when it was due: where the service falls
 *   behind, that is in the times of all that wait (autocannon sends what is due in a second at its beginning).
 * - `full`: as many as it takes, over ten connections.
 */
import { Agent, request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { installed } from "../contenders/installed.js";
import type { ServiceLoad, ServiceThroughput } from "../measures/service-figures.js";
import { application, prompt } from "../payloads.js";
import { quantileOf } from "../statistics.js";

type Autocannon = (options: object) => Promise<{
  readonly requests: { readonly average: number };
  readonly errors: number;
  readonly timeouts: number;
  readonly non2xx: number;
}>;

const [url = "", mode = "steady", seconds = "3", rate = "300"] = process.argv.slice(2);
const body = JSON.stringify({ ...application(), prompt: prompt(8_000) });
const headers = { "content-type": "application/json" };

async function steady(): Promise<ServiceLoad> {
  const agent = new Agent({ keepAlive: true });
  const times: number[] = [];
  let failed = 0;
  const send = (due: number): Promise<void> =>
    new Promise((resolve) => {
      const settle = (ok: boolean): void => {
        if (ok) times.push(performance.now() - due);
        else failed += 1;
        resolve();
      };
      const sent = request(`${url}/approve`, { method: "POST", agent, headers }, (response) => {
        response.resume();
        response.on("end", () => settle(response.statusCode === 200));
        response.on("error", () => settle(false));
      });
      sent.on("error", () => settle(false));
      sent.end(body);
    });
  const count = Number(seconds) * Number(rate);
  const start = performance.now();
  const under: Promise<void>[] = [];
  for (let index = 0; index < count; index++) {
    const due = start + (index * 1000) / Number(rate);
    const early = due - performance.now();
    if (early > 0) await wait(early);
    under.push(send(due));
  }
  await Promise.all(under);
  agent.destroy();
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantileOf(times, share)) as [
    number,
    number,
    number,
  ];
  return { p50, p99, p999, requests: count, failed };
}

async function full(): Promise<ServiceThroughput> {
  const { default: autocannon } = await installed<{ default: Autocannon }>("autocannon");
  const { requests, errors, timeouts, non2xx } = await autocannon({
    url: `${url}/approve`,
    method: "POST",
    headers,
    body,
    connections: 10,
    duration: Number(seconds),
  });
  return { perSecond: requests.average, failed: errors + timeouts + non2xx };
}

console.log(JSON.stringify(mode === "steady" ? await steady() : await full()));
