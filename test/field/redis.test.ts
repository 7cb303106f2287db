import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field("ioredis and redis", { packages: ["ioredis", "redis"], servers: ["redis"] }, () => {
  tryDriver("redis");
});
