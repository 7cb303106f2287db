import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";
import { registerTracing } from "./tracing.js";

interface Core {
  readonly withSpan: <F>(body: F, options: { name: string; kind: string }) => F;
}

export const openInference: CreateContender = async () => {
  const { withSpan } = await installed<Core>("@arizeai/openinference-core");
  const { flush, lost } = registerTracing();
  return {
    version: versionOf("@arizeai/openinference-core"),
    flush,
    lost,
    wrap: (name, role, body) => withSpan(body, { name, kind: role === "tool" ? "TOOL" : "CHAIN" }),
  };
};
