import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";
import { registerTracing } from "./tracing.js";

interface Tracing {
  readonly observe: <F>(body: F, options: { name: string; asType?: string }) => F;
}

/** `observe`, with a span processor that is not its own: what is measured is its path of spans alone. */
export const langfuse: CreateContender = async () => {
  const { observe } = await installed<Tracing>("@langfuse/tracing");
  const { flush, lost } = registerTracing();
  return {
    version: versionOf("@langfuse/tracing"),
    flush,
    lost,
    wrap: (name, role, body) => observe(body, { name, asType: role === "tool" ? "tool" : "span" }),
  };
};
