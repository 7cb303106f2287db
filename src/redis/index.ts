/** `hindcast/redis`: what is asked of Redis through `ioredis` or `redis`, as effects. */
export type { Capture } from "../capture/capture.js";
export type { IoRedisModule } from "./ioredis.js";
export type { NodeRedisModule } from "./node-redis.js";
export { redisCapture, type RedisModule } from "./redis-capture.js";
