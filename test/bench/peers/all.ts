/** The wrappers that are compared. Their packages are the benchmark's own and may be missing. */
import { type Hindcast, hindcast, memoryStore, type Store } from "hindcast";
import { installed, versionOf } from "../contenders/installed.js";
import { LIBRARY_VERSION } from "../../../src/version.js";
import type { AnyFunction, CreatePeer } from "./peer.js";
import { exporterWith, registerSdk } from "./tracing.js";

export const PEERS = [
  "bare",
  "hindcast",
  "langfuse",
  "open-inference",
  "langsmith",
  "braintrust",
  "traceloop",
] as const;
export type PeerName = (typeof PEERS)[number];

export const TITLES: Readonly<Record<PeerName, string>> = {
  bare: "no wrapper",
  hindcast: "hindcast `hc.tool`",
  langfuse: "Langfuse `observe`",
  "open-inference": "OpenInference `withSpan`",
  langsmith: "LangSmith `traceable`",
  braintrust: "Braintrust `wrapTraced`",
  traceloop: "Traceloop `@task`",
};

function hookThatThrows(): never {
  throw new Error("this hook fails");
}

/** Shows that the cases themselves change nothing. */
const bare: CreatePeer = () =>
  Promise.resolve({
    version: "",
    wrap: (body) => body,
    wrapWithFailingHook: (body) => body,
    takesExporters: true,
    flush: () => Promise.resolve(),
  });

const hindcastPeer: CreatePeer = ({ fault }) => {
  const flushSpans = registerSdk(fault);
  const failingStore: Store = {
    ...memoryStore(),
    append() {
      const error = new Error("this store fails");
      if (fault === "throws") throw error;
      return Promise.reject(error);
    },
  };
  const quiet = { logger: { warn: () => undefined } };
  const hc = hindcast({
    service: "peers",
    ...quiet,
    ...(fault === undefined ? {} : { store: failingStore }),
  });
  const hooked = hindcast({
    service: "peers",
    keep: { name: "fails", keeps: hookThatThrows },
    onError: hookThatThrows,
    logger: { warn: hookThatThrows },
  });
  const wrapIn =
    (instance: Hindcast) =>
    <F extends AnyFunction>(body: F): F =>
      instance.tool({ name: body.name === "" ? "case" : body.name }, body);
  return Promise.resolve({
    version: LIBRARY_VERSION,
    wrap: wrapIn(hc),
    wrapWithFailingHook: wrapIn(hooked),
    takesExporters: true,
    flush: async () => {
      await hc.flush();
      await hooked.flush();
      await flushSpans();
    },
  });
};

const langfuse: CreatePeer = async ({ fault }) => {
  const { observe } = await installed<{ observe: <F>(body: F, options: object) => F }>("@langfuse/tracing");
  const flush = registerSdk(fault);
  return {
    version: versionOf("@langfuse/tracing"),
    wrap: (body) => observe(body, { name: "case" }),
    wrapWithFailingHook: undefined,
    takesExporters: true,
    flush,
  };
};

const openInference: CreatePeer = async ({ fault }) => {
  const { withSpan } = await installed<{ withSpan: <F>(body: F, options: object) => F }>(
    "@arizeai/openinference-core",
  );
  const flush = registerSdk(fault);
  return {
    version: versionOf("@arizeai/openinference-core"),
    wrap: (body) => withSpan(body, { name: "case" }),
    wrapWithFailingHook: (body) => withSpan(body, { name: "case", processOutput: hookThatThrows }),
    takesExporters: true,
    flush,
  };
};

/** Nothing listens there. */
const NOWHERE = "http://127.0.0.1:9";

const langsmith: CreatePeer = async ({ sink, fault }) => {
  const { traceable } = await installed<{ traceable: <F>(body: F, options: object) => F }>(
    "langsmith/traceable",
  );
  const { Client } = await installed<{
    Client: new (options: object) => { awaitPendingTraceBatches: () => Promise<void> };
  }>("langsmith");
  const client = new Client({
    apiUrl: fault === undefined ? sink : NOWHERE,
    apiKey: "none",
    callerOptions: { maxRetries: 0 },
  });
  const options = { name: "case", client, tracingEnabled: true };
  return {
    version: versionOf("langsmith"),
    wrap: (body) => traceable(body, options),
    wrapWithFailingHook: (body) => traceable(body, { ...options, processInputs: hookThatThrows }),
    takesExporters: false,
    flush: () => client.awaitPendingTraceBatches(),
  };
};

const braintrust: CreatePeer = async ({ sink, fault }) => {
  const { initLogger, wrapTraced, flush, setMaskingFunction } = await installed<{
    initLogger: (options: object) => unknown;
    wrapTraced: <F>(body: F, options: object) => F;
    setMaskingFunction: (mask: (value: unknown) => unknown) => void;
    flush: () => Promise<void>;
  }>("braintrust");
  const appUrl = fault === undefined ? sink : NOWHERE;
  initLogger({ projectName: "peers", apiKey: "none", appUrl, asyncFlush: true, noExitFlush: true });
  return {
    version: versionOf("braintrust"),
    wrap: (body) => wrapTraced(body, { name: "case" }),
    wrapWithFailingHook: (body) => {
      setMaskingFunction(hookThatThrows);
      return wrapTraced(body, { name: "case" });
    },
    takesExporters: false,
    flush,
  };
};

const traceloop: CreatePeer = async ({ fault }) => {
  const sdk = await installed<{
    initialize: (options: object) => void;
    task: (options: object) => (target: object, key: string, descriptor: PropertyDescriptor) => void;
    forceFlush: () => Promise<void>;
  }>("@traceloop/node-server-sdk");
  sdk.initialize({
    appName: "peers",
    disableBatch: false,
    silenceInitializationMessage: true,
    traceloopSyncEnabled: false,
    instrumentModules: {},
    exporter: exporterWith(fault),
  });
  return {
    version: versionOf("@traceloop/node-server-sdk"),
    wrap: (body) => {
      const descriptor: PropertyDescriptor = { value: body, writable: true, configurable: true };
      sdk.task({ name: "case" })({}, "run", descriptor);
      return descriptor.value as typeof body;
    },
    wrapWithFailingHook: undefined,
    takesExporters: true,
    flush: () => sdk.forceFlush(),
  };
};

export const peers: Readonly<Record<PeerName, CreatePeer>> = {
  bare,
  hindcast: hindcastPeer,
  langfuse,
  "open-inference": openInference,
  langsmith,
  braintrust,
  traceloop,
};
