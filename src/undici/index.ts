/** `hindcast/undici`: what is exchanged through the package `undici`, as effects. */
export type { Capture } from "../capture/capture.js";
export { undiciCapture, type UndiciModule } from "./undici-capture.js";
