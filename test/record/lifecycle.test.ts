/** What becomes of capsules when a process ends, in real processes. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fileStore, hindcast } from "hindcast";
import { readCapsule } from "hindcast/replay";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { repositoryRoot } from "../tools/entry-points.js";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "hindcast-lifecycle-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly unknown[];
  readonly errors: string;
  /** From its last line, or its beginning, to its end. */
  readonly milliseconds: number;
}

/** Runs a scenario of `lifecycle-process.ts`; sends the signals, one after the other, once it says that it is ready. */
function run(file: string, how: string, signals: readonly NodeJS.Signals[] = []): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const child = spawn(
      process.execPath,
      ["--conditions=hindcast-source", "--import", "tsx", path, how, dir],
      {
        cwd: repositoryRoot,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    let errors = "";
    let last = performance.now();
    const killed = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      last = performance.now();
      if (chunk.includes('"ready"')) for (const signal of signals) child.kill(signal);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (errors += chunk));
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(killed);
      const lines =
        output.trim() === ""
          ? []
          : output
              .trim()
              .split("\n")
              .map((line) => JSON.parse(line) as unknown);
      resolve({ code, signal, lines, errors, milliseconds: performance.now() - last });
    });
  });
}

/** Capsules in the directory: each can be opened, and is there once. */
async function found(): Promise<number> {
  const ids = new Set<string>();
  let count = 0;
  const damage: unknown[] = [];
  for await (const stored of fileStore({ dir, onDamage: (one) => void damage.push(one) }).find()) {
    count += 1;
    ids.add(readCapsule(stored).id);
  }
  expect(damage).toEqual([]);
  expect(ids.size).toBe(count);
  return count;
}

const lifecycle = (how: string, signals?: readonly NodeJS.Signals[]): Promise<Ended> =>
  run("lifecycle-process.ts", how, signals);

describe("a process with nothing left to do", () => {
  test("ends, though an instance was made and listens to signals", async () => {
    expect(await lifecycle("idle")).toMatchObject({ code: 0, errors: "" });
  });

  test("G9: waits for a store that keeps it alive no longer", async () => {
    expect(await lifecycle("an unreferenced store")).toMatchObject({
      code: 0,
      lines: [5],
      errors: "",
    });
  });

  test("waits for a store that never answers for a while, and then says what is lost", async () => {
    const { code, lines } = await lifecycle("a store that never answers");
    expect(code).toBe(0);
    expect(lines).toEqual([
      "exit",
      expect.objectContaining({ waiting: 0, stored: 0, lost: { queue: 0, codec: 0, store: 0, exit: 5 } }),
    ]);
  });

  test("that awaits close() is alive when the timeout comes", async () => {
    const ended = await lifecycle("awaits close of a store that never answers");
    expect(ended).toMatchObject({ code: 0, lines: ["closed"] });
  });
});

test("G9: a process with nothing left to do stores what is on its way", async () => {
  expect(await lifecycle("nothing left to do")).toMatchObject({ code: 0, errors: "" });
  expect(await found()).toBe(500);
});

describe("process.exit()", () => {
  test("at once loses what is on its way, and counts it; the exit code is the service's", async () => {
    const { code, lines } = await lifecycle("process.exit at once");
    expect(code).toBe(3);
    const lost = { queue: 0, codec: 0, store: 0, exit: 20 };
    expect(lines).toEqual([
      "exit",
      expect.objectContaining({ waiting: 0, stored: 0, lost, lostByRule: { all: lost } }),
    ]);
    expect(await found()).toBe(0);
  });

  test("G9: after close() loses nothing", async () => {
    expect((await lifecycle("close before process.exit")).code).toBe(3);
    expect(await found()).toBe(20);
  });
});

