/**
 * The vendors' own clients, unmodified, against a server on loopback that speaks their protocols: recorded,
 * and replayed with the server stopped.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hindcast, hindcast, type StoredCapsule } from "hindcast";
import { type Capsule, explain, readCapsule, replay, valueAt } from "hindcast/replay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";
import { type ModelServer, startModelServer } from "./model-server.js";
import { type NetworkWatch, watchNetwork } from "./network-watch.js";
import { SECRETS } from "./program.js";
import { programs } from "./programs.js";
import type { RecordedProgram, ReplayReport } from "./replay-process.js";

let watch: NetworkWatch;
let folder: string;
beforeAll(() => {
  watch = watchNetwork();
  folder = mkdtempSync(join(tmpdir(), "hindcast-vendors-"));
});
afterAll(() => {
  watch.restore();
  rmSync(folder, { recursive: true, force: true });
});

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? "null");

const settled = (promise: unknown): Promise<unknown> =>
  Promise.resolve(promise).then(
    (value) => ({ status: "ok", value: plain(value) }),
    (error: unknown) => ({ status: "error", error: String(error) }),
  );

/** What was read of response bodies, chunk by chunk. */
function chunksOf(capsule: Capsule): unknown[] {
  return capsule.effects
    .filter(({ name }) => name.startsWith("fetch") && name.endsWith(".stream"))
    .map(({ outcome }) => (outcome.status === "pending" ? "pending" : valueAt(capsule, outcome.value)));
}

interface Recorded {
  readonly url: string;
  readonly hc: Hindcast;
  readonly entry: (...input: never[]) => unknown;
  readonly stored: StoredCapsule;
  readonly outcome: unknown;
  readonly seen: unknown[];
}

/** Records one run of a program, whose server is gone afterwards. */
async function record(name: string): Promise<Recorded> {
  const { mishaps, input, make } = programs[name]!;
  const server: ModelServer = await startModelServer();
  const hc = hindcast({ service: "vendors" });
  const seen: unknown[] = [];
  const entry = hc.pipeline(
    { name },
    make({ hc, url: server.url, see: (what) => void seen.push(plain(what)) }),
  );
  server.expect(mishaps ?? []);
  const outcome = await settled(Reflect.apply(entry, undefined, (input?.() ?? []) as never[]));
  const [stored] = await storedBy(hc);
  await server.close();
  return { url: server.url, hc, entry, stored: stored!, outcome, seen };
}

const recorded: (RecordedProgram & { readonly seen: unknown[] })[] = [];

describe.each(Object.keys(programs))("%s", (name) => {
  test("G4, G5: replays as it was, without a connection", async () => {
    const before = { ...watch.counts };
    const { url, hc, entry, stored, outcome, seen } = await record(name);
    try {
      expect(watch.counts.fetch).toBeGreaterThan(before.fetch);
      expect(readCapsule(stored).replayable).toEqual({ exact: true, reasons: [] });
      const observed = [...seen];
      const file = `${stored.summary.id}.capsule`;
      recorded.push({ name, url, file, seen: observed });
      writeFileSync(join(folder, file), stored.bytes);
      seen.length = 0;
      const counts = { ...watch.counts };
      const result = await replay(stored, entry);
      expect(explain(result)).toMatch(/^verdict {3}identical/);
      expect(seen).toEqual(observed);
      expect(chunksOf(result.replayed)).toEqual(chunksOf(readCapsule(stored)));
      const again = result.outcome as { status: string; value?: unknown; error?: unknown };
      expect(
        again.status === "ok"
          ? { status: "ok", value: plain(again.value) }
          : { status: again.status, error: String(again.error) },
      ).toEqual(outcome);
      expect(watch.counts).toEqual(counts);
      for (const secret of Object.values(SECRETS)) {
        expect(Buffer.from(stored.bytes).includes(secret)).toBe(false);
      }
    } finally {
      await hc.close();
    }
  });
});

test("G4, G5: replays in another process that has no network", async () => {
  writeFileSync(join(folder, "recorded.json"), JSON.stringify(recorded));
  const program = join(repositoryRoot, "test/vendors/replay-process.ts");
  const { exitCode, output } = await runNode(
    ["--conditions=hindcast-source", "--import", "tsx", program, folder],
    { cwd: repositoryRoot },
  );
  expect([exitCode, output]).toEqual([0, expect.stringMatching(/^\{/)]);
  const { results, network } = JSON.parse(output) as ReplayReport;
  expect(network).toEqual({ connect: 0, lookup: 0, fetch: 0 });
  for (const { name, seen } of recorded) {
    expect([name, results[name]?.explained.split("\n")[0]]).toEqual([name, "verdict   identical"]);
    expect(results[name]?.seen).toEqual(seen);
  }
});
