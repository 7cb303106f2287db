/** Four workers that write into one directory, as threads or as processes; prints how many capsules they stored. */
import cluster from "node:cluster";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { fileStore, hindcast } from "hindcast";

const WORKERS = 4;
const RUNS = 300;

async function work(dir: string): Promise<number> {
  const hc = hindcast({ service: "workers", store: fileStore({ dir, segmentBytes: 20_000 }) });
  const step = hc.tool({ name: "step" }, async (index: number) => ({ index, text: "x".repeat(index) }));
  const flow = hc.pipeline({ name: "flow" }, async (index: number) => (await step(index)).index);
  for (let index = 0; index < RUNS; index += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, offset) => flow(index + offset)));
  }
  await hc.close();
  return hc.stats().capsules.stored;
}

async function threads(dir: string): Promise<number[]> {
  // The hooks that load TypeScript do not reach the threads of Node 20: each registers them.
  const file = JSON.stringify(fileURLToPath(import.meta.url));
  const program = `import("tsx/esm/api").then(({ register }) => (register(), import(${file})))`;
  return Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const worker = new Worker(program, { eval: true, workerData: { dir } });
      const exit = once(worker, "exit");
      const [stored] = (await once(worker, "message")) as [number];
      await exit;
      return stored;
    }),
  );
}

async function processes(): Promise<number[]> {
  return Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const worker = cluster.fork();
      const exit = once(worker, "exit");
      const [stored] = (await once(worker, "message")) as [number];
      await exit;
      return stored;
    }),
  );
}

const [, , how, dir = "."] = process.argv;
if (!isMainThread) parentPort?.postMessage(await work((workerData as { dir: string }).dir));
else if (cluster.isWorker) {
  process.send?.(await work(dir));
  cluster.worker?.disconnect();
} else {
  const stored = await (how === "cluster" ? processes() : threads(dir));
  writeSync(1, `${JSON.stringify({ stored: stored.reduce((sum, count) => sum + count, 0) })}\n`);
}
