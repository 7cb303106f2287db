import { Redis, ReplyError } from "ioredis";
import { redisCapture } from "hindcast/redis";
import * as nodeRedis from "redis";
import type { DriverFixture } from "./run-driver.js";

const port = Number(process.env["SERVER_PORT"] ?? 6379);
const options = { host: "127.0.0.1", port, lazyConnect: true, maxRetriesPerRequest: 1 };

const redis = new Redis(options);
const client = nodeRedis.createClient({ socket: { host: "127.0.0.1", port } });
client.on("error", () => undefined);
redis.on("error", () => undefined);
redis.defineCommand("addTwice", {
  numberOfKeys: 1,
  lua: "redis.call('incrby', KEYS[1], ARGV[1]); return redis.call('incrby', KEYS[1], ARGV[1])",
});
type WithScript = { addTwice(key: string, by: number): Promise<number> };

let connecting: Promise<unknown> | undefined;
/** As a lazily made client is in a service: the first run connects it. */
async function connected(): Promise<typeof client> {
  if (!client.isOpen) connecting ??= client.connect();
  await connecting;
  return client;
}

const failing = async (body: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await body();
  } catch (error) {
    const { name, message } = error as Error;
    return [error instanceof ReplyError, error instanceof nodeRedis.ErrorReply, name, message];
  }
};

const key = (name: string, id: number): string => `hc:${name}:${id}`;

export const fixture: DriverFixture = {
  captures: { redis: redisCapture(Redis, nodeRedis) },
  programs: {
    "ioredis: commands": async (id) => {
      const one = key("one", id);
      await redis.set(one, `v ${Math.random()}`);
      await redis.hset(key("hash", id), { a: 1, b: String(Math.random()) });
      return [
        await redis.get(one),
        await redis.getBuffer(one).then((value) => [Buffer.isBuffer(value), value?.toString()]),
        await redis.hgetall(key("hash", id)),
        await redis.incr("hc:counter"),
        await redis.get("hc:none"),
        await redis.time(),
      ];
    },
    "ioredis: many at once": async (id) => {
      const counts = await Promise.all(Array.from({ length: 10 }, () => redis.incr(`hc:c${id % 3}`)));
      return [counts, await Promise.race([redis.incr("hc:race"), redis.incrby("hc:race", 10)])];
    },
    "ioredis: a callback": (id) =>
      new Promise((resolve, reject) => {
        void redis.incrby(key("callback", id), 3, (error, value) => {
          if (error) reject(error);
          else resolve(value);
        });
      }),
    "ioredis: pipeline and multi": async (id) => {
      const piped = await redis
        .pipeline()
        .set(key("p", id), Math.random())
        .get(key("p", id))
        .incr("hc:piped")
        .exec();
      const multi = await redis
        .multi()
        .hset(key("m", id), "x", Math.random())
        .hgetall(key("m", id))
        .incr("hc:multi")
        .exec();
      const failed = await redis.pipeline().set(key("s", id), "text").incr(key("s", id)).exec();
      return [
        piped,
        multi,
        failed?.map(([error, value]) => [error instanceof ReplyError, error?.message, value]),
      ];
    },
    "ioredis: scripts": async (id) => [
      await (redis as unknown as WithScript).addTwice(key("script", id), 2),
      await redis.eval("return {ARGV[1], redis.call('time')[2]}", 0, "x"),
    ],
    "ioredis: errors": async (id) => {
      await redis.set(key("error", id), "text");
      return [await failing(() => redis.incr(key("error", id))), await failing(() => redis.call("nosuch"))];
    },
    "ioredis: streams and blocking": async (id) => {
      const stream = key("stream", id);
      await redis.xadd(stream, "*", "v", Math.random());
      const list = key("list", id);
      await redis.rpush(list, Math.random());
      return [
        await redis.xread("COUNT", 5, "STREAMS", stream, "0"),
        await redis.blpop(list, 1),
        await redis.xadd(stream, "MAXLEN", 2, "*", "v", "2"),
      ];
    },
    "ioredis: subscription": async (id) => {
      const channel = key("channel", id);
      const subscriber = new Redis(options);
      const messages: unknown[] = [];
      const told = new Promise<void>((resolve) => {
        subscriber.on("message", (from, message) => {
          messages.push([from, message]);
          if (messages.length === 3) resolve();
        });
      });
      await subscriber.subscribe(channel);
      for (let index = 0; index < 3; index++) await redis.publish(channel, `${index} ${Math.random()}`);
      await told;
      await subscriber.quit();
      return messages;
    },
    "ioredis: scan": async (id) => {
      for (let index = 0; index < 5; index++) await redis.set(`hc:scan:${id}:${index}`, "x");
      const found: string[] = [];
      const stream = redis.scanStream({ match: `hc:scan:${id}:*`, count: 1000 });
      for await (const keys of stream as AsyncIterable<string[]>) found.push(...keys);
      return found.sort();
    },
    "redis: commands": async (id) => {
      const one = await connected();
      await one.set(key("n", id), String(Math.random()));
      await one.hSet(key("nh", id), { a: "1", b: String(Math.random()) });
      return [
        await one.get(key("n", id)),
        { ...(await one.hGetAll(key("nh", id))) },
        await one.incr("hc:n"),
        await failing(async () => one.incr(key("nh", id))),
        await one.sendCommand(["TIME"]),
      ];
    },
    "redis: multi and pipeline": async (id) => {
      const one = await connected();
      const multi = await one
        .multi()
        .set(key("nm", id), String(Math.random()))
        .get(key("nm", id))
        .incr("hc:nm")
        .exec();
      const piped = await one.multi().incr("hc:np").get(key("nm", id)).execAsPipeline();
      return [multi, piped, await Promise.all([one.incr("hc:nx"), one.incr("hc:nx"), one.incr("hc:nx")])];
    },
    "redis: subscription": async (id) => {
      const publisher = await connected();
      const subscriber = client.duplicate();
      subscriber.on("error", () => undefined);
      await subscriber.connect();
      const channel = key("nch", id);
      const messages: string[] = [];
      let done = (): void => undefined;
      const told = new Promise<void>((resolve) => {
        done = resolve;
      });
      await subscriber.subscribe(channel, (message) => {
        messages.push(message);
        if (messages.length === 3) done();
      });
      for (let index = 0; index < 3; index++) await publisher.publish(channel, `${index} ${Math.random()}`);
      await told;
      await subscriber.unsubscribe(channel);
      subscriber.destroy();
      return messages;
    },
    "redis: a scan that is iterated": async (id) => {
      const one = await connected();
      await one.set(`hc:nscan:${id}`, "x");
      const found: string[] = [];
      for await (const keys of one.scanIterator({ MATCH: `hc:nscan:${id}`, COUNT: 1000 }))
        found.push(...keys);
      return found;
    },
  },
  async close() {
    await redis.quit();
    await client.close();
  },
};
