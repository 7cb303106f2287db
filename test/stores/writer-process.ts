/** A process that writes to a file store, to be killed or to meet a full disk. Bundled by file-store.test.ts. */
import { readdirSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileStore, isHindcastError, type StoredCapsule } from "hindcast";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";

const [, , mode, dir = ".", chosen] = process.argv;
const compression = chosen === "none" ? "none" : "deflate";

/** Until it is killed: several appends at a time, and a line for each capsule that the store acknowledged. */
async function writeForEver(): Promise<never> {
  const store = fileStore({ dir, compression, segmentBytes: 20_000 });
  const write = async (size: number): Promise<never> => {
    for (;;) {
      const batch = Array.from({ length: size }, (_, index) =>
        sampleCapsule({ valueBytes: 100 * index * size }),
      );
      await store.append(batch);
      writeSync(1, batch.map(({ summary }) => `${summary.id}\n`).join(""));
    }
  };
  return Promise.race([write(1), write(3), write(8)]);
}

/** What a file size limit does to a store: the parent process reads the report. */
async function fillUp(): Promise<void> {
  const store = fileStore({ dir, compression: "none" });
  const sizes = (): number[] => readdirSync(dir).map((name) => statSync(join(dir, name)).size);
  const attempt = async (capsules: StoredCapsule[]): Promise<string> => {
    try {
      await store.append(capsules);
      return "ok";
    } catch (error) {
      return isHindcastError(error) ? error.code : String(error);
    }
  };
  const kept = [sampleCapsule(), sampleCapsule()];
  const first = await attempt(kept.slice(0, 1));
  const sizeBefore = sizes();
  const failing = await attempt(Array.from({ length: 20 }, () => sampleCapsule({ valueBytes: 100_000 })));
  const sizeAfter = sizes();
  const last = await attempt(kept.slice(1));
  await store.close();
  const found: string[] = [];
  for await (const { summary } of fileStore({ dir }).find()) found.push(summary.id);
  const expected = kept.map(({ summary }) => summary.id);
  writeSync(1, JSON.stringify({ first, failing, last, sizeBefore, sizeAfter, found, expected }));
}

await (mode === "full" ? fillUp() : writeForEver());
