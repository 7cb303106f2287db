/** The same HTTP service with and without the library, under the same load, by turns. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { type Distribution, distributionOf } from "../statistics.js";
import type { ServiceLoad, ServiceState, ServiceThroughput } from "./service-figures.js";

const run = promisify(execFile);

export const SERVICE_MODES = ["bare", "hindcast"] as const;
type Mode = (typeof SERVICE_MODES)[number];

export interface ServiceCost {
  /** Milliseconds. */
  readonly p50: Distribution;
  readonly p99: Distribution;
  readonly p999: Distribution;
  readonly delayP99: Distribution;
  readonly delayMaximum: Distribution;
  readonly utilization: Distribution;
  /** Requests a second, as many as it takes. */
  readonly throughput: Distribution;
  readonly requests: number;
  readonly failed: number;
  readonly stored: number;
  readonly lost: number;
}

export interface ServiceCosts {
  readonly rate: number;
  readonly seconds: number;
  readonly modes: Readonly<Record<Mode, ServiceCost>>;
}

interface ServiceMeasurement {
  readonly service: string;
  readonly load: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Requests a second. */
  readonly rate: number;
}

export async function measureService(measurement: ServiceMeasurement): Promise<ServiceCosts> {
  const { rounds, seconds, rate } = measurement;
  const services = new Map<Mode, { child: ChildProcess; url: string }>();
  const measured: Record<Mode, (ServiceLoad & ServiceState)[]> = { bare: [], hindcast: [] };
  const throughput: Record<Mode, ServiceThroughput[]> = { bare: [], hindcast: [] };
  const load = async <Result>(url: string, mode: "steady" | "full"): Promise<Result> => {
    const args = [measurement.load, url, mode, String(seconds), String(rate)];
    return JSON.parse((await run(process.execPath, args)).stdout) as Result;
  };
  const stateOf = async (url: string): Promise<ServiceState> =>
    (await (await fetch(`${url}/state`)).json()) as ServiceState;
  try {
    for (const mode of SERVICE_MODES) {
      const child = spawn(process.execPath, [measurement.service, mode], {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      services.set(mode, { child, url: await listening(child) });
    }
    // Round 0 is for warming up.
    for (let round = 0; round <= rounds; round++) {
      const order = round % 2 === 0 ? SERVICE_MODES : SERVICE_MODES.toReversed();
      for (const mode of order) {
        const { url } = services.get(mode) as { url: string };
        await stateOf(url);
        const result = await load<ServiceLoad>(url, "steady");
        const state = await stateOf(url);
        const most = await load<ServiceThroughput>(url, "full");
        if (round === 0) continue;
        measured[mode].push({ ...result, ...state });
        throughput[mode].push(most);
      }
    }
  } finally {
    for (const { child } of services.values()) child.kill();
  }
  const costOf = (mode: Mode): ServiceCost => {
    const of = (key: keyof (ServiceLoad & ServiceState)): number[] => measured[mode].map((one) => one[key]);
    const sum = (key: keyof (ServiceLoad & ServiceState)): number => of(key).reduce((a, b) => a + b, 0);
    return {
      p50: distributionOf(of("p50")),
      p99: distributionOf(of("p99")),
      p999: distributionOf(of("p999")),
      delayP99: distributionOf(of("delayP99")),
      delayMaximum: distributionOf(of("delayMaximum")),
      utilization: distributionOf(of("utilization")),
      throughput: distributionOf(throughput[mode].map(({ perSecond }) => perSecond)),
      requests: sum("requests"),
      failed: sum("failed") + throughput[mode].reduce((total, one) => total + one.failed, 0),
      stored: Math.max(...of("stored")),
      lost: Math.max(...of("lost")),
    };
  };
  return { rate, seconds, modes: { bare: costOf("bare"), hindcast: costOf("hindcast") } };
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("message", (url) => resolve(url as string));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the service ended with ${code} before it listened`)));
  });
}
