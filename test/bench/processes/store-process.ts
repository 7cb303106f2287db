/** Stores and capsules: bytes, rates, and how long it takes to find one. Prints one line of JSON. */
import { close, fdatasync, mkdtempSync, open, readdirSync, rmSync, statSync, write } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileStore, hindcast, memoryStore, type Store, type StoredCapsule } from "hindcast";
import { type Capsule, readCapsule, valueAt } from "hindcast/replay";
import type { CapsuleSize, FindTime, StoreFigures, StoreRate, WriteRate } from "../measures/store-figures.js";
import { PAYLOADS, type PayloadName, payloads } from "../payloads.js";
import { variedValues } from "../varied-payloads.js";
import { programFor } from "../programs.js";
import { distributionOf } from "../statistics.js";
import { wrapIn } from "../contenders/recorder.js";

const isShort = process.argv[2] === "short";
const root = mkdtempSync(join(tmpdir(), "hindcast-bench-store-"));
const [openFile, writeFile, syncFile, closeFile] = [
  promisify<string, string, number>(open),
  promisify(write),
  promisify(fdatasync),
  promisify(close),
] as const;

interface Recorded {
  readonly capsules: readonly StoredCapsule[];
  readonly bytesOnDisk: number;
  readonly appends: number;
}

/** So many runs into files, flushed `apart` or together. */
async function record(payload: PayloadName, runs: number, apart: boolean): Promise<Recorded> {
  const dir = join(root, `size-${payload}-${apart}`);
  const files = fileStore({ dir });
  let appends = 0;
  const append: Store["append"] = (batch) => {
    appends += 1;
    return files.append(batch);
  };
  const hc = hindcast({ service: "bench", store: { ...files, append } });
  const program = programFor(payload, (name, role, body) => wrapIn(hc, name, role, body));
  const next = variedValues(payload);
  for (let run = 0; run < runs; run++) {
    await program(next());
    if (apart) await hc.flush();
  }
  await hc.flush();
  const capsules: StoredCapsule[] = [];
  for await (const found of hc.store.find()) capsules.push(found);
  await hc.close();
  if (capsules.length !== runs)
    throw new Error(`${capsules.length} of ${runs} capsules of ${payload} are there`);
  return { capsules, bytesOnDisk: bytesUnder(dir), appends };
}

async function sizeOf(payload: PayloadName): Promise<readonly [CapsuleSize, StoredCapsule]> {
  const runs = payloads[payload].calls;
  const together = await record(payload, runs, false);
  const alone = await record(payload, runs, true);
  const mean = (of: (capsule: StoredCapsule) => number): number =>
    Math.round(together.capsules.reduce((sum, capsule) => sum + of(capsule), 0) / runs);
  const size = {
    encoded: mean(({ bytes }) => bytes.byteLength),
    onDisk: together.bytesOnDisk / runs,
    together: runs / together.appends,
    onDiskAlone: alone.bytesOnDisk / runs,
    json: mean((capsule) => Buffer.byteLength(asJson(readCapsule(capsule)))),
  };
  return [size, together.capsules[0] as StoredCapsule];
}

