import { randomBytes } from "node:crypto";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import {
  type DamagedSegment,
  type FileStoreOptions,
  fileStore,
  type Store,
  type StoredCapsule,
} from "hindcast";
import { testStore } from "hindcast/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const root = mkdtempSync(join(tmpdir(), "hindcast-file-store-"));
const writer = join(root, "writer.mjs");
let directories = 0;

function newDirectory(): string {
  return join(root, `dir-${directories++}`);
}

beforeAll(async () => {
  await build({
    entryPoints: [join(import.meta.dirname, "writer-process.ts")],
    outfile: writer,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["hindcast-source"],
    // What is CommonJS in the bundle asks for Node's modules by `require`.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function segmentsOf(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(".hindcast"))
    .toSorted()
    .map((name) => join(dir, name));
}

function bytesOf(dir: string): number {
  return segmentsOf(dir).reduce((sum, file) => sum + statSync(file).size, 0);
}

async function all(store: Store): Promise<StoredCapsule[]> {
  const capsules: StoredCapsule[] = [];
  for await (const capsule of store.find()) capsules.push(capsule);
  return capsules;
}

const idsOf = (capsules: readonly StoredCapsule[]): string[] => capsules.map(({ summary }) => summary.id);
const idsIn = async (store: Store): Promise<string[]> => idsOf(await all(store));
const samples = (count: number, valueBytes = 16): StoredCapsule[] =>
  Array.from({ length: count }, () => sampleCapsule({ valueBytes }));
const withCode = (code: string): unknown => expect.objectContaining({ code });

describe.each<[string, Omit<FileStoreOptions, "dir">]>([
  ["fileStore is a store", {}],
  ["fileStore of many small segments is a store", { segmentBytes: 3000 }],
  ["fileStore with fsync is a store", { fsync: true }],
  ["fileStore without compression is a store", { compression: "none" }],
])("%s", (_name, options) => {
  const dirs = new WeakMap<Store, string>();
  const open = (dir: string): Store => {
    const store = fileStore({ dir, ...options });
    dirs.set(store, dir);
    return store;
  };
  testStore({
    test,
    create: () => open(newDirectory()),
    reopen: (closed) => open(dirs.get(closed) as string),
  });
});

describe("G9: kill -9", () => {
  /** Lets the writer run for a while, kills it, and gives what it said was acknowledged. */
  async function runAndKill(dir: string, compression: string, milliseconds: number): Promise<string[]> {
    const child: ChildProcess = spawn(process.execPath, [writer, "write", dir, compression], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout?.setEncoding("utf8");
    const closed = new Promise((resolve) => child.once("close", resolve));
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error("the writer ended by itself")));
      child.stdout?.on("data", (chunk: string) => {
        if (output === "") setTimeout(resolve, milliseconds);
        output += chunk;
      });
    });
    child.kill("SIGKILL");
    await closed;
    return output.split("\n").slice(0, -1); // the last line may be cut off
  }

  test.each(["deflate", "none"])(
    "loses nothing that was acknowledged, compression %s",
    async (compression) => {
      const dir = newDirectory();
      const acknowledged: string[] = [];
      for (let round = 0; round < (isLong ? 40 : 4); round++) {
        acknowledged.push(...(await runAndKill(dir, compression, Math.random() * 150)));
      }
      const damage: DamagedSegment[] = [];
      const store = fileStore({ dir, onDamage: (stretch) => damage.push(stretch) });
      const found = await all(store);
      const ids = new Set(idsOf(found));
      expect(acknowledged.length).toBeGreaterThan(20);
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
      expect(ids.size).toBe(found.length);
      // Whatever was being written at the kill is a torn end, and nothing worse.
      expect(damage.filter(({ tail }) => !tail)).toEqual([]);
      for (const id of acknowledged.slice(-5)) expect((await store.get(id))?.summary.id).toBe(id);
      const more = samples(2);
      await store.append(more);
      expect((await idsIn(store)).slice(-2)).toEqual(idsOf(more));
      await store.close();
    },
    120_000,
  );
});

