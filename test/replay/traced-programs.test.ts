/** Random programs that trace: recorded with an OpenTelemetry SDK or without, and replayed with one or without. */
import { trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { type Hindcast, hindcast, memoryStore } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterEach, expect, test } from "vitest";
import { isLive, prepare, programs, type RunnableProgram, type Step } from "../programs/program.js";
import { startRandomServer } from "../programs/random-server.js";
import { spansAround } from "../programs/spans.js";
import { registerContextManager, unregisterTracing } from "../telemetry/tracing.js";

const COUNT = process.env["HINDCAST_LONG"] === "1" ? 2_000 : 120;
const AT_ONCE = 40;

afterEach(unregisterTracing);

/** Spans that programs have started. What has lost a race goes on, and traces on while its run is replayed. */
interface Started {
  live: number;
  replayed: number;
}

function registerCounting(): Started {
  const started: Started = { live: 0, replayed: 0 };
  const onStart = (): void => {
    if (isLive() === true) started.live += 1;
    else if (isLive() === false) started.replayed += 1;
  };
  const done = (): Promise<void> => Promise.resolve();
  const processor = { onStart, onEnd: () => undefined, forceFlush: done, shutdown: done };
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
  registerContextManager();
  return started;
}

interface Recorded {
  readonly program: Step;
  readonly hc: Hindcast;
  readonly runnable: RunnableProgram;
  readonly outcome: string;
  readonly seen: readonly string[];
}

async function settled(promise: Promise<unknown>): Promise<string> {
  return JSON.stringify(
    await promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error: String(error) }),
    ),
  );
}

async function record(program: Step, server: string): Promise<Recorded> {
  const hc = hindcast({ service: "traced", store: memoryStore() });
  const perform = async (name: string, delay: number, fails: boolean): Promise<string> => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
    if (fails) throw new RangeError(name);
    return name;
  };
  const runnable = prepare(hc, program, perform, server, undefined, undefined, spansAround);
  const controller = new AbortController();
  setTimeout(() => controller.abort("enough"), Math.random() * 8);
  const outcome = await settled(runnable.entry(7, controller.signal));
  const seen = [...runnable.observations()];
  await hc.flush();
  runnable.live = false;
  return { program, hc, runnable, outcome, seen };
}

/** Undefined where it is identical, saw the same, and was recorded without an alarm. */
async function replayed({ program, hc, runnable, outcome, seen }: Recorded): Promise<string | undefined> {
  await using _closing = hc;
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    const result = await replay(stored, runnable.entry);
    const again = await settled(
      result.outcome.status === "ok"
        ? Promise.resolve(result.outcome.value)
        : Promise.reject((result.outcome as { readonly error?: unknown }).error),
    );
    const saw = runnable.observations();
    const { exact, reasons } = readCapsule(stored).replayable;
    if (
      result.verdict === "identical" &&
      exact &&
      again === outcome &&
      JSON.stringify(saw) === JSON.stringify(seen)
    ) {
      return undefined;
    }
    return [JSON.stringify(program), JSON.stringify(reasons), explain(result), outcome, again].join("\n");
  }
  return "nothing was recorded";
}

for (const [recordedWith, replayedWith] of [
  ["an SDK", "none"],
  ["none", "an SDK"],
  ["an SDK", "an SDK"],
] as const) {
  test(`G4: ${COUNT} programs that trace, recorded with ${recordedWith} and replayed with ${replayedWith}`, async () => {
    await using server = await startRandomServer();
    const failures: string[] = [];
    let made = 0;
    let exact = 0;
    const sample = fc.sample(programs, COUNT);
    for (let start = 0; start < COUNT; start += AT_ONCE) {
      const recording = recordedWith === "none" ? undefined : registerCounting();
      const batch = sample.slice(start, start + AT_ONCE);
      const runs = await Promise.all(
        batch.map((program, index) => record(program, `${server.url}/${start + index}`)),
      );
      made += recording?.live ?? 0;
      unregisterTracing();
      const replaying = replayedWith === "none" ? undefined : registerCounting();
      for (const failure of await Promise.all(runs.map(replayed))) {
        if (failure === undefined) exact += 1;
        else failures.push(failure);
      }
      expect(replaying?.replayed ?? 0).toBe(0);
      unregisterTracing();
    }
    console.log(
      `traced programs: recorded with ${recordedWith} (${made} spans), replayed with ${replayedWith}: ${exact} of ${COUNT} exact`,
    );
    expect(failures.slice(0, 2)).toEqual([]);
    expect(exact).toBe(COUNT);
    expect(made > 0).toBe(recordedWith !== "none");
  }, 600_000);
}
