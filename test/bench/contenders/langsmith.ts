import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";

interface LangSmithClient {
  awaitPendingTraceBatches(): Promise<void>;
}
interface LangSmith {
  Client: new (options: { apiUrl: string; apiKey: string; autoBatchTracing: boolean }) => LangSmithClient;
}
interface Traceable {
  readonly traceable: <F>(body: F, options: object) => F;
}

export const langsmith: CreateContender = async ({ sink }) => {
  const { traceable } = await installed<Traceable>("langsmith/traceable");
  const { Client } = await installed<LangSmith>("langsmith");
  const client = new Client({ apiUrl: sink, apiKey: "none", autoBatchTracing: true });
  return {
    version: versionOf("langsmith"),
    flush: () => client.awaitPendingTraceBatches(),
    wrap: (name, role, body) =>
      traceable(body, { name, client, tracingEnabled: true, run_type: role === "tool" ? "tool" : "chain" }),
  };
};
