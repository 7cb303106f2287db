/** `hindcast/knex`: the pools of knex, as effects. */
export type { Capture } from "../capture/capture.js";
export { knexCapture, type KnexClientClass } from "./knex-capture.js";
