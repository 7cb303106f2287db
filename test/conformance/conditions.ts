/** The conditions in which a wrapped function must do as the bare one: whatever listens, or fails, beside it. */
import { AlwaysOffSampler, BasicTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-base";
import { trace } from "@opentelemetry/api";
import {
  type FailureSource,
  hindcast,
  type Hindcast,
  type HindcastOptions,
  type HindcastStats,
  keep,
  memoryStore,
} from "hindcast";
import { storeThat } from "../record/stores.js";
import type { Case } from "./trial.js";
import { registerContextManager, registerTracing, unregisterTracing } from "../telemetry/tracing.js";

export interface Condition {
  readonly name: string;
  readonly options: () => Partial<HindcastOptions>;
  readonly register?: () => void;
  /** Whether runs are opened at all. */
  readonly runs: boolean;
  /** Whether runs are recorded, and so have conductors. */
  readonly recorded: boolean;
  /** Whether capsules come into the store. */
  readonly stored: boolean;
  /** What fails here, and must be counted. */
  readonly failing: readonly FailureSource[];
}

function refuse(): never {
  throw new Error("refused");
}

const failing: SpanProcessor = {
  onStart: refuse,
  onEnd: refuse,
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};

const quiet = { logger: { warn: () => undefined } };

export const conditions: readonly Condition[] = [
  { name: "recorded", options: () => quiet, runs: true, recorded: true, stored: true, failing: [] },
  {
    name: "off",
    options: () => ({ ...quiet, keep: [] }),
    runs: false,
    recorded: false,
    stored: false,
    failing: [],
  },
  {
    name: "telemetry only",
    options: () => ({ ...quiet, keep: [] }),
    register: registerTracing,
    runs: true,
    recorded: false,
    stored: false,
    failing: [],
  },
  {
    name: "recorded, telemetry",
    options: () => quiet,
    register: registerTracing,
    runs: true,
    recorded: true,
    stored: true,
    failing: [],
  },
  {
    name: "sampled out",
    options: () => ({ ...quiet, keep: keep.sample(0) }),
    register: () => void registerTracing({ sampler: new AlwaysOffSampler() }),
    runs: true,
    recorded: true,
    stored: false,
    failing: [],
  },
  {
    name: "store fails",
    options: () => ({ ...quiet, store: storeThat(() => Promise.reject(new Error("down"))) }),
    runs: true,
    recorded: true,
    stored: false,
    failing: ["store"],
  },
  {
    name: "store throws",
    options: () => ({ ...quiet, store: { ...memoryStore(), append: refuse } }),
    runs: true,
    recorded: true,
    stored: false,
    failing: ["store"],
  },
  {
    name: "hooks throw",
    options: () => ({
      onError: refuse,
      logger: { warn: refuse },
      keep: [
        { name: "throws", keeps: refuse },
        { name: "rejects", keeps: (async () => refuse()) as unknown as () => boolean },
        { name: "hostile", keeps: (run) => (run as unknown as { duration: { no: boolean } }).duration.no },
      ],
    }),
    runs: true,
    recorded: true,
    stored: false,
    failing: ["keep", "logger"],
  },
  {
    name: "processors throw",
    options: () => quiet,
    register() {
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [failing] }));
      registerContextManager();
    },
    runs: true,
    recorded: true,
    stored: true,
    failing: ["listener"],
  },
];

/** An instance in that condition. `end` takes everything back. */
export function enter(condition: Condition): { readonly hc: Hindcast; readonly end: () => Promise<void> } {
  condition.register?.();
  const hc = hindcast({ service: "conformance", ...condition.options() });
  return {
    hc,
    async end() {
      await hc.close();
      unregisterTracing();
    },
  };
}

/** What the counters say that they must not, after a case. */
export async function judge(
  condition: Condition,
  hc: Hindcast,
  before: HindcastStats,
  { open }: Case,
): Promise<string[]> {
  // Once more where runs that an earlier case left open, and the collector found, have ended in the meantime.
  for (let flushed = 0; flushed === 0 || (flushed < 10 && hc.stats().capsules.waiting > 0); flushed++) {
    await hc.flush();
  }
  const after = hc.stats();
  const problems: string[] = [];
  const must = (holds: boolean, what: string): void => {
    if (!holds) problems.push(`stats: ${what} ${JSON.stringify(after)}`);
  };
  const started = after.runs.started - before.runs.started;
  const ended = after.runs.ended - before.runs.ended;
  must(condition.runs || started === 0, `${started} runs started`);
  // Runs that an earlier case left open may end now, so that there may be more.
  must(open || ended >= started, `${ended} runs of ${started} ended`);
  const { stored, waiting, lost } = after.capsules;
  must(waiting === 0, `${waiting} wait`);
  const all = after.runs.discarded + stored + lost.queue + lost.codec + lost.store;
  must(all === after.runs.ended, `${after.runs.ended} ended, ${all} are accounted for`);
  must(condition.stored || stored === 0, `${stored} were stored`);
  must(!condition.stored || lost.store + lost.codec + lost.queue === 0, "capsules were lost");
  for (const [source, count] of Object.entries(after.failures)) {
    const fails = condition.failing.includes(source as FailureSource);
    must(fails || count === 0, `failures of ${source}`);
    must(!fails || after.runs.ended === 0 || count > 0, `no failures of ${source}`);
  }
  return problems;
}
