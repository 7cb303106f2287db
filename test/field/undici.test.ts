import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field("undici", { packages: ["undici"] }, () => {
  tryDriver("undici");
});
