import { spawn, execFile } from "node:child_process";
import { createHash } from "node:crypto";
import dgram from "node:dgram";
import dns from "node:dns";
import { once } from "node:events";
import fs from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { request } from "node:http";
import { connect, createServer, Socket, type AddressInfo } from "node:net";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MessageChannel, MessagePort, Worker } from "node:worker_threads";
import { context } from "@opentelemetry/api";
import { hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { registerContextManager, unregisterTracing } from "../telemetry/tracing.js";

const SUPPRESS_TRACING = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
const file = new URL(import.meta.url);
const closing: (() => unknown)[] = [];

/** Answers each chunk with itself; tells nothing before it is asked. */
const echo = createServer((socket) => {
  socket.on("error", () => undefined);
  socket.pipe(socket);
}).listen(0, "127.0.0.1");
await once(echo, "listening");
const { port } = echo.address() as AddressInfo;
const silent = createServer((socket) => socket.resume().on("error", () => undefined)).listen(0, "127.0.0.1");
await once(silent, "listening");
const silentPort = (silent.address() as AddressInfo).port;

const answering = new Worker(
  'const { parentPort } = require("node:worker_threads"); parentPort.on("message", (m) => m === "quiet" || parentPort.postMessage(m));',
  { eval: true },
);

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(async () => {
  echo.close();
  silent.close();
  await answering.terminate();
});

function instance(options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const warnings: string[] = [];
  const logger = { warn: (_fields: object, message: string) => void warnings.push(message) };
  const hc = hindcast({ service: "undeclared", logger, ...options });
  closing.push(() => hc.close());
  const wait = hc.effect(
    { name: "wait" },
    (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  );
  return { hc, warnings, wait };
}

/** Why a run is not exact in which `body` is one branch, and an effect that ends later the other. */
async function reasonsOf(body: () => unknown, options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const { hc, warnings } = instance(options);
  let asked: unknown;
  const finish = hc.effect({ name: "finish" }, async () => {
    await asked;
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
  // Nothing begins or ends where what was asked answers.
  const read = hc.tool({ name: "read" }, async () => {
    asked = body();
    await Promise.all([asked, finish()]);
    return "read";
  });
  await hc.pipeline({ name: "program" }, () => read())();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const { reasons } = readCapsule(stored).replayable;
    return { reasons, warnings, stats: hc.stats() };
  }
  throw new Error("nothing was recorded");
}

describe("G7: what answers a run is noticed where it was asked", () => {
  const asked: Record<string, readonly [source: string, () => unknown]> = {
    "a socket that is connected": [
      "a socket",
      async () => {
        const socket = connect(port, "127.0.0.1").setEncoding("utf8");
        socket.write("question");
        const [answer] = (await once(socket, "data")) as [string];
        socket.destroy();
        return answer;
      },
    ],
    "a socket that is ended with a question": [
      "a socket",
      async () => {
        const chunks: string[] = [];
        for await (const chunk of connect(port, "127.0.0.1").end("question")) chunks.push(String(chunk));
        return chunks;
      },
    ],
    "an HTTP client": [
      "a socket",
      () =>
        new Promise((resolve) => {
          const asking = request({ port, host: "127.0.0.1" });
          asking.on("error", resolve); // an echo is no response
          asking.end();
        }),
    ],
    "a worker": [
      "a worker",
      async () => {
        answering.postMessage("question");
        return once(answering, "message");
      },
    ],
    "a worker that is begun": [
      "a worker",
      async () => {
        const worker = new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true });
        return once(worker, "message");
      },
    ],
    "a message port": [
      "a message port",
      () =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel();
          const code = 'require("node:worker_threads").workerData.on("message", () => process.exit())';
          const far =
            'const { workerData } = require("node:worker_threads"); workerData.postMessage("message")';
          new Worker(`${far}; ${code}`, { eval: true, workerData: port2, transferList: [port2] });
          port1.once("message", () => resolve(port1.close()));
        }),
    ],
    "fs.readFile": ["a file", () => promisify(fs.readFile)(file)],
    "fs.promises.readFile, imported by name": ["a file", () => readFile(file)],
    "fs.promises.stat": ["a file", () => stat(file)],
    "fs.createReadStream": ["a file", () => once(fs.createReadStream(file), "data")],
    "a file handle": [
      "a file",
      async () => {
        const handle = await open(file);
        const { bytesRead } = await handle.read(Buffer.alloc(10));
        await handle.close();
        return bytesRead;
      },
    ],
    "dns.lookup": ["name resolution", () => new Promise((resolve) => dns.lookup("localhost", resolve))],
    "dns.promises.lookup": ["name resolution", () => dns.promises.lookup("localhost")],
    "the output of a child process": ["a socket", () => promisify(execFile)("/bin/sh", ["-c", "echo $$"])],
    "the end of a child process": [
      "a child process",
      () => once(spawn("/bin/sh", ["-c", "exit 3"], { stdio: "ignore" }), "exit"),
    ],
    "a datagram socket": [
      "a datagram socket",
      async () => {
        const socket = dgram.createSocket("udp4");
        socket.bind(0, "127.0.0.1", () => socket.send("question", socket.address().port, "127.0.0.1"));
        await once(socket, "message");
        socket.close();
      },
    ],
  };
  test.each(Object.entries(asked))("%s", async (_name, [source, body]) => {
    const { reasons, stats, warnings } = await reasonsOf(body);
    expect(reasons.map(({ code, name }) => [code, name])).toEqual([["uncontrolled", "read"]]);
    expect(reasons[0]?.message).toMatch(
      new RegExp(
        `^Stage "read" used ${source} at .*undeclared\\.test\\.ts:\\d+:\\d+\\)?, which is neither captured nor declared: declare it with hc\\.effect\\(\\)\\.$`,
      ),
    );
    expect(stats.runs.inexact).toBe(1);
    expect(warnings).toHaveLength(1);
  });
});

