import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field("knex", { packages: ["knex", "pg", "pg-query-stream"], servers: ["postgres"] }, () => {
  tryDriver("knex");
});
