/** Sends requests at a steady rate to a service, and prints how long they took as one line of JSON. */
import { installed } from "../contenders/installed.js";
import type { ServiceLoad } from "../measures/service-figures.js";
import { application, prompt } from "../payloads.js";

interface LoadResult {
  readonly latency: { readonly p50: number; readonly p99: number; readonly p99_9: number };
  readonly requests: { readonly total: number };
  readonly errors: number;
  readonly timeouts: number;
  readonly non2xx: number;
}
type Autocannon = (options: object) => Promise<LoadResult>;

const [url = "", seconds = "3", rate = "300"] = process.argv.slice(2);
const { default: autocannon } = await installed<{ default: Autocannon }>("autocannon");
const { latency, requests, errors, timeouts, non2xx } = await autocannon({
  url: `${url}/approve`,
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ ...application(), prompt: prompt(8_000) }),
  connections: 50,
  duration: Number(seconds),
  overallRate: Number(rate),
});
const result: ServiceLoad = {
  p50: latency.p50,
  p99: latency.p99,
  p999: latency.p99_9,
  requests: requests.total,
  failed: errors + timeouts + non2xx,
};
console.log(JSON.stringify(result));
