/** `hindcast/http`: exchanges of `node:http` and `node:https` clients as effects. */
export type { HttpCapture } from "../ambient/ambient.js";
export { httpCapture } from "./http-capture.js";
