import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { encodeValue, releaseWriter, takeWriter } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";

const MEGABYTE = 1 << 20;

test("G8: a writer that is used again holds on to nothing of a large value", async () => {
  const limits = { ...DEFAULT_LIMITS, valueBytes: 64 * MEGABYTE, capsuleBytes: 64 * MEGABYTE };
  const before = process.memoryUsage().arrayBuffers;
  const bytes = encodeValue(takeSnapshot({ text: "é".repeat(16 * MEGABYTE) }, limits));
  expect(bytes.byteLength).toBeGreaterThan(32 * MEGABYTE);
  const writer = takeWriter();
  writer.text("x".repeat(32 * MEGABYTE));
  releaseWriter(writer);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let times = 0; times < 3; times++) {
    collect();
    await turn();
  }
  // What is left is the one copy that has been asked for.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(bytes.byteLength + MEGABYTE);
});

test("what it has written before shows in nothing that it writes", () => {
  const [first, second] = [{ a: "long ".repeat(100) }, { b: 1 }];
  const alone = Buffer.from(encodeValue(takeSnapshot(second, DEFAULT_LIMITS)));
  encodeValue(takeSnapshot(first, DEFAULT_LIMITS));
  expect(Buffer.from(encodeValue(takeSnapshot(second, DEFAULT_LIMITS)))).toEqual(alone);
});
