/**
 * Endless recursion through wrapped functions: their callers get the RangeError that they would have had anyway, and the
 * process goes on. The first argument is the condition.
 */
import { randomUUID } from "node:crypto";
import { hindcast, type Hindcast, keep, type KeepRule } from "hindcast";
import { z } from "zod";
import { registerTracing } from "../telemetry/tracing.js";

const [condition = ""] = process.argv.slice(2);

class Own {
  readonly field = 1;
}

type Dive = (depth: number, value?: unknown) => unknown;

/** How a function may call itself: the recursion, and what makes the library look at something at every depth. */
const ways: Readonly<Record<string, (hc: Hindcast) => Dive>> = {
  synchronous(hc) {
    const dive: Dive = hc.tool({ name: "dive" }, (depth: number) => dive(depth + 1));
    return dive;
  },
  asynchronous(hc) {
    const dive: Dive = hc.tool({ name: "dive" }, async (depth: number) => await dive(depth + 1));
    return dive;
  },
  generator(hc) {
    const dive = hc.tool({ name: "dive" }, function* (depth: number): Generator<unknown> {
      yield* dive(depth + 1);
    });
    return (depth) => [...dive(depth)];
  },
  effects(hc) {
    const dive: Dive = hc.effect({ name: "dive" }, (depth: number) => dive(depth + 1));
    return hc.pipeline({ name: "around" }, (depth: number) => dive(depth));
  },
  platform(hc) {
    const dive: Dive = hc.tool({ name: "dive" }, (depth: number, value: unknown) => {
      randomUUID();
      return dive(depth + 1, value);
    });
    return dive;
  },
  contracts(hc) {
    const input = z.number().max(0);
    const dive: Dive = hc.tool({ name: "dive", input, mode: "observe" }, (depth) => dive(depth + 1));
    return dive;
  },
  errors(hc) {
    const dive: Dive = hc.tool({ name: "dive" }, (depth: number): unknown => {
      try {
        return dive(depth + 1);
      } catch {
        throw Object.assign(new RangeError("Maximum call stack size exceeded"), { code: "ERR_MINE" });
      }
    });
    return dive;
  },
  values(hc) {
    const dive: Dive = hc.effect({ name: "dive" }, (depth: number) => [dive(depth + 1), new Own()]);
    return hc.pipeline({ name: "around" }, (depth: number) => dive(depth, { "a key": [new Own(), /a/] }));
  },
};

const none: readonly KeepRule[] = [];
function create(): Hindcast {
  return hindcast({
    service: "exhausted",
    keep: condition.includes("recorded") ? keep.all() : none,
    logger: { warn: () => undefined },
    waitUntil: () => undefined,
  });
}

if (condition.includes("telemetry")) registerTracing();

async function run(way: (hc: Hindcast) => Dive): Promise<string> {
  const hc = create();
  let error: unknown;
  try {
    await way(hc)(0);
  } catch (thrown) {
    error = thrown;
  }
  const after = hc.pipeline({ name: "after" }, () => "goes on")();
  await hc.flush({ timeout: "5s" });
  const { runs, capsules } = hc.stats();
  return `${String(error)}; ${after}; ${runs.started - runs.ended} open, ${capsules.waiting} wait`;
}

const results = new Set<string>();
for (const way of Object.values(ways)) results.add(await run(way));
for (const result of results) console.log(`result: ${result}`);