describe("G9: a full disk", () => {
  test("a file size limit: the append is rejected and taken back, the next one works", async () => {
    const dir = newDirectory();
    const { stdout, stderr, status } = spawnSync(
      "sh",
      ["-c", `ulimit -f 2000 && exec "${process.execPath}" "${writer}" full "${dir}"`],
      { encoding: "utf8", timeout: 30_000 },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(report).toMatchObject({ first: "ok", failing: "store-failed", last: "ok" });
    expect(report["sizeAfter"]).toEqual(report["sizeBefore"]);
    expect(report["found"]).toEqual(report["expected"]);
  });

  // A small file system of its own, where this process may mount one.
  const small = join(root, "small-disk");
  mkdirSync(small);
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", small]).status === 0;
  afterAll(() => isMounted && spawnSync("umount", [small]));

  test.skipIf(!isMounted)(
    "no space left: the append is rejected and taken back, smaller ones work",
    async () => {
      const store = fileStore({ dir: join(small, "a"), compression: "none" });
      const kept = samples(3, 20_000);
      await store.append(kept);
      const size = bytesOf(join(small, "a"));
      const failure = expect.objectContaining({
        code: "store-failed",
        message: expect.stringContaining("ENOSPC"),
        cause: expect.objectContaining({ code: "ENOSPC" }),
      });
      // Some of them at once: one that fails must not pull down those behind it.
      const [large, afterwards] = await Promise.allSettled([
        store.append(samples(10, 50_000)),
        store.append([kept[0] as StoredCapsule]),
      ]);
      expect(large).toEqual({ status: "rejected", reason: failure });
      expect(afterwards.status).toBe("fulfilled");
      await expect(store.append(samples(1, 400_000))).rejects.toEqual(failure);
      const last = samples(1);
      await store.append(last);
      expect(await idsIn(store)).toEqual(idsOf([...kept, kept[0] as StoredCapsule, ...last]));
      expect(bytesOf(join(small, "a"))).toBeLessThan(size * 2);
      // Not even a segment can be begun, or its first record written: still a typed error, and nothing torn.
      writeFileSync(join(small, "ballast"), Buffer.alloc(100_000));
      const other = fileStore({ dir: join(small, "a"), compression: "none" });
      await expect(other.append(samples(4, 50_000))).rejects.toEqual(failure);
      await other.append(samples(1));
      expect(await idsIn(store)).toHaveLength(6);
      await Promise.all([store.close(), other.close()]);
    },
  );
});

describe("damage", () => {
  test.each([
    ["the capsule, as plain records", "none", 2],
    ["the block, compressed", "deflate", 0],
  ] as const)("a torn end is reported, and costs only itself: %s", async (_what, compression, whole) => {
    const dir = newDirectory();
    const before = samples(3);
    const torn = samples(3);
    const store = fileStore({ dir, compression });
    await store.append(before);
    await store.append(torn);
    await store.close();
    const [file = ""] = segmentsOf(dir);
    truncateSync(file, statSync(file).size - 1);
    const damage: DamagedSegment[] = [];
    const next = fileStore({ dir, onDamage: (stretch) => damage.push(stretch) });
    expect(await idsIn(next)).toEqual(idsOf([...before, ...torn.slice(0, whole)]));
    expect(damage).toEqual([{ file, tail: true, offset: expect.any(Number), bytes: expect.any(Number) }]);
    const more = samples(1);
    await next.append(more);
    expect(await idsIn(next)).toEqual(idsOf([...before, ...torn.slice(0, whole), ...more]));
    expect(segmentsOf(dir)).toHaveLength(2);
    await next.close();
  });

  test("damage in the middle is a process warning unless somebody listens", async () => {
    const dir = newDirectory();
    const capsules = samples(3);
    const store = fileStore({ dir, compression: "none" });
    await store.append(capsules);
    const [file = ""] = segmentsOf(dir);
    const bytes = readFileSync(file);
    const inSecond = bytes.indexOf(capsules[1]?.bytes ?? "") + 100;
    bytes[inSecond] = (bytes[inSecond] as number) ^ 0xff;
    writeFileSync(file, bytes);
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    expect(await idsIn(store)).toEqual(idsOf([capsules[0] as StoredCapsule, capsules[2] as StoredCapsule]));
    expect((await warned).message).toContain(file);
    await store.close();
  });

  test("a byte changed on disk costs the block that it is in, of about 64 kB, and no other", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    const capsules = samples(60, 4_000);
    await store.append(capsules);
    const [file = ""] = segmentsOf(dir);
    const whole = readFileSync(file);
    expect(whole.length).toBeLessThan(capsules.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) / 4);
    for (let position = 0; position < whole.length; position += 1 + Math.floor(whole.length / 50)) {
      const bytes = Buffer.from(whole);
      bytes[position] = (bytes[position] as number) ^ 0x40;
      writeFileSync(file, bytes);
      const damage: DamagedSegment[] = [];
      const found = await all(fileStore({ dir, onDamage: (stretch) => damage.push(stretch) }));
      const ids = new Set(idsOf(found));
      const missing = capsules.filter(({ summary }) => !ids.has(summary.id));
      expect(missing.length).toBeGreaterThan(0);
      expect(missing.reduce((sum, one) => sum + one.bytes.byteLength, 0)).toBeLessThanOrEqual(65_536);
      expect(damage).toHaveLength(1);
      const kept = capsules.filter(({ summary }) => ids.has(summary.id));
      expect(found.map((one) => Buffer.compare(one.bytes, kept.shift()?.bytes ?? Buffer.alloc(0)))).toEqual(
        found.map(() => 0),
      );
    }
    await store.close();
  });

  test("G2: a listener that throws does not keep the capsules from being found", async () => {
    const dir = newDirectory();
    const capsules = samples(2);
    const writing = fileStore({ dir });
    await writing.append(capsules);
    await writing.close();
    appendFileSync(segmentsOf(dir)[0] as string, "torn");
    const store = fileStore({
      dir,
      onDamage: () => {
        throw new Error("a listener's own");
      },
    });
    expect(await idsIn(store)).toEqual(idsOf(capsules));
  });

  test("files that are no segments are left alone", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir, segmentBytes: 1, maximumBytes: 1 });
    writeFileSync(join(dir, "notes.txt"), "not ours");
    for (const capsule of samples(3)) await store.append([capsule]);
    expect(await idsIn(store)).toHaveLength(1);
    expect(readFileSync(join(dir, "notes.txt"), "utf8")).toBe("not ours");
  });

  test("G2: a name that is no text in UTF-8 does not make the others unreadable", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    const odd = sampleCapsule({ pipeline: "cut in half \ud83d" });
    const capsules = [sampleCapsule(), odd, sampleCapsule()];
    await store.append(capsules);
    expect(await idsIn(store)).toEqual(idsOf(capsules));
    expect(await store.get(odd.summary.id)).toMatchObject({ summary: { id: odd.summary.id } });
  });
});