describe("no alarm", () => {
  const harmless: Record<string, () => unknown> = {
    "a line of log to a socket": async () => {
      const socket = connect(silentPort, "localhost");
      socket.write("line\n");
      closing.push(() => socket.destroy());
    },
    "a line of log to a worker": () => answering.postMessage("quiet"),
    "a datagram of metrics": () => {
      const socket = dgram.createSocket("udp4");
      socket.send("line", silentPort, "localhost", () => socket.close());
    },
    "a worker that is begun for later": () => {
      const worker = new Worker('console.log(""); setInterval(() => {}, 1000)', { eval: true, stdout: true });
      closing.push(() => worker.terminate());
    },
    "a child process that is let go": () => spawn("/bin/sh", ["-c", "exit 3"], { stdio: "ignore" }).unref(),
    "a file that is written": () =>
      new Promise((resolve) => fs.writeFile("/dev/null", "line", () => resolve(undefined))),
    "what needs no waiting": () => createHash("sha256").update("text").digest("hex"),
  };
  test.each(Object.entries(harmless))("G7: for %s", async (_name, body) => {
    expect((await reasonsOf(body)).reasons).toEqual([]);
  });

  test("G7: inside an effect", async () => {
    const { hc } = instance();
    const read = hc.effect({ name: "read" }, async () => {
      const socket = connect(port, "127.0.0.1");
      socket.write("question");
      await once(socket, "data");
      socket.destroy();
      return (await readFile(file)).length;
    });
    const entry = hc.pipeline({ name: "program" }, () => read());
    await entry();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      expect(readCapsule(stored).replayable.exact).toBe(true);
      expect((await replay(stored, entry)).verdict).toBe("identical");
    }
    expect(hc.stats().runs.inexact).toBe(0);
  });

  test("G7: where tracing is suppressed, as in what exports spans; nor is anything captured there", async () => {
    registerContextManager();
    closing.push(unregisterTracing);
    const { hc, wait } = instance();
    const entry = hc.pipeline({ name: "program" }, async () => {
      // As `suppressTracing` of the SDK does it.
      const suppressed = context.active().setValue(SUPPRESS_TRACING, true);
      void context.with(suppressed, async () => {
        Math.random();
        Date.now();
        await new Promise((resolve) => setTimeout(resolve, 1));
        return (await readFile(file)).length;
      });
      await wait(30);
    });
    await entry();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      const { replayable, effects } = readCapsule(stored);
      expect(replayable.reasons).toEqual([]);
      expect(effects.map(({ name }) => name)).toEqual(["wait"]);
    }
  });

  test("G7: for what a client sends to the server that a run writes to", async () => {
    const { hc, wait } = instance();
    const server = createServer((socket) => {
      socket.once("data", () => {
        const entry = hc.pipeline({ name: "program" }, async () => {
          socket.write("part of an answer");
          await wait(30);
        });
        void entry().then(() => socket.end());
      });
    }).listen(0, "127.0.0.1");
    closing.push(() => server.close());
    await once(server, "listening");
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
    client.write("question");
    client.once("data", () => client.write("another question"));
    await once(client.resume(), "close");
    await hc.flush();
    expect(hc.stats().runs).toMatchObject({ ended: 1, inexact: 0 });
  });

  test("G7: for an answer that comes when the run is over", async () => {
    const { hc } = instance();
    const reading: Promise<unknown>[] = [];
    hc.pipeline({ name: "program" }, () => {
      reading.push(readFile(file));
    })();
    await Promise.all(reading);
    expect(hc.stats().runs).toMatchObject({ ended: 1, inexact: 0 });
  });

  test("G7: for a native inference, and none for what its stage computes", async () => {
    const { hc } = instance({ capture: { undeclared: false } });
    const model = { name: "native", version: "1" };
    const infer = hc.infer({ name: "infer", model }, async () => (await readFile(file)).length);
    await hc.pipeline({ name: "program" }, async () => [await infer(), await infer()])();
    expect(hc.stats().runs.inexact).toBe(0);
  });
});

