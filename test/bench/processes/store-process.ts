/** Stores and capsules: bytes, rates, and how long it takes to find one. Prints one line of JSON. */
import { close, fdatasync, mkdtempSync, open, readdirSync, rmSync, statSync, write } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileStore, hindcast, memoryStore, type Store, type StoredCapsule } from "hindcast";
import { type Capsule, readCapsule, valueAt } from "hindcast/replay";
import type { CapsuleSize, FindTime, StoreFigures, StoreRate, WriteRate } from "../measures/store-figures.js";
import { PAYLOADS, type PayloadName, payloads } from "../payloads.js";
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

/** One capsule of each payload, as the file store gives it back, and what it took on disk. */
async function capsuleOf(payload: PayloadName): Promise<readonly [StoredCapsule, number]> {
  const dir = join(root, `size-${payload}`);
  const hc = hindcast({ service: "bench", store: fileStore({ dir }) });
  const program = programFor(payload, (name, role, body) => wrapIn(hc, name, role, body));
  const value = payloads[payload].make();
  for (let run = 0; run < 20; run++) await program(value);
  await hc.flush();
  let stored: StoredCapsule | undefined;
  for await (const found of hc.store.find({ limit: 1 })) stored = found;
  await hc.close();
  if (stored === undefined) throw new Error(`no capsule of ${payload} was stored`);
  return [stored, bytesUnder(dir) / 20];
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

function sizeOf([stored, onDisk]: readonly [StoredCapsule, number]): CapsuleSize {
  const json = Buffer.byteLength(asJson(readCapsule(stored)));
  return { encoded: stored.bytes.byteLength, onDisk, json };
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
  const probe = fileStore({ dir: probeDir });
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
      const target = fileStore({ dir, fsync });
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
  const capsules = new Map<PayloadName, readonly [StoredCapsule, number]>();
  for (const payload of PAYLOADS) capsules.set(payload, await capsuleOf(payload));
  const capsule = (payload: PayloadName): readonly [StoredCapsule, number] =>
    capsules.get(payload) as readonly [StoredCapsule, number];
  const [prompt] = capsule("prompt");
  const [object] = capsule("object");
  const perMegabyte = Math.round(1e6 / prompt.bytes.byteLength);
  return {
    sizes: Object.fromEntries(PAYLOADS.map((name) => [name, sizeOf(capsule(name))])) as StoreFigures["sizes"],
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
