/** `hindcast/http`: exchanges of `node:http` and `node:https` clients as effects. */
export type { Capture } from "../capture/capture.js";
export { httpCapture } from "./http-capture.js";
