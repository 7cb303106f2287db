import { tryDriver } from "./drivers/try-driver.js";
import { field } from "./field.js";

await field("the Model Context Protocol", { packages: ["@modelcontextprotocol/sdk", "zod"] }, () => {
  tryDriver("mcp");
});
