import { setTimeout as sleep } from "node:timers/promises";
import { redisCapture } from "hindcast/redis";
import type { Row } from "./row.js";

const work = async (id: number): Promise<number> => {
  await sleep(Math.random() * 3);
  return id + Math.random();
};

export const queues: readonly Row[] = [
  {
    name: "p-queue: of the run's own",
    packages: ["p-queue"],
    madeExact: "nothing",
    make: async () => {
      const { default: PQueue } = await import("p-queue");
      return {
        run: async (id) => {
          const queue = new PQueue({ concurrency: 2 });
          return Promise.all([1, 2, 3, 4].map((step) => queue.add(() => work(id + step))));
        },
      };
    },
  },
  {
    name: "p-queue: shared by runs",
    packages: ["p-queue"],
    madeExact: '`hc.effect({ name: "queued" }, (job) => queue.add(() => work(job)))`',
    make: async (hc) => {
      const { default: PQueue } = await import("p-queue");
      const queue = new PQueue({ concurrency: 2 });
      const queued = hc.effect({ name: "queued" }, (id: number) => queue.add(() => work(id)));
      return { run: async (id) => Promise.all([queued(id), queued(id + 1)]) };
    },
  },
  {
    name: "p-queue: shared by runs, undeclared",
    packages: ["p-queue"],
    madeExact: "nothing",
    make: async () => {
      const { default: PQueue } = await import("p-queue");
      const queue = new PQueue({ concurrency: 2 });
      return { run: async (id) => queue.add(() => work(id)) };
    },
  },
  {
    name: "p-limit: of the run's own",
    packages: ["p-limit"],
    madeExact: "nothing",
    make: async () => {
      const { default: pLimit } = await import("p-limit");
      return {
        run: async (id) => {
          const limit = pLimit(2);
          return Promise.all([1, 2, 3, 4].map((step) => limit(() => work(id + step))));
        },
      };
    },
  },
  {
    name: "p-limit: shared by runs",
    packages: ["p-limit"],
    madeExact: '`hc.effect({ name: "limited" }, (job) => limit(() => work(job)))`',
    make: async (hc) => {
      const { default: pLimit } = await import("p-limit");
      const limit = pLimit(2);
      const limited = hc.effect({ name: "limited" }, (id: number) => limit(() => work(id)));
      return { run: async (id) => Promise.all([limited(id), limited(id + 1)]) };
    },
  },
  {
    name: "p-retry",
    packages: ["p-retry"],
    madeExact: "nothing",
    make: async () => {
      const { default: pRetry } = await import("p-retry");
      return {
        run: async (id) => {
          let attempts = 0;
          const value = await pRetry(
            async () => {
              attempts += 1;
              const drawn = await work(id);
              if (attempts < 3 && drawn - id < 0.7) throw new Error("again");
              return drawn;
            },
            { retries: 4, minTimeout: 1, maxTimeout: 3, randomize: true },
          );
          return [value, attempts];
        },
      };
    },
  },
  {
    name: "rxjs",
    packages: ["rxjs"],
    madeExact: "nothing",
    make: async () => {
      const { from, interval, lastValueFrom, map, merge, mergeMap, take, toArray } = await import("rxjs");
      return {
        run: async (id) =>
          lastValueFrom(
            merge(
              from([1, 2, 3]).pipe(mergeMap((step) => work(id + step), 2)),
              interval(1).pipe(
                take(3),
                map((tick) => tick + Math.random()),
              ),
            ).pipe(toArray()),
          ),
      };
    },
  },
  {
    name: "bullmq: adding jobs, to a queue that the first run makes",
    packages: ["bullmq", "ioredis"],
    servers: ["redis"],
    madeExact: "`redisCapture(Redis)`",
    captures: async () => ({ redis: redisCapture((await import("ioredis")).Redis) }),
    make: async () => {
      const { Queue } = await import("bullmq");
      const { Redis } = await import("ioredis");
      const connection = new Redis({
        host: "127.0.0.1",
        port: 6379,
        lazyConnect: true,
        maxRetriesPerRequest: null,
      });
      connection.on("error", () => undefined);
      let queue: InstanceType<typeof Queue> | undefined;
      return {
        run: async (id) => {
          queue ??= new Queue("hc-matrix", { connection: connection as never });
          const job = await queue.add("work", { id, chance: Math.random() });
          return [job.id, job.timestamp, job.data] as unknown;
        },
        close: async () => {
          await queue?.close();
          connection.disconnect();
        },
      };
    },
  },
  {
    name: "bullmq: adding jobs, declared",
    packages: ["bullmq"],
    servers: ["redis"],
    madeExact: '`hc.effect({ name: "jobs.add" }, async (id) => (await queue().add("work", { id })).id)`',
    make: async (hc) => {
      const { Queue } = await import("bullmq");
      let queue: InstanceType<typeof Queue> | undefined;
      const made = () =>
        (queue ??= new Queue("hc-matrix-declared", { connection: { host: "127.0.0.1", port: 6379 } }));
      const add = hc.effect(
        { name: "jobs.add" },
        async (id: number) => (await made().add("work", { id })).id,
      );
      return { run: async (id) => [await add(id), await add(id + 1)], close: () => queue?.close() };
    },
  },
  {
    name: "execa: processes",
    packages: ["execa"],
    madeExact: '`hc.effect({ name: "execa" }, (file, input) => execa(file, input))`',
    make: async (hc) => {
      const { execa } = await import("execa");
      const run = hc.effect({ name: "execa" }, (file: string, input: string[]) => execa(file, input));
      return {
        run: async (id) => {
          const { stdout, exitCode } = await run("sh", ["-c", `echo ${id} $$`]);
          return [stdout, exitCode];
        },
      };
    },
  },
];
