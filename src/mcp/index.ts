/** `hindcast/mcp`: what clients of the Model Context Protocol ask, as effects. */
export type { Capture } from "../capture/capture.js";
export { type McpClientClass, mcpCapture, type McpErrorClass } from "./mcp-capture.js";
