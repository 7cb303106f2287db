/** Who is told of failures, and how often. */
import { fileURLToPath } from "node:url";
import { type Failure, hindcast, type HindcastOptions, type Logger } from "hindcast";
import pino from "pino";
import { expect, test } from "vitest";
import { runNode } from "../tools/run-process.js";
import { storeThat } from "./stores.js";

const down = new Error("the store is down");

/** An instance whose store, rule, seed and version all fail, after three runs. */
async function failEverywhere(options: Partial<HindcastOptions>): Promise<ReturnType<typeof hindcast>> {
  const fail = (): never => {
    throw down;
  };
  const hc = hindcast({
    service: "report",
    store: storeThat(() => Promise.reject(down)),
    seed: fail,
    keep: [
      { name: "broken", keeps: fail },
      { name: "all", keeps: () => true },
    ],
    ...options,
  });
  const stage = hc.infer({ name: "stage", model: fail }, (x: number) => x);
  for (let index = 0; index < 3; index++) {
    expect(stage(index)).toBe(index);
    await hc.flush();
  }
  expect(hc.stats().failures).toMatchObject({ store: 3, keep: 3, seed: 3, version: 3, listener: 0 });
  return hc;
}

test("onError is told once for each kind of failure, with the error; the rest is counted", async () => {
  const failures: Failure[] = [];
  await failEverywhere({ onError: (failure) => void failures.push(failure) });
  expect(failures.map((failure) => failure.source).sort()).toEqual(["keep", "seed", "store", "version"]);
  for (const failure of failures) {
    expect(failure.error).toBe(down);
    expect(failure.message).toMatch(/^hindcast: .*stats\(\)/);
  }
});

test("a pino logger is told, with the error as pino shows errors", async () => {
  const lines: string[] = [];
  const logger: Logger = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  await failEverywhere({ logger });
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(entries).toHaveLength(4);
  const entry = entries.find((one) => one["source"] === "store");
  expect(entry).toMatchObject({
    level: 40,
    msg: expect.stringContaining("The store failed"),
    err: { type: "Error", message: "the store is down", stack: expect.stringContaining("failure-report") },
  });
});

test("where nobody is given, the process is warned", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listen);
  try {
    await failEverywhere({});
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    process.off("warning", listen);
  }
  const ours = warnings.filter((warning) => warning.message.startsWith("hindcast: "));
  expect(ours).toHaveLength(4);
  expect(ours.map((warning) => (warning as { detail?: string }).detail ?? "").join("\n")).toContain(
    "the store is down",
  );
});

test("with onError or a logger, the process is not warned as well", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listen);
  try {
    await failEverywhere({ onError: () => undefined });
    await failEverywhere({ logger: { warn: () => undefined } });
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    process.off("warning", listen);
  }
  expect(warnings.filter((warning) => warning.message.startsWith("hindcast: "))).toEqual([]);
});

test("G2: onError and a logger that throw are counted, and one does not keep the other from being told", async () => {
  const told: string[] = [];
  const hc = await failEverywhere({
    onError: () => {
      throw new Error("onError throws");
    },
    logger: { warn: (_fields, message) => void told.push(message) },
  });
  expect(hc.stats().failures.logger).toBe(4);
  expect(told).toHaveLength(4);
});

test("G2: errors that resist being shown do not reach the caller", async () => {
  const hostile: readonly unknown[] = [
    undefined,
    Symbol("s"),
    Object.create(null),
    new Proxy(new Error("x"), {
      get() {
        throw new Error("trap");
      },
    }),
    Object.defineProperty(new Error("x"), "stack", { value: 5 }),
  ];
  for (const reason of hostile) {
    const hc = hindcast({ service: "report", store: storeThat(() => Promise.reject(reason)) });
    expect(hc.pipeline({ name: "flow" }, () => "decided")()).toBe("decided");
    await hc.flush();
    expect(hc.stats().capsules.lost.store).toBe(1);
  }
});

test.each(["onError", "logger", "keep"])(
  "G2: %s that returns a promise, and rejects it, does not end the process",
  async (hook) => {
    const file = fileURLToPath(new URL("hostile-process.ts", import.meta.url));
    const args = ["--conditions=hindcast-source", "--import", "tsx", file, hook];
    const { exitCode, output } = await runNode(args, { cwd: process.cwd() });
    expect(output).toContain("decided");
    expect(output).toContain("alive");
    expect(exitCode).toBe(0);
  },
);
