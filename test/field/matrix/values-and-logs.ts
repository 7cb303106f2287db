import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "./row.js";

export const valuesAndLogs: readonly Row[] = [
  {
    name: "decimal.js",
    packages: ["decimal.js"],
    madeExact: "nothing",
    make: async () => {
      const { Decimal } = await import("decimal.js");
      return {
        run: async (id) => [
          new Decimal(Math.random()).plus(id).times("1.1").toString(),
          Decimal.random(30).toString(),
          new Decimal(2).pow(0.5).toFixed(20),
        ],
      };
    },
  },
  {
    name: "dayjs",
    packages: ["dayjs"],
    madeExact: "nothing",
    make: async () => {
      const { default: dayjs } = await import("dayjs");
      return {
        run: async (id) => {
          const before = dayjs();
          await sleep(2);
          return [before.toISOString(), dayjs().diff(before), dayjs().add(id, "day").format()];
        },
      };
    },
  },
  {
    name: "zod",
    packages: ["zod"],
    madeExact: "nothing",
    make: async () => {
      const { z } = await import("zod");
      const Order = z.object({ id: z.number(), at: z.coerce.date(), note: z.string().default("none") });
      return {
        run: async (id) => [
          Order.parse({ id, at: Date.now() }),
          Order.safeParse({ id: `${Math.random()}` }).error?.issues.map(({ path }) => path),
        ],
      };
    },
  },
  {
    name: "pino",
    packages: ["pino"],
    madeExact: "nothing",
    make: async () => {
      const { default: pino } = await import("pino");
      const log = pino(pino.destination({ dest: "/dev/null", sync: false }));
      return {
        run: async (id) => {
          log.info({ id }, "began");
          await sleep(1);
          log.child({ id }).warn("ended");
          return [id, Math.random(), Date.now()];
        },
      };
    },
  },
  {
    name: "pino: a transport in a worker",
    packages: ["pino"],
    madeExact: "nothing",
    make: async () => {
      const { default: pino } = await import("pino");
      const transport = pino.transport({ target: "pino/file", options: { destination: "/dev/null" } }) as {
        end(): void;
      };
      const log = pino(transport as never);
      return {
        run: async (id) => {
          log.info({ id }, "began");
          await sleep(1);
          log.warn({ id }, "ended");
          return [id, Math.random(), Date.now()];
        },
        close: () => transport.end(),
      };
    },
  },
  {
    name: "winston",
    packages: ["winston"],
    madeExact: "nothing",
    make: async () => {
      const { default: winston } = await import("winston");
      const file = join(tmpdir(), `hindcast-matrix-${process.pid}.log`);
      const log = winston.createLogger({
        format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
        transports: [new winston.transports.File({ filename: file })],
      });
      return {
        run: async (id) => {
          log.info("began", { id });
          await sleep(1);
          log.warn("ended", { id });
          return [id, Math.random(), Date.now()];
        },
        close: () => {
          log.close();
          rmSync(file, { force: true });
        },
      };
    },
  },
  {
    name: "prom-client",
    packages: ["prom-client"],
    madeExact: "nothing",
    make: async () => {
      const { default: metrics } = await import("prom-client");
      const seconds = new metrics.Histogram({ name: "seconds", help: "how long it took" });
      const count = new metrics.Counter({ name: "count", help: "how many" });
      return {
        run: async (id) => {
          const end = seconds.startTimer();
          await sleep(1);
          count.inc();
          end();
          return [id, Math.random()];
        },
      };
    },
  },
];
