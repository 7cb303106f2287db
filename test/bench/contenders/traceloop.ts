import type { CreateContender } from "./contender.js";
import { installed, versionOf } from "./installed.js";

interface Traceloop {
  readonly initialize: (options: object) => void;
  readonly withTask: <R>(options: { name: string }, body: (value: unknown) => R, value: unknown) => R;
  readonly withTool: <R>(options: { name: string }, body: (value: unknown) => R, value: unknown) => R;
  readonly forceFlush: () => Promise<void>;
}

/** It brings the OpenTelemetry SDK of its own, so it gets an exporter and no provider. */
export const traceloop: CreateContender = async () => {
  const sdk = await installed<Traceloop>("@traceloop/node-server-sdk");
  sdk.initialize({
    appName: "bench",
    disableBatch: false,
    silenceInitializationMessage: true,
    traceloopSyncEnabled: false,
    instrumentModules: {},
    exporter: {
      export: (_spans: unknown, done: (result: { code: number }) => void) => done({ code: 0 }),
      shutdown: () => Promise.resolve(),
      forceFlush: () => Promise.resolve(),
    },
  });
  return {
    version: versionOf("@traceloop/node-server-sdk"),
    flush: () => sdk.forceFlush(),
    wrap(name, role, body) {
      const watch = role === "tool" ? sdk.withTool : sdk.withTask;
      return ((value: unknown) => watch({ name }, body, value)) as typeof body;
    },
  };
};
