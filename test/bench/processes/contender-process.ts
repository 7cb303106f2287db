/** One contender in a process of its own: measures a block of calls whenever it is asked to. */
import { setImmediate as turn } from "node:timers/promises";
import type { Contender } from "../contenders/contender.js";
import { type ContenderName, contenders } from "../contenders/contenders.js";
import { mainThreadClock } from "../main-thread-clock.js";
import type { Block, BlockRequest, Hello } from "../measures/block.js";
import { payloads, type PayloadName } from "../payloads.js";
import { type Program, programFor } from "../programs.js";

const [name, sink = "", directory = ""] = process.argv.slice(2);

async function start(): Promise<void> {
  let contender: Contender;
  try {
    contender = await contenders[name as ContenderName]({ sink, directory });
  } catch (error) {
    process.send?.({ failed: String(error) } satisfies Hello);
    process.disconnect();
    return;
  }
  const programs = new Map<PayloadName, readonly [Program, unknown]>();
  process.on("message", (request: BlockRequest) => {
    const { payload } = request;
    let prepared = programs.get(payload);
    if (prepared === undefined) {
      prepared = [programFor(payload, contender.wrap.bind(contender)), payloads[payload].make()];
      programs.set(payload, prepared);
    }
    void measure(contender, ...prepared, request).then((block) => process.send?.(block));
  });
  process.send?.({ version: contender.version, clock: mainThreadClock.source } satisfies Hello);
}

/**
 * Calls the program in batches, and waits after each until the contender has done with it. The path is the work until the
 * caller has its results; the whole has what comes after the calls in it too. Nobody asks for a collection between blocks:
 * one that is forced throws away optimized code as well, as those of a service hardly do, and measures its compilation.
 */
async function measure(
  contender: Contender,
  program: Program,
  value: unknown,
  { payload, milliseconds, enough }: BlockRequest,
): Promise<Block> {
  const calls = payloads[payload].calls * (contender.holdsNothing === true ? 20 : 1);
  const path: number[] = [];
  const before = mainThreadClock.read();
  let spent = 0;
  do {
    const begun = mainThreadClock.read();
    for (let call = 0; call < calls; call++) await program(value);
    path.push((mainThreadClock.read() - begun) / calls);
    await turn();
    await contender.flush();
    spent = mainThreadClock.read() - before;
  } while (spent < milliseconds * 1e6 && path.length * calls < enough);
  const whole = spent / (path.length * calls);
  return { path, whole, lost: contender.lost?.() ?? 0 };
}

await start();
