/**
 * What a call costs under each contender: one process for each, measured in turn. A round goes through the payloads, and for
 * each payload through the contenders, beginning with another one each time; so whatever else the machine does meets all alike.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTENDERS, type ContenderName } from "../contenders/contenders.js";
import { PAYLOADS, type PayloadName } from "../payloads.js";
import { openSink } from "../sink.js";
import { type Distribution, distributionOf } from "../statistics.js";
import type { Block, BlockRequest, Hello } from "./block.js";

export interface CallCost {
  /** Nanoseconds of the main thread until the caller has its result. */
  readonly path: Distribution;
  /** Nanoseconds of the main thread, with all that comes after the call. */
  readonly whole: Distribution;
}

export interface CallCosts {
  readonly versions: Readonly<Record<string, string>>;
  /** Those that do not run, and why. */
  readonly absent: Readonly<Record<string, string>>;
  /** What was dropped while it was measured; it makes a contender look cheaper than it is. */
  readonly lost: Readonly<Record<string, number>>;
  readonly clock: string;
  readonly costs: Readonly<Record<string, Partial<Record<PayloadName, CallCost>>>>;
}

interface CallMeasurement {
  readonly program: string;
  readonly rounds: number;
  /** Of the main thread in each block. */
  readonly milliseconds: number;
  /** The same for each payload before anything counts, until the compiler has done with it; or `WARM` calls. */
  readonly warmUpMilliseconds: number;
  readonly payloads?: readonly PayloadName[];
  readonly command?: readonly string[];
  readonly only?: readonly ContenderName[];
}

interface Running {
  readonly name: ContenderName;
  readonly child: ChildProcess;
  readonly blocks: Map<PayloadName, Block[]>;
}

const WARM = 30_000;
const START_MILLISECONDS = 60_000;
const BLOCK_MILLISECONDS = 60_000;

export async function measureCalls(measurement: CallMeasurement): Promise<CallCosts> {
  await using sink = await openSink();
  const directory = mkdtempSync(join(tmpdir(), "hindcast-bench-"));
  const running: Running[] = [];
  const versions: Record<string, string> = {};
  const absent: Record<string, string> = {};
  const lost: Record<string, number> = {};
  let clock = "";
  try {
    for (const name of measurement.only ?? CONTENDERS) {
      const [command = process.execPath, ...options] = measurement.command ?? [];
      const child = spawn(command, [...options, measurement.program, name, sink.url, join(directory, name)], {
        stdio: ["ignore", "ignore", "ignore", "ipc"],
      });
      const hello = await messageOf<Hello>(child, START_MILLISECONDS).catch((error: unknown) => ({
        failed: String(error),
      }));
      if ("failed" in hello) {
        absent[name] = hello.failed;
        child.kill("SIGKILL");
      } else {
        versions[name] = hello.version;
        clock = hello.clock;
        running.push({ name, child, blocks: new Map() });
      }
    }
    // Round 0 is for warming up.
    for (let round = 0; round <= measurement.rounds; round++) {
      const milliseconds = round === 0 ? measurement.warmUpMilliseconds : measurement.milliseconds;
      const enough = round === 0 ? WARM : Number.MAX_SAFE_INTEGER;
      for (const payload of measurement.payloads ?? PAYLOADS) {
        for (let place = 0; place < running.length; place++) {
          const one = running[(place + round) % running.length] as Running;
          if (absent[one.name] !== undefined) continue;
          one.child.send({ payload, milliseconds, enough } satisfies BlockRequest);
          const block = await messageOf<Block>(one.child, BLOCK_MILLISECONDS).catch((error: unknown) => {
            absent[one.name] = `${payload}: ${String(error)}`;
            one.child.kill("SIGKILL");
          });
          if (block === undefined) continue;
          lost[one.name] = block.lost;
          if (round === 0) continue;
          const blocks = one.blocks.get(payload) ?? [];
          one.blocks.set(payload, [...blocks, block]);
        }
      }
    }
  } finally {
    for (const { child } of running) child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
  const costs = Object.fromEntries(
    running.map(({ name, blocks }) => [
      name,
      Object.fromEntries(
        [...blocks].map(([payload, measured]) => [
          payload,
          {
            path: distributionOf(measured.flatMap(({ path }) => path)),
            whole: distributionOf(measured.map(({ whole }) => whole)),
          },
        ]),
      ),
    ]),
  );
  return { versions, absent, lost, clock, costs };
}

/** The next message of a process; rejects where it ends or keeps silent. */
function messageOf<Message>(child: ChildProcess, milliseconds: number): Promise<Message> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      child.off("message", onMessage).off("exit", onExit).off("error", onError);
      act();
    };
    const onMessage = (message: unknown): void => settle(() => resolve(message as Message));
    const onExit = (code: number | null, signal: string | null): void =>
      settle(() => reject(new Error(`the process ended (${signal ?? code})`)));
    const onError = (error: Error): void => settle(() => reject(error));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no answer within ${milliseconds} ms`))),
      milliseconds,
    );
    child.on("message", onMessage).on("exit", onExit).on("error", onError);
  });
}