describe("a signal", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "G9: %s: what is on its way is stored, and the process ends by it",
    async (signal) => {
      expect(await lifecycle("waits for a signal", [signal])).toMatchObject({ code: null, signal });
      expect(await found()).toBe(20);
    },
  );

  test("G9: it ends when the slowest of several instances has stored what it had", async () => {
    expect(await lifecycle("waits for a signal, with two instances", ["SIGTERM"])).toMatchObject({
      code: null,
      signal: "SIGTERM",
    });
    expect(await found()).toBe(20);
  });

  test("a store that never answers holds it no longer than the deadline", async () => {
    const ended = await lifecycle("waits for a signal, and its store for ever", ["SIGTERM"]);
    expect(ended).toMatchObject({ code: null, signal: "SIGTERM", lines: ["ready", "exit"] });
  });

  test("a second one ends it at once", async () => {
    const ended = await lifecycle("waits for a signal, and its store for ever", ["SIGTERM", "SIGTERM"]);
    expect(ended).toMatchObject({ code: null, signal: "SIGTERM" });
  });

  test("G2: a service that listens to it itself decides when it ends, and how; what it does until then is stored", async () => {
    expect(await lifecycle("listens to the signal itself", ["SIGTERM"])).toMatchObject({
      code: 7,
      signal: null,
    });
    expect(await found()).toBe(25);
  });

  test("an instance that is closed listens no more", async () => {
    const before = process.listenerCount("SIGHUP");
    const hc = hindcast({ service: "lifecycle", shutdown: { signals: ["SIGHUP"] } });
    await expect.poll(() => process.listenerCount("SIGHUP")).toBe(before + 1);
    await hc.close();
    expect(process.listenerCount("SIGHUP")).toBe(before);
    const other = hindcast({ service: "lifecycle", shutdown: { signals: ["SIGHUP"] } });
    await other.close(); // before it listens
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(process.listenerCount("SIGHUP")).toBe(before);
  });

  test.each([["SIGKILL"], ["SIGSTOP"], ["TERM"], [15]])("%s is refused", (signal) => {
    expect(() => hindcast({ service: "s", shutdown: { signals: [signal as NodeJS.Signals] } })).toThrow(
      expect.objectContaining({ code: "invalid-options", message: expect.stringContaining("signals") }),
    );
  });

  test("so is a deadline that is no duration", () => {
    expect(() => hindcast({ service: "s", shutdown: { deadline: "soon" as "5s" } })).toThrow(
      expect.objectContaining({ code: "invalid-options", message: expect.stringContaining("deadline") }),
    );
  });
});

describe("waitUntil", () => {
  test("is given a promise for each run that is kept, in its context, which resolves when that is stored", async () => {
    const given: { readonly id: string | undefined; readonly stored: Promise<void> }[] = [];
    const hc = hindcast({
      service: "lifecycle",
      keep: { name: "even", keeps: (one) => one.pipeline === "even" },
      waitUntil: (stored) => given.push({ id: hc.current()?.pipeline, stored }),
    });
    hc.pipeline({ name: "even" }, () => 2)();
    hc.pipeline({ name: "odd" }, () => 1)();
    await hc.pipeline({ name: "even" }, async () => 4)();
    expect(given).toHaveLength(2);
    await Promise.all(given.map(({ stored }) => stored));
    expect(hc.stats().capsules).toMatchObject({ waiting: 0, stored: 2 });
  });

  test("is not given one for a run that is lost at once", async () => {
    let given = 0;
    const hc = hindcast({
      service: "lifecycle",
      queueBytes: 1,
      waitUntil: () => given++,
      onError: () => undefined,
    });
    hc.pipeline({ name: "flow" }, () => 2)();
    expect([given, hc.stats().capsules.lost.queue]).toEqual([0, 1]);
  });

  test("resolves where the store refuses the capsule", async () => {
    let waited: Promise<void> | undefined;
    const { memoryStore } = await import("hindcast");
    const store = { ...memoryStore(), append: () => Promise.reject(new Error("down")) };
    const hc = hindcast({
      service: "lifecycle",
      store,
      onError: () => undefined,
      waitUntil: (stored) => void (waited = stored),
    });
    hc.pipeline({ name: "flow" }, () => 2)();
    await waited;
    expect(hc.stats().capsules.lost.store).toBe(1);
  });
});

describe("several writers of one directory", () => {
  test.each(["worker threads", "cluster"])(
    "G9: %s: every capsule is found, and none is torn",
    async (how) => {
      const { code, lines, errors } = await run("workers-process.ts", how);
      expect({ code, errors }).toEqual({ code: 0, errors: "" });
      expect(lines).toEqual([{ stored: 4 * 300 }]);
      expect(await found()).toBe(4 * 300);
    },
  );
});
