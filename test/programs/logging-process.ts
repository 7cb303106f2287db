/**
 * A service that logs and traces as services do, to what it is told to: random programs with a line of
 * log at some place. Nothing of it changes what they do, so nothing is to be noticed.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect, createServer as createSocketServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { hindcast, memoryStore } from "hindcast";
import { readCapsule } from "hindcast/replay";
import pino from "pino";
import { prepare, programs, type Step } from "./program.js";
import { startRandomServer } from "./random-server.js";
import { insertStep } from "./raw-sources.js";

const [kind = "", count = "50"] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "hindcast-log-"));
const closing: (() => unknown)[] = [];

/** Writes a line of log within a run; returns nothing that the program could go by. */
const logs: Readonly<Record<string, () => Promise<() => void>>> = {
  console: async () => () => console.log("decided", { by: "program" }),
  stdout: async () => () => {
    process.stdout.write("decided\n");
  },
  async "pino file"() {
    const destination = pino.destination({ dest: join(directory, "log"), sync: false });
    closing.push(() => destination.end());
    const logger = pino(destination);
    return () => logger.info({ by: "program" }, "decided");
  },
  async "pino transport"() {
    const transport = pino.transport({
      target: "pino/file",
      options: { destination: join(directory, "log") },
    });
    await once(transport, "ready");
    closing.push(() => transport.end());
    const logger = pino(transport);
    return () => logger.info({ by: "program" }, "decided");
  },
  async "log socket"() {
    const server = createSocketServer((socket) => socket.resume()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "localhost");
    closing.push(
      () => socket.destroy(),
      () => server.close(),
    );
    return () => {
      socket.write("decided\n");
    };
  },
  async "log worker"() {
    const worker = new Worker('require("node:worker_threads").parentPort.on("message", () => undefined)', {
      eval: true,
    });
    closing.push(() => worker.terminate());
    return () => worker.postMessage("decided");
  },
  async spans() {
    const server = createServer((message, response) => {
      message.resume().on("end", () => response.end("{}"));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const exporter: SpanExporter = {
      export(spans, done) {
        const sending = request({ port, method: "POST" }, (response) => {
          response.resume().on("end", () => done({ code: 0 }));
        });
        sending.on("error", (error) => done({ code: 1, error }));
        sending.end(JSON.stringify(spans.map(({ name }) => name)));
      },
      shutdown: async () => undefined,
    };
    const processor = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 3, maxExportBatchSize: 8 });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const provider = new BasicTracerProvider({ spanProcessors: [processor] });
    trace.setGlobalTracerProvider(provider);
    const tracer = trace.getTracer("program");
    closing.push(
      () => provider.shutdown(),
      () => server.close(),
    );
    return () => tracer.startSpan("decided").end();
  },
};

const write = await logs[kind]?.();
if (write === undefined)
  throw new Error(`usage: logging-process KIND [COUNT], KIND one of ${Object.keys(logs).join()}`);
// The losers of a race run on after their run, and may log when the destination is already closed: most
// loggers end the process then.
let isOpen = true;
const log = (): void => {
  if (isOpen) write();
};

// A program may wait for nothing but the timer of a signal, which keeps no process alive.
const alive = setInterval(() => undefined, 1_000);
const server = await startRandomServer();
const hc = hindcast({ service: "logging", store: memoryStore(), logger: { warn: () => undefined } });
const clean = fc.tuple(programs, fc.array(fc.nat(), { minLength: 3, maxLength: 3 }));
const line: Step = { do: "raw", source: "log" };
await Promise.all(
  fc.sample(clean, Number(count)).map(async ([program, places]) => {
    const runnable = prepare(
      hc,
      places.reduce((within, place) => insertStep(within, line, place), program),
      async (name, delay, fails) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * delay));
        if (fails) throw new RangeError(name);
        return name;
      },
      `${server.url}/logging`,
      log,
      // What compiles this program has hooks in the loader, and those of Node 20 cannot be followed.
      async () => ({ value: "no module" }),
    );
    try {
      await runnable.entry(1, AbortSignal.timeout(5));
    } catch {
      // A program may fail: that is an outcome, too.
    }
  }),
);
await server[Symbol.asyncDispose]();
await hc.flush();
const reasons: string[] = [];
for await (const stored of hc.store.find({ pipeline: "program" })) {
  reasons.push(...readCapsule(stored).replayable.reasons.map(({ message }) => message));
}
console.error(`\nlogging to ${kind}: ${hc.stats().runs.ended} runs, ${hc.stats().runs.inexact} false alarms`);
for (const reason of reasons.slice(0, 3)) console.error(reason);
await hc.close();
clearInterval(alive);
isOpen = false;
for (const close of closing) await close();
rmSync(directory, { recursive: true });
