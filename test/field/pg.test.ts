import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field(
  "pg, and what is built on it",
  { packages: ["pg", "pg-cursor", "pg-query-stream", "drizzle-orm", "kysely"], servers: ["postgres"] },
  () => {
    tryDriver("pg");
  },
);
