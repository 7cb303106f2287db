import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field("better-sqlite3", { packages: ["better-sqlite3", "drizzle-orm", "kysely"] }, () => {
  tryDriver("sqlite");
});