describe("several stores on one directory", () => {
  test("write at the same time, and each finds everything", async () => {
    const dir = newDirectory();
    const stores = Array.from({ length: 4 }, () => fileStore({ dir, segmentBytes: 2000 }));
    const written = await Promise.all(
      stores.map(async (store) => {
        const capsules = samples(20);
        for (let start = 0; start < 20; start += 4) await store.append(capsules.slice(start, start + 4));
        return capsules;
      }),
    );
    const expected = idsOf(written.flat()).toSorted();
    for (const store of stores) {
      const found = await idsIn(store);
      expect(found.toSorted()).toEqual(expected);
      // Each store's own come in its order.
      for (const capsules of written) {
        const own = new Set(idsOf(capsules));
        expect(found.filter((id) => own.has(id))).toEqual(idsOf(capsules));
      }
    }
    await Promise.all(stores.map((store) => store.close()));
    expect(new Set(segmentsOf(dir)).size).toBeGreaterThan(4);
  });

  test("G9: what one acknowledged is there although another made room", async () => {
    const dir = newDirectory();
    const quiet = fileStore({ dir, segmentBytes: 10_000, maximumBytes: 20_000 });
    const busy = fileStore({ dir, segmentBytes: 10_000, maximumBytes: 20_000 });
    await quiet.append(samples(1));
    for (let round = 0; round < 10; round++) await busy.append(samples(2, 3_000));
    const [capsule] = samples(1);
    await quiet.append([capsule as StoredCapsule]);
    expect(idsOf([capsule as StoredCapsule])).toEqual(
      (await idsIn(quiet)).filter((id) => id === capsule?.summary.id),
    );
    await Promise.all([quiet.close(), busy.close()]);
  });

  test("a search survives that another store deletes what it is reading", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir, segmentBytes: 2000 });
    for (const capsule of samples(30)) await store.append([capsule]);
    const found: string[] = [];
    for await (const { summary } of store.find()) {
      found.push(summary.id);
      for (const file of segmentsOf(dir).slice(1, 3)) rmSync(file);
    }
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found).size).toBe(found.length);
    await store.close();
  });
});