function bytesUnder(dir: string): number {
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

/** A capsule as somebody would log it: JSON with the values in the places where they belong. */
function asJson(capsule: Capsule): string {
  const { values: _values, ...record } = capsule;
  const calls = record.calls.map((call) => ({
    ...call,
    input: call.input.map((reference) => valueAt(capsule, reference)),
    outcome:
      call.outcome.status === "pending"
        ? call.outcome
        : { ...call.outcome, value: valueAt(capsule, call.outcome.value) },
  }));
  return JSON.stringify({ ...record, calls }, (_key, value: unknown) =>
    ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value,
  );
}

/** The file store against the same bytes through `fs.write`, by turns. */
async function writesOf(
  stored: StoredCapsule,
  count: number,
  fsync: boolean,
  appends: number,
): Promise<WriteRate> {
  const batch = Array.from({ length: count }, () => stored);
  // What the store writes for one batch, as it lies on disk.
  const probeDir = join(root, `probe-${count}-${fsync}`);
  const probe = fileStore({ dir: probeDir, compression: "none" });
  await probe.append(batch);
  await probe.close();
  const bytes = Buffer.alloc(bytesUnder(probeDir), 0x5a);
  const store: number[] = [];
  const plain: number[] = [];
  const rounds = isShort ? 2 : 7;
  for (let round = 0; round < rounds * 2; round++) {
    const dir = join(root, `write-${count}-${fsync}-${round}`);
    const byStore = round % 4 === 0 || round % 4 === 3;
    const start = process.hrtime.bigint();
    if (byStore) {
      const target = fileStore({ dir, fsync, compression: "none" });
      for (let append = 0; append < appends; append++) await target.append(batch);
      await target.close();
    } else {
      const descriptor = await openFile(dir, "wx");
      for (let append = 0; append < appends; append++) {
        await writeFile(descriptor, bytes, 0, bytes.length, append * bytes.length);
        if (fsync) await syncFile(descriptor);
      }
      await closeFile(descriptor);
    }
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    (byStore ? store : plain).push((appends * bytes.length) / 1e6 / seconds);
    rmSync(dir, { recursive: true });
  }
  return { batch: bytes.length, fsync, store: distributionOf(store), plain: distributionOf(plain) };
}

/** Runs as fast as they go, waiting where the queue would overflow. */
async function rateInto(name: string, store: Store): Promise<StoreRate> {
  const hc = hindcast({ service: "bench", store });
  const program = programFor("object", (stage, role, body) => wrapIn(hc, stage, role, body));
  const value = payloads.object.make();
  const end = performance.now() + (isShort ? 300 : 2_000);
  const start = performance.now();
  while (performance.now() < end) {
    for (let run = 0; run < 500; run++) await program(value);
    await hc.flush();
  }
  const seconds = (performance.now() - start) / 1000;
  const { stored, storedBytes, lost } = hc.stats().capsules;
  await hc.close();
  return {
    store: name,
    runs: stored / seconds,
    bytesPerCapsule: storedBytes / stored,
    lost: lost.queue + lost.codec + lost.store,
  };
}

/** A directory of so many capsules, of which one in a thousand has another pipeline, searched in several ways. */
async function findIn(stored: StoredCapsule, capsules: number): Promise<FindTime> {
  const dir = join(root, `find-${capsules}`);
  const filling = fileStore({ dir });
  const idOf = (index: number): string => `019ab000-0000-7000-8000-${index.toString(16).padStart(12, "0")}`;
  const append = await millisecondsOf(async () => {
    for (let first = 0; first < capsules; first += 500) {
      await filling.append(
        Array.from({ length: Math.min(500, capsules - first) }, (_, offset) => {
          const index = first + offset;
          const pipeline = index % 1000 === 999 ? "rare" : stored.summary.pipeline;
          return { bytes: stored.bytes, summary: { ...stored.summary, id: idOf(index), pipeline } };
        }),
      );
    }
  });
  await filling.close();
  const store = fileStore({ dir });
  const count = async (query: Parameters<Store["find"]>[0], expected: number): Promise<void> => {
    let found = 0;
    for await (const _capsule of store.find(query)) found += 1;
    if (found !== expected) throw new Error(`found ${found} capsules, not ${expected}`);
  };
  const figures = {
    capsules,
    append,
    get: await millisecondsOf(async () => {
      if ((await store.get(idOf(capsules >> 1))) === undefined) throw new Error("a capsule is missing");
    }),
    newest: await millisecondsOf(() => count({ limit: 20 }, Math.min(20, capsules))),
    rare: await millisecondsOf(() => count({ pipeline: "rare" }, capsules / 1000)),
    all: await millisecondsOf(() => count({}, capsules)),
  };
  await store.close();
  rmSync(dir, { recursive: true });
  return figures;
}

async function millisecondsOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function measure(): Promise<StoreFigures> {
  const measured = new Map<PayloadName, readonly [CapsuleSize, StoredCapsule]>();
  for (const payload of PAYLOADS) measured.set(payload, await sizeOf(payload));
  const [, prompt] = measured.get("prompt") as readonly [CapsuleSize, StoredCapsule];
  const [, object] = measured.get("object") as readonly [CapsuleSize, StoredCapsule];
  const perMegabyte = Math.round(1e6 / prompt.bytes.byteLength);
  return {
    sizes: Object.fromEntries([...measured].map(([name, [size]]) => [name, size])) as StoreFigures["sizes"],
    writes: [
      await writesOf(prompt, perMegabyte, false, isShort ? 20 : 100),
      await writesOf(prompt, perMegabyte, true, isShort ? 5 : 20),
      await writesOf(prompt, 8, false, isShort ? 200 : 1_000),
      await writesOf(prompt, 8, true, isShort ? 10 : 100),
    ],
    rates: [
      await rateInto("memory", memoryStore()),
      await rateInto("files", fileStore({ dir: join(root, "rate") })),
      await rateInto("files, fsync", fileStore({ dir: join(root, "rate-fsync"), fsync: true })),
    ],
    finds: await Promise.resolve().then(async () => {
      const times: FindTime[] = [];
      for (const count of isShort ? [1_000] : [1_000, 10_000, 100_000])
        times.push(await findIn(object, count));
      return times;
    }),
  };
}

try {
  console.log(JSON.stringify(await measure()));
} finally {
  rmSync(root, { recursive: true, force: true });
}
