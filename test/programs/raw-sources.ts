/**
 * What a program can read without declaring it, for real: each answers otherwise whenever it is asked.
 * Programs with one of them inserted at any place.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { programs, type Step } from "./program.js";

/** Every raw source there is. */
export const RAW_SOURCES = [
  "socket",
  "pooled socket",
  "client",
  "worker",
  "worker that pushes",
  "message port",
  "file",
  "file handle",
  "child process",
] as const;
export type RawSource = (typeof RAW_SOURCES)[number];

export interface RawSources {
  read(source: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Answers a worker gives, of both kinds. */
const WORKER = `
  const { parentPort } = require("node:worker_threads");
  let answers = 0;
  parentPort.on("message", ({ id, port }) => {
    if (port !== undefined) port.on("message", () => port.postMessage(++answers));
    else if (id === undefined) setInterval(() => parentPort.postMessage(++answers), 2);
    else setTimeout(() => parentPort.postMessage({ id, answer: ++answers }), Math.random() * 3);
  });
`;

export async function openRawSources(): Promise<RawSources> {
  const server = createAnswering();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connected = async (): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };

  const directory = mkdtempSync(join(tmpdir(), "hindcast-raw-"));
  const file = join(directory, "limits");
  let written = 0;
  const rewrite = (): void => writeFileSync(file, `limit ${++written}`);
  rewrite();

  const idle: Socket[] = await Promise.all([connected(), connected()]);
  const everySocket = [...idle];
  const client = new LineClient(await connected());
  const asked = new Worker(WORKER, { eval: true });
  const pending = new Map<number, (answer: unknown) => void>();
  asked.on("message", ({ id, answer }: { id: number; answer: number }) => {
    pending.get(id)?.(answer);
    pending.delete(id);
  });
  const pushing = new Worker(WORKER, { eval: true });
  pushing.setMaxListeners(0);
  pushing.postMessage({});
  const { port1: near, port2: far } = new MessageChannel();
  asked.postMessage({ port: far }, [far as never]);
  near.on("message", () => undefined);
  let questions = 0;

  const sources: Readonly<Record<RawSource, () => Promise<unknown>>> = {
    async socket() {
      const socket = connect(port, "127.0.0.1");
      socket.write("question\n");
      for await (const chunk of socket) return String(chunk).trim();
      throw new Error("the server has closed the connection");
    },
    async "pooled socket"() {
      const socket = idle.pop() ?? (await connected());
      everySocket.push(socket);
      socket.write("question\n");
      const [chunk] = (await once(socket, "data")) as [Buffer];
      idle.push(socket);
      return String(chunk).trim();
    },
    client: () => client.query("question"),
    worker: () =>
      new Promise((resolve) => {
        const id = ++questions;
        pending.set(id, resolve);
        asked.postMessage({ id });
      }),
    async "worker that pushes"() {
      const [message] = (await once(pushing, "message")) as [number];
      return message;
    },
    "message port": () =>
      new Promise((resolve) => {
        near.once("message", resolve);
        near.postMessage("question");
      }),
    async file() {
      rewrite();
      return readFile(file, "utf8");
    },
    async "file handle"() {
      rewrite();
      const handle = await open(file);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(100));
      await handle.close();
      return buffer.toString("utf8", 0, bytesRead);
    },
    async "child process"() {
      const child = spawn("/bin/sh", ["-c", "echo $$"]);
      let output = "";
      child.stdout.on("data", (chunk) => (output += String(chunk)));
      await once(child, "close");
      return output;
    },
  };
  return {
    read: (source) => sources[source as RawSource](),
    async close() {
      for (const socket of everySocket) socket.destroy();
      client.close();
      server.close();
      near.close();
      await Promise.all([asked.terminate(), pushing.terminate()]);
      rmSync(directory, { recursive: true });
    },
  };
}

/** A server that answers each line with another, after up to three milliseconds. */
function createAnswering(): Server {
  let answers = 0;
  return createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      for (const line of String(chunk).split("\n").slice(0, -1)) {
        setTimeout(() => socket.write(`${line} ${++answers}\n`), Math.random() * 3);
      }
    });
  });
}

/** As the clients of databases are made: one connection, one query under way, the others in a queue. */
class LineClient {
  readonly #socket: Socket;
  readonly #queue: { readonly text: string; readonly resolve: (row: string) => void }[] = [];
  #busy = false;
  #received = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => this.#receive(String(chunk)));
  }

  query(text: string): Promise<string> {
    return new Promise((resolve) => {
      this.#queue.push({ text, resolve });
      this.#pulse();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #pulse(): void {
    const next = this.#queue[0];
    if (this.#busy || next === undefined) return;
    this.#busy = true;
    this.#socket.write(`${next.text}\n`);
  }

  #receive(chunk: string): void {
    this.#received += chunk;
    const end = this.#received.indexOf("\n");
    if (end === -1) return;
    const row = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 1);
    this.#busy = false;
    this.#queue.shift()?.resolve(row);
    this.#pulse();
  }
}

/** `program` with `step` as one more step, at the place of that number. */
export function insertStep(program: Step, step: Step, place: number): Step {
  const places = countPlaces(program);
  let left = place % places;
  const visit = (current: Step): Step => {
    if (!("steps" in current)) return current;
    const steps: Step[] = [];
    for (const one of current.steps) {
      if (left-- === 0) steps.push(step);
      steps.push(visit(one));
    }
    if (left-- === 0) steps.push(step);
    return { ...current, steps };
  };
  return visit(program);
}

function countPlaces(program: Step): number {
  if (!("steps" in program)) return 0;
  return program.steps.reduce((sum, step) => sum + countPlaces(step), program.steps.length + 1);
}

/** Programs that read something raw at some place, with the source they read. */
export function rawPrograms(
  sources: readonly string[],
): fc.Arbitrary<{ readonly program: Step; readonly source: string }> {
  return fc
    .tuple(
      programs,
      fc.nat(),
      fc.constantFrom(...sources),
      fc.constantFrom("none" as const, "stage" as const, "pipeline" as const),
    )
    .map(([program, place, source, inside]) => {
      const raw: Step = { do: "raw", source };
      const step: Step = inside === "none" ? raw : { do: inside, name: "a", steps: [raw] };
      return { program: insertStep(program, step, place), source };
    });
}