test("G2: a stack that cannot be written out costs its place alone", async () => {
  const prepareStackTrace: unknown = Reflect.get(Error, "prepareStackTrace");
  const { hc, wait } = instance();
  const entry = hc.pipeline({ name: "program" }, async () => {
    const { port1, port2 } = new MessageChannel();
    const asked = [readFile(file), new Promise((resolve) => port1.once("message", resolve))];
    port2.postMessage("message");
    await Promise.all([...asked, wait(20)]);
    port1.close();
  });
  Error.prepareStackTrace = () => {
    throw new Error("no stack");
  };
  try {
    await entry();
  } finally {
    Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  }
  expect(hc.stats()).toMatchObject({ runs: { inexact: 1 }, failures: { listener: 0 } });
});

test("G8: a socket that never answers keeps no run alive", async () => {
  setFlagsFromString("--expose_gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const socket = connect(silentPort, "127.0.0.1");
  closing.push(() => socket.destroy());
  const { hc } = instance();
  const runs: WeakRef<object>[] = [];
  const log = (large: object): void => {
    runs.push(new WeakRef(large));
    socket.write("line\n");
  };
  const entry = hc.pipeline({ name: "program" }, (large: object) => log(large));
  for (let count = 0; count < 5; count++) entry({ values: new Array(1_000).fill(count) });
  await hc.flush();
  await hc.close();
  for (let attempt = 0; attempt < 20 && runs.some((run) => run.deref() !== undefined); attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collectGarbage();
  }
  expect(runs.filter((run) => run.deref() !== undefined)).toEqual([]);
});

test("G7: a warning is logged once for each place, and every run is counted", async () => {
  const { hc, warnings } = instance();
  const read = hc.tool({ name: "read" }, async (first: boolean) =>
    first ? (await readFile(file)).length : (await stat(file)).size,
  );
  const entry = hc.pipeline({ name: "program" }, (first: boolean) => read(first));
  for (const first of [true, true, false, true, false]) await entry(first);
  expect(hc.stats().runs.inexact).toBe(5);
  expect(warnings).toHaveLength(2);
});

test("G1: capture: { undeclared: false } notices the wake alone, and close undoes every patch", async () => {
  const platform = (): unknown[] => [
    Reflect.ownKeys(Socket.prototype),
    Reflect.ownKeys(Worker.prototype),
    Reflect.ownKeys(MessagePort.prototype),
    Reflect.ownKeys(dgram.Socket.prototype),
    [Reflect.get(Socket.prototype, "write"), fs.readFile, fs.promises.readFile, readFile, dns.lookup],
  ];
  const before = platform();
  // Modules are read through `fs.promises`, and messages to oneself come through ports.
  const without = instance({ capture: { undeclared: false, computation: false, timers: false } });
  expect(platform()).toEqual(before);
  await without.hc.close();
  const { hc } = instance();
  expect(readFile).not.toBe((before[4] as unknown[])[3]);
  expect([readFile.name, readFile.length, fs.stat.name]).toEqual(["readFile", 2, "stat"]);
  await hc.close();
  expect(platform()).toEqual(before);
  expect((await reasonsOf(() => readFile(file), { capture: { undeclared: false } })).reasons).toEqual([]);
});

test("G1: what is asked in a run comes as it does without: values, errors, `this`", async () => {
  const { hc } = instance();
  const missing = new URL("./missing", file);
  const entry = hc.pipeline({ name: "program" }, async () => {
    const text = await readFile(file, "utf8");
    const error: unknown = await readFile(missing).catch((caught: unknown) => caught);
    const called = await new Promise((resolve) => {
      fs.stat(missing, (...outcome) => resolve(outcome.length));
    });
    return [text === fs.readFileSync(file, "utf8"), (error as NodeJS.ErrnoException).code, called];
  });
  expect(await entry()).toEqual([true, "ENOENT", 1]);
});
