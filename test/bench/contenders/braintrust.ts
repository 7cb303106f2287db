import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";

interface Braintrust {
  readonly initLogger: (options: object) => unknown;
  readonly wrapTraced: <F>(body: F, options: { name: string; type?: string }) => F;
  readonly flush: () => Promise<void>;
}

export const braintrust: CreateContender = async ({ sink }) => {
  const { initLogger, wrapTraced, flush } = await installed<Braintrust>("braintrust");
  initLogger({ projectName: "bench", apiKey: "none", appUrl: sink, asyncFlush: true, noExitFlush: true });
  return {
    version: versionOf("braintrust"),
    flush: () => flush(),
    wrap: (name, role, body) => wrapTraced(body, { name, type: role === "tool" ? "tool" : "task" }),
  };
};
