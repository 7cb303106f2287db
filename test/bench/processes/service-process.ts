/**
 * A service that decides on loans over HTTP, with or without the library. GET /state gives the event loop's delay since
 * the last time, and what was recorded.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import { fileStore, type Hindcast, hindcast } from "hindcast";
import { installed } from "../contenders/installed.js";
import { registerTracing } from "../contenders/tracing.js";
import type { ServiceState } from "../measures/service-figures.js";

interface Application {
  readonly id: string;
  readonly income: number;
  readonly debt: number;
  readonly prompt: string;
}
interface Server {
  post(path: string, handler: (request: { body: Application }) => Promise<unknown>): void;
  get(path: string, handler: () => Promise<unknown>): void;
  listen(options: { port: number; host: string }): Promise<string>;
}

const mode = process.argv[2];
const directory = mkdtempSync(join(tmpdir(), "hindcast-bench-service-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
process.on("disconnect", () => process.exit());

registerTracing();
const hc =
  mode === "hindcast"
    ? hindcast({ service: "loans", store: fileStore({ dir: directory, maximumBytes: 256 << 20 }) })
    : undefined;
const approve = hc === undefined ? bare() : wrapped(hc);

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let utilization = performance.eventLoopUtilization();

const { fastify } = await installed<{ fastify: () => Server }>("fastify");
const server = fastify();
server.post("/approve", ({ body }) => approve(body));
server.get("/state", async () => {
  const { stored = 0, lost } = hc?.stats().capsules ?? {};
  const state: ServiceState = {
    delayP50: delay.percentile(50) / 1e6,
    delayP99: delay.percentile(99) / 1e6,
    delayMaximum: delay.max / 1e6,
    utilization: performance.eventLoopUtilization(utilization).utilization,
    stored,
    lost: lost === undefined ? 0 : lost.queue + lost.codec + lost.store,
  };
  delay.reset();
  utilization = performance.eventLoopUtilization();
  return state;
});
process.send?.(await server.listen({ port: 0, host: "127.0.0.1" }));

/** A look-up that takes two milliseconds, as a database near by does. */
async function history(id: string): Promise<{ readonly late: number }> {
  await wait(2);
  return { late: id.length % 3 };
}

function features(application: Application): { readonly ratio: number } {
  return { ratio: application.debt / application.income };
}

async function score(input: {
  readonly ratio: number;
  readonly late: number;
}): Promise<{ readonly risk: number }> {
  await wait(1);
  return { risk: input.ratio + input.late / 10 };
}

function decide({ risk }: { readonly risk: number }): { readonly approved: boolean } {
  return { approved: risk < 0.3 };
}

function bare(): (application: Application) => Promise<unknown> {
  return async (application) =>
    decide(await score({ ...features(application), late: (await history(application.id)).late }));
}

function wrapped(instance: Hindcast): (application: Application) => Promise<unknown> {
  const read = instance.effect({ name: "history.get" }, history);
  const stages = {
    load: instance.ingest({ name: "history", data: { name: "history", version: "1" } }, (id: string) =>
      read(id),
    ),
    features: instance.feature({ name: "features", data: { name: "features", version: "1" } }, features),
    score: instance.infer({ name: "score", model: { name: "risk", version: "7" } }, score),
    decide: instance.decide({ name: "decide" }, decide),
  };
  return instance.pipeline({ name: "approve" }, async (application: Application) => {
    const { late } = await stages.load(application.id);
    return stages.decide(await stages.score({ ...stages.features(application), late }));
  });
}
