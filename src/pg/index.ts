/** `hindcast/pg`: what is asked of PostgreSQL through the driver `pg`, as effects. */
export type { Capture } from "../capture/capture.js";
export { pgCapture } from "./pg-capture.js";
export type { PgModule } from "./pg-module.js";
