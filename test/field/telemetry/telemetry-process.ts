/**
 * Records programs, or replays them, with one kind of telemetry set up: `record <setup> <folder>` or
 * `replay <setup> <folder>`. Prints a report as JSON.
 */
import http from "node:http";
import { createRequire } from "node:module";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { fileStore, hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { explain, readCapsule, replay } from "hindcast/replay";
import { exportedSpans, flushSpans, setUp } from "./setups.js";

export interface TelemetryReport {
  /** By program. */
  readonly programs: Record<
    string,
    { readonly runs: number; readonly verdicts: Record<string, number>; why?: string; effects: string[] }
  >;
  /** Of the program's own, which there must be none of in a replay. */
  readonly connections: number;
  readonly exported: number;
  readonly warnings: readonly string[];
}

const [mode, setup = "none", folder = ""] = process.argv.slice(2);
const late = setup.endsWith("-late");
const kind = late ? setup.slice(0, -"-late".length) : setup;

let connections = 0;
let port = Number(process.env["SERVER_PORT"] ?? 0);
const connect = Reflect.get(net.Socket.prototype, "connect") as (...input: unknown[]) => net.Socket;
net.Socket.prototype.connect = function (this: net.Socket, ...input: unknown[]) {
  const [first] = input.flat();
  const to = (first as { port?: unknown } | undefined)?.port ?? first;
  if (Number(to) === port) connections += 1;
  return Reflect.apply(connect, this, input);
};

if (!late) await setUp(kind);
const warnings: string[] = [];
const hc = hindcast({
  service: "telemetry",
  store: fileStore({ dir: folder }),
  capture: { http: httpCapture() },
  logger: { warn: (_fields, message) => void warnings.push(message) },
});
if (late) await setUp(kind);

const { default: pino } = await import("pino");
const { default: winston } = await import("winston");
const Sentry = await import("@sentry/node");
const prometheus = await import("prom-client");
const { generateText } = await import("ai");
const { createOpenAI } = await import("@ai-sdk/openai");
// What instrumentations of CommonJS have wrapped.
const required = createRequire(import.meta.url)("node:http") as typeof http;

const server = http.createServer((request, response) => {
  if (request.url?.startsWith("/v1") !== true) return void response.end(`answer ${Math.random()}`);
  response.setHeader("content-type", "application/json");
  const message = { role: "assistant", content: `said ${Math.random()}` };
  response.end(
    JSON.stringify({
      id: "x",
      object: "chat.completion",
      created: 1,
      model: "gpt",
      choices: [{ index: 0, finish_reason: "stop", message }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
  );
});
if (mode === "record") {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  port = (server.address() as AddressInfo).port;
}

const scratch = join(tmpdir(), `hindcast-telemetry-${process.pid}.log`);
const lines = pino(pino.destination({ dest: scratch, sync: false }));
const transported = pino(pino.transport({ target: "pino/file", options: { destination: scratch } }));
const wins = winston.createLogger({
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  transports: [new winston.transports.File({ filename: scratch })],
});
const histogram = new prometheus.Histogram({ name: "took", help: "took" });
const openai = createOpenAI({ apiKey: "none", baseURL: `http://127.0.0.1:${port}/v1` });

function get(request: typeof http.get): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

const tracer = trace.getTracer("programs");
const meter = metrics.getMeter("programs");
const counter = meter.createCounter("counted");
const measured = meter.createHistogram("measured");

const bodies: Readonly<Record<string, () => Promise<unknown>>> = {
  spans: async () => {
    const own = tracer.startSpan("own");
    const drawn = await tracer.startActiveSpan("around", async (span) => {
      span.addEvent("waits");
      await wait(1);
      span.recordException(new Error("none"));
      span.end();
      return Math.random();
    });
    counter.add(1, { a: 1 });
    measured.record(drawn);
    own.end();
    return [drawn, Date.now()];
  },
  logs: async () => {
    lines.info({ at: "start" }, "begun");
    transported.child({ run: 1 }).warn(new Error("none"));
    wins.info("hello", { meta: 1 });
    console.error("to the console");
    await wait(2);
    lines.error("over");
    transported.info("over");
    return [Math.random(), Date.now()];
  },
  sentry: async () => {
    Sentry.addBreadcrumb({ message: "here" });
    Sentry.captureMessage("said");
    const drawn = await Sentry.withIsolationScope(async (scope) => {
      scope.setTag("a", "b");
      return await Sentry.startSpan({ name: "spanned", op: "task" }, async () => {
        await wait(1);
        Sentry.captureException(new Error("none"));
        return Math.random();
      });
    });
    return [drawn, Math.random(), Date.now()];
  },
  metrics: async () => {
    const end = histogram.startTimer();
    await wait(1);
    end();
    return [Math.random(), process.hrtime()];
  },
  http: async () => [await get(http.get), await get(required.get), Math.random()],
  fetch: async () => {
    const headers: Record<string, string> = {};
    propagation.inject(context.active(), headers);
    const answers = await Promise.all([
      fetch(`http://127.0.0.1:${port}/`, { headers }),
      fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "sent" }),
    ]);
    return [await Promise.all(answers.map((answer) => answer.text())), Math.random()];
  },
  ai: async () => {
    const { text } = await generateText({
      model: openai.chat("gpt"),
      prompt: "say",
      experimental_telemetry: { isEnabled: true },
    });
    return [text, Math.random()];
  },
};
const programs = Object.fromEntries(
  Object.entries(bodies).map(([name, body]) => [name, hc.pipeline({ name }, body)]),
);

const report: TelemetryReport["programs"] = {};
if (mode === "record") {
  for (const entry of Object.values(programs)) {
    for (let count = 0; count < 3; count++) await entry();
    await Promise.all(Array.from({ length: 5 }, () => entry()));
  }
  await hc.flush();
  server.close().closeAllConnections();
}
await flushSpans();
const recording = connections;
const recorded = exportedSpans();
if (mode === "replay") connections = 0;
for await (const stored of hc.store.find()) {
  const capsule = readCapsule(stored);
  const entry = programs[capsule.pipeline] as () => Promise<unknown>;
  const program = (report[capsule.pipeline] ??= {
    runs: 0,
    verdicts: {},
    effects: [...new Set(capsule.effects.map(({ name }) => name))].sort(),
  }) as { runs: number } & TelemetryReport["programs"][string];
  const result = await replay(capsule, entry);
  const verdict = `${result.verdict}${capsule.replayable.exact ? "" : ", inexact"}`;
  program.runs += 1;
  program.verdicts[verdict] = (program.verdicts[verdict] ?? 0) + 1;
  if (verdict !== "identical") {
    program.why ??= [...capsule.replayable.reasons.map(({ message }) => message), explain(result)].join("\n");
  }
}
await flushSpans();
const summary: TelemetryReport = {
  programs: report,
  connections: connections - (mode === "record" ? recording : 0),
  exported: exportedSpans() - recorded,
  warnings,
};
process.stdout.write(`\nREPORT ${JSON.stringify(summary)} ${port}\n`, () => process.exit(0));
