/** Whether an open segment is still there, asked in both ways. */
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileStore, type StoredCapsule } from "hindcast";
import { afterAll, describe, expect, test, vi } from "vitest";
import { isLinked, isLinkedSync, isLocal } from "../../src/stores/link.js";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";

const asks = vi.hoisted(() => ({ isLocal: undefined as boolean | undefined, atOnce: 0, later: 0 }));

// Which way is taken is the file system's to say: here both are, on one.
vi.mock("../../src/stores/link.js", async (load) => {
  const real = await load<typeof import("../../src/stores/link.js")>();
  return {
    isLocal: (dir: string) =>
      asks.isLocal === undefined ? real.isLocal(dir) : Promise.resolve(asks.isLocal),
    isLinked: (descriptor: number) => {
      asks.later += 1;
      return real.isLinked(descriptor);
    },
    isLinkedSync: (descriptor: number) => {
      asks.atOnce += 1;
      return real.isLinkedSync(descriptor);
    },
  };
});

const root = mkdtempSync(join(tmpdir(), "hindcast-link-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a file is linked until it is deleted, and one that cannot be asked is not", async () => {
  const file = join(root, "file");
  const descriptor = openSync(file, "w");
  expect([isLinkedSync(descriptor), await isLinked(descriptor)]).toEqual([true, true]);
  rmSync(file);
  expect([isLinkedSync(descriptor), await isLinked(descriptor)]).toEqual([false, false]);
  closeSync(descriptor);
  expect([isLinkedSync(descriptor), await isLinked(descriptor)]).toEqual([false, false]);
});

test("a file system that is not known is not local, nor is a directory that has gone", async () => {
  expect(await isLocal("/proc")).toBe(false);
  expect(await isLocal(join(root, "none"))).toBe(false);
});

describe.each([
  ["a local file system", true],
  ["another", false],
])("G9: on %s", (_name, local) => {
  test.each(["none", "deflate"] as const)(
    "what is acknowledged is there although another made room, compression %s",
    async (compression) => {
      Object.assign(asks, { isLocal: local, atOnce: 0, later: 0 });
      const dir = join(root, `${local}-${compression}`);
      const limits = { segmentBytes: 10_000, maximumBytes: 20_000 };
      const quiet = fileStore({ dir, ...limits, compression });
      const busy = fileStore({ dir, ...limits, compression: "none" });
      for (let turn = 0; turn < 5; turn++) {
        await quiet.append([sampleCapsule()]);
        for (let round = 0; round < 10; round++) await busy.append([sampleCapsule({ valueBytes: 6_000 })]);
        const capsule = sampleCapsule();
        await quiet.append([capsule]);
        const found: StoredCapsule[] = [];
        for await (const one of quiet.find()) found.push(one);
        expect(found.map(({ summary }) => summary.id)).toContain(capsule.summary.id);
      }
      await Promise.all([quiet.close(), busy.close()]);
      expect([asks.atOnce > 0, asks.later > 0]).toEqual([local, !local]);
    },
  );
});
