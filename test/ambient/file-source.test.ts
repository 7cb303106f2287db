import fs from "node:fs";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline as pipeStreams } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let dir = "";
let file = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "hindcast-files-"));
  file = join(dir, "limits.json");
  writeFileSync(file, JSON.stringify({ limit: 1, text: "x".repeat(100_000) }));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const callback = <T>(begin: (done: (error: unknown, ...value: T[]) => void) => void): Promise<T[]> =>
  new Promise((resolve, reject) =>
    begin((error, ...value) => (error == null ? resolve(value) : reject(error))),
  );
const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

const READS: Readonly<Record<string, () => unknown>> = {
  "readFile, promise": async () => (await readFile(file)).length,
  "readFile, callback": async () => (await promisify(fs.readFile)(file, "utf8")).slice(0, 20),
  "readFile, at once": () => fs.readFileSync(file, "utf8").length,
  "a file that is not there": async () => [
    await readFile(join(dir, "none")).catch(codeOf),
    await callback((done) => fs.stat(join(dir, "none"), done)).catch(codeOf),
    fs.existsSync(join(dir, "none")),
  ],
  "stat, in all ways": async () => {
    const all = [await fs.promises.stat(file), await promisify(fs.stat)(file), fs.statSync(file)];
    const big = await fs.promises.stat(file, { bigint: true });
    return [all.map((one) => [one.size, one.isFile(), one.mtime.getTime(), one.ino]), big.size, big.isFile()];
  },
  "exists and access": async () => [
    await new Promise((resolve) => fs.exists(file, resolve)),
    await callback((done) => fs.access(file, done)),
  ],
  readdir: async () => {
    const entries = await fs.promises.readdir(dir, { withFileTypes: true });
    return [fs.readdirSync(dir), entries.map((entry) => [entry.name, entry.isFile(), entry.isDirectory()])];
  },
  realpath: async () => (await fs.promises.realpath(file)).length,
  "a file handle": async () => {
    const handle = await fs.promises.open(file);
    try {
      const target = Buffer.alloc(20, "-");
      const { bytesRead, buffer } = await handle.read(target, 5, 10, 0);
      const { size } = await handle.stat();
      return [bytesRead, buffer === target, target.toString(), size, (await handle.readFile("utf8")).length];
    } finally {
      await handle.close();
    }
  },
  "a descriptor": async () => {
    const descriptor = fs.openSync(file, "r");
    const target = Buffer.alloc(10);
    const count = fs.readSync(descriptor, target, 0, 10, 2);
    const [read] = await callback<number>((done) =>
      fs.read(descriptor, Buffer.alloc(4), 0, 4, 0, done as never),
    );
    fs.closeSync(descriptor);
    return [count, target.toString(), read];
  },
  "a read stream": async () => {
    let length = 0;
    let chunks = 0;
    for await (const chunk of fs.createReadStream(file, { highWaterMark: 30_000 })) {
      length += (chunk as Buffer).length;
      chunks += 1;
    }
    return [length, chunks];
  },
  "a read stream through compression into a file": async () => {
    await pipeStreams(fs.createReadStream(file), createGzip(), fs.createWriteStream(join(dir, "packed")));
    return fs.statSync(join(dir, "packed")).size;
  },
  "writing and reading again": async () => {
    const own = join(await fs.promises.mkdtemp(join(dir, "own-")), "deep");
    await fs.promises.mkdir(own, { recursive: true });
    await fs.promises.writeFile(join(own, "a"), "one");
    fs.appendFileSync(join(own, "a"), " two");
    await fs.promises.rename(join(own, "a"), join(own, "b"));
    const text = await fs.promises.readFile(join(own, "b"), "utf8");
    await fs.promises.rm(own, { recursive: true });
    return text;
  },
  mkdtemp: async () => (await fs.promises.mkdtemp(join(dir, "t-"))).length,
};

async function recordThree(body: () => unknown, capture: { readonly files?: boolean } = { files: true }) {
  const hc = hindcast({ service: "files", capture, logger: { warn: () => undefined } });
  const load = hc.effect({ name: "load" }, (delay: number) => wait(delay, delay));
  const program = hc.pipeline({ name: "program" }, async () =>
    Promise.all([body(), load(Math.random() * 3), (async () => [await load(1), await body()])()]),
  );
  const outcomes = [await program(), ...(await Promise.all([program(), program()]))];
  await hc.flush();
  return { hc, program, outcomes: outcomes.map((one) => JSON.stringify(one, bigAsText)) };
}

const bigAsText = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? String(value) : value;

describe("G4, G5: with { files: true } a replay reads what was read, and touches no file", () => {
  test.each(Object.entries(READS))("%s", async (_name, body) => {
    const { hc, program, outcomes } = await recordThree(body);
    rmSync(dir, { recursive: true, force: true });
    for await (const stored of hc.store.find({ pipeline: "program" })) {
      expect(readCapsule(stored).replayable.reasons).toEqual([]);
      const result = await replay(stored, program);
      expect(result.verdict, explain(result)).toBe("identical");
      const { outcome } = result;
      expect(outcomes).toContain(
        outcome.status === "ok" ? JSON.stringify(outcome.value, bigAsText) : "failed",
      );
    }
    expect(fs.existsSync(dir)).toBe(false);
    await hc.close();
  });
});

test("files are not captured unless that is asked for", async () => {
  const { hc } = await recordThree(() => readFile(file), {});
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    const { effects, replayable } = readCapsule(stored);
    expect(effects.some(({ name }) => name.startsWith("fs."))).toBe(false);
    expect(replayable.reasons[0]?.message).toMatch(/used a file/);
  }
  await hc.close();
});

test("G8: what is over the limits is not held, and the run says so", async () => {
  const hc = hindcast({
    service: "files",
    capture: { files: true },
    limits: { valueBytes: 10_000 },
    logger: { warn: () => undefined },
  });
  const program = hc.pipeline({ name: "program" }, async () => (await readFile(file)).length);
  await program();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    expect(stored.bytes.length).toBeLessThan(20_000);
    expect(readCapsule(stored).replayable.reasons.map(({ code, name }) => [code, name])).toEqual([
      ["lost", "fs.promises.readFile"],
    ]);
  }
  await hc.close();
});

test("a file below the folder of the process is recorded as what it is there", async () => {
  const hc = hindcast({ service: "files", capture: { files: true } });
  const program = hc.pipeline(
    { name: "program" },
    async () => (await readFile(join(process.cwd(), "package.json"))).length,
  );
  await program();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const { effects, values } = readCapsule(stored);
    expect(Buffer.from(values[effects[0]?.input[0] as number] as Uint8Array).toString()).toContain(
      "package.json",
    );
    expect(Buffer.from(values[effects[0]?.input[0] as number] as Uint8Array).toString()).not.toContain(
      process.cwd(),
    );
  }
  await hc.close();
});
