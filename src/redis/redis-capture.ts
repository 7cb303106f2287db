/**
 * Redis through `ioredis` and through `redis`. Within a run each command is an effect, named by the command; connecting,
 * reconnecting and waiting to be connected is the client's own business.
 */
import type { Capture } from "../capture/capture.js";
import { defineCapture } from "../capture/define-capture.js";
import { HindcastError } from "../errors.js";
import { type IoRedisModule, patchIoRedis } from "./ioredis.js";
import { type NodeRedisModule, patchNodeRedis } from "./node-redis.js";

/** The class `Redis` of `ioredis`, or the package `redis`. */
export type RedisModule = IoRedisModule | NodeRedisModule;

/** Captures what is asked through `ioredis` or `redis`, or both: `hindcast({ capture: { redis: redisCapture(Redis) } })`. */
export function redisCapture(...modules: readonly RedisModule[]): Capture {
  if (modules.length === 0 || !modules.every((module) => isIoRedis(module) || isNodeRedis(module))) {
    throw new HindcastError(
      "invalid-options",
      "redisCapture(module): give the class Redis of ioredis, or the package redis (import * as redis).",
    );
  }
  return defineCapture({
    name: "redis",
    target: modules[0] as object,
    preparations: ["connect", "isopen", "isready"],
    patch: (tools) =>
      modules.flatMap((module) =>
        isIoRedis(module) ? patchIoRedis(module, tools) : patchNodeRedis(module, tools),
      ),
  });
}

function isIoRedis(module: RedisModule): module is IoRedisModule {
  return typeof (module as Partial<IoRedisModule>).prototype?.sendCommand === "function";
}

function isNodeRedis(module: RedisModule): module is NodeRedisModule {
  return typeof (module as Partial<NodeRedisModule>).createClient === "function";
}
