/**
 * Records each test of somebody's suite as a run of its own, and replays all of them when the suite has ended: the test
 * functions of the project are the programs. What is printed is counts; no code of theirs is kept.
 */
import { appendFileSync } from "node:fs";

const { hindcast, memoryStore } = await import(process.env.HINDCAST_ENTRY ?? "hindcast");
const { replay, readCapsule } = await import(process.env.HINDCAST_REPLAY ?? "hindcast/replay");

const STORE_BYTES = 1024 * 1024 * 1024;
const REPLAY_TIMEOUT = 2_000;

/** Makes what wraps tests and replays them. Each file of a suite has one. */
export function createRecorder() {
  const store = memoryStore({ maximumBytes: STORE_BYTES, capacity: 100_000 });
  const hc = hindcast({ service: "suite", store, logger: { warn: () => undefined } });
  const entries = new Map();
  return {
    /** `body` as a pipeline: what it does, hooks included, is one run. */
    wrap(title, body) {
      const name = `${entries.size} ${title}`.slice(0, 200);
      const entry = hc.pipeline({ name }, body);
      entries.set(name, { entry, self: undefined });
      return function (...input) {
        entries.get(name).self = this;
        return Reflect.apply(entry, this, input);
      };
    },
    async finish() {
      await hc.flush();
      const report = { tests: entries.size, recorded: 0, exact: 0, identical: 0, others: {}, code: 0 };
      const seen = new Set();
      for await (const stored of store.find()) {
        const known = entries.get(stored.summary.pipeline);
        // A test that is tried again, and a pipeline of a pipeline, count once.
        if (known === undefined || seen.has(stored.summary.pipeline)) continue;
        seen.add(stored.summary.pipeline);
        report.recorded += 1;
        const { exact } = readCapsule(stored).replayable;
        if (exact) report.exact += 1;
        let what;
        try {
          const result = await replay(stored, known.entry, { self: known.self, timeout: REPLAY_TIMEOUT });
          if (result.verdict === "identical") {
            report.identical += 1;
            continue;
          }
          const cause = result.divergence?.cause ?? "";
          if (cause === "code") report.code += 1;
          what = `${result.verdict} ${result.reason ?? ""} ${cause} ${exact ? "exact" : "inexact"}`;
          if (process.env.SUITES_EXPLAIN) {
            console.error(stored.summary.pipeline, what, result.divergence?.message ?? result.message);
          }
        } catch (error) {
          what = `threw ${error?.code ?? error?.name}`;
          if (process.env.SUITES_EXPLAIN) console.error(stored.summary.pipeline, error);
        }
        report.others[what] = (report.others[what] ?? 0) + 1;
      }
      await hc.close();
      if (process.env.SUITES_REPORT) appendFileSync(process.env.SUITES_REPORT, `${JSON.stringify(report)}\n`);
      return report;
    },
  };
}

/** Calls a test or a hook that may want a callback, and gives a promise, or what it gave. */
export function callBack(fn, self, input = []) {
  if (fn.length <= input.length) return Reflect.apply(fn, self, input);
  return new Promise((resolve, reject) => {
    const done = (error) => (error ? reject(error) : resolve());
    done.fail = reject;
    Promise.resolve(Reflect.apply(fn, self, [...input, done])).catch(reject);
  });
}