describe("G8: rotation", () => {
  test("begins a new segment after segmentBytes, and deletes the oldest beyond maximumBytes", async () => {
    const dir = newDirectory();
    const limits = { segmentBytes: 5_000, maximumBytes: 20_000 };
    const store = fileStore({ dir, ...limits });
    const capsules = samples(100, 500);
    const largest = Math.max(...capsules.map(({ bytes }) => bytes.byteLength)) + 1000;
    for (const capsule of capsules) {
      await store.append([capsule]);
      expect(bytesOf(dir)).toBeLessThanOrEqual(limits.maximumBytes + limits.segmentBytes + largest);
    }
    for (const file of segmentsOf(dir).slice(0, -1)) {
      expect(statSync(file).size).toBeGreaterThanOrEqual(limits.segmentBytes);
      expect(statSync(file).size).toBeLessThan(limits.segmentBytes + largest);
    }
    const found = await idsIn(store);
    expect(found.length).toBeGreaterThan(5);
    expect(found).toEqual(idsOf(capsules).slice(-found.length));
    expect(await store.get(idsOf(capsules)[0] as string)).toBeUndefined();
    expect((await store.get(found[0] as string))?.summary.id).toBe(found[0]);
    await store.close();
  });

  test("processes that each write little stay within maximumBytes together", async () => {
    const dir = newDirectory();
    for (let round = 0; round < 40; round++) {
      const store = fileStore({ dir, maximumBytes: 20_000, segmentBytes: 10_000 });
      await store.append(samples(2, 500));
      await store.close();
    }
    expect(bytesOf(dir)).toBeLessThanOrEqual(30_000);
  });

  test("a segment is not larger than the whole directory may be", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir, maximumBytes: 10_000 });
    for (const capsule of samples(100, 500)) await store.append([capsule]);
    expect(bytesOf(dir)).toBeLessThanOrEqual(20_000);
    await store.close();
  });

  test("one that opens no segment leaves none behind", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    await store.append([]);
    expect(await all(store)).toEqual([]);
    await store.close();
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("compression", () => {
  test("what is written with it and without it lies side by side", async () => {
    const dir = newDirectory();
    const batches = Array.from({ length: 6 }, (_, index) => samples(5, 2_000 * index));
    for (const [index, batch] of batches.entries()) {
      const store = fileStore({ dir, compression: index % 2 === 0 ? "deflate" : "none" });
      await store.append(batch);
      await store.close();
    }
    const store = fileStore({ dir });
    expect(await all(store)).toEqual(batches.flat());
    for (const one of batches.flat()) expect(await store.get(one.summary.id)).toEqual(one);
    await store.close();
  });

  test("what does not shrink is written as it is", async () => {
    const noise = samples(2).map(({ summary }) => ({ summary, bytes: randomBytes(100_000) }));
    const [compressed, plain] = [newDirectory(), newDirectory()];
    for (const [dir, compression] of [
      [compressed, "deflate"],
      [plain, "none"],
    ] as const) {
      const store = fileStore({ dir, compression });
      await store.append(noise);
      await store.close();
      expect((await all(fileStore({ dir }))).map(({ bytes }) => Buffer.from(bytes))).toEqual(
        noise.map(({ bytes }) => bytes),
      );
    }
    expect(bytesOf(compressed)).toBe(bytesOf(plain));
  });

  test.each(["deflate", "none"] as const)(
    "a batch that is written in several steps comes back, compression %s",
    async (compression) => {
      const dir = newDirectory();
      const store = fileStore({ dir, compression });
      const capsules = [...samples(40, 30_000), ...samples(3, 1_000_000), ...samples(200)].map(
        ({ summary, bytes }, index) => ({
          summary,
          bytes: index % 3 === 0 ? randomBytes(bytes.length) : bytes,
        }),
      );
      await Promise.all([store.append(capsules.slice(0, 100)), store.append(capsules.slice(100))]);
      const found = await all(store);
      expect(idsOf(found)).toEqual(idsOf(capsules));
      expect(
        found.map(({ bytes }, index) => Buffer.compare(bytes, capsules[index]?.bytes ?? Buffer.alloc(0))),
      ).toEqual(found.map(() => 0));
      await store.close();
    },
  );

  test("a kind that there is not is refused", () => {
    const options = { dir: newDirectory(), compression: "zip" } as unknown as FileStoreOptions;
    expect(() => fileStore(options)).toThrow(withCode("invalid-options"));
    expect(() => fileStore(options)).toThrow('give "deflate" or "none"');
  });
});

describe("a directory that cannot be used", () => {
  test("cannot be made", () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    expect(() => fileStore({ dir: file })).toThrow(withCode("invalid-options"));
    expect(() => fileStore({ dir: join(file, "below") })).toThrow(withCode("invalid-options"));
  });

  test.each([{ segmentBytes: 0 }, { segmentBytes: 1.5 }, { maximumBytes: -1 }, { maximumBytes: Number.NaN }])(
    "limits that make no sense: %o",
    (options) => {
      expect(() => fileStore({ dir: newDirectory(), ...options })).toThrow(withCode("invalid-options"));
    },
  );

  test("has gone: appends, get and find fail with a typed error", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    rmSync(dir, { recursive: true });
    const [capsule] = samples(1);
    await expect(store.append([capsule as StoredCapsule])).rejects.toEqual(withCode("store-failed"));
    await expect(store.get(capsule?.summary.id ?? "")).rejects.toEqual(withCode("store-failed"));
    await expect(all(store)).rejects.toEqual(withCode("store-failed"));
    // Once it is back, so is the store.
    mkdirSync(dir);
    await store.append([capsule as StoredCapsule]);
    expect(await idsIn(store)).toEqual([capsule?.summary.id]);
    await store.close();
  });

  test("has gone behind a full segment: the next append fails with a typed error, and close does not", async () => {
    const dir = newDirectory();
    const [first, second] = [1, 2].map(() => fileStore({ dir, segmentBytes: 1 })) as [Store, Store];
    for (const store of [first, second]) await store.append(samples(1));
    rmSync(dir, { recursive: true });
    await expect(first.append(samples(1))).rejects.toEqual(withCode("store-failed"));
    await second.close();
    mkdirSync(dir);
    const more = samples(2);
    for (const capsule of more) await first.append([capsule]);
    expect(await idsIn(first)).toEqual(idsOf(more));
    await first.close();
  });

  test("cannot be read: get and find fail with a typed error", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    await store.append(samples(1));
    // A directory cannot be read as a file, not even by root.
    mkdirSync(join(dir, "00000000-0000-7000-8000-000000000000.hindcast"));
    await expect(all(store)).rejects.toEqual(withCode("store-failed"));
    await expect(store.get("no such id")).rejects.toEqual(withCode("store-failed"));
    await store.close();
  });

  test("has gone while a segment was open: it is a failure, or is written anew, but never acknowledged and lost", async () => {
    const dir = newDirectory();
    const store = fileStore({ dir });
    await store.append(samples(1));
    rmSync(dir, { recursive: true });
    mkdirSync(dir);
    const [capsule] = samples(1);
    const acknowledged = await store.append([capsule as StoredCapsule]).then(
      () => [capsule?.summary.id],
      () => [],
    );
    expect(await idsIn(store)).toEqual(acknowledged);
    await store.close();
  });
});
