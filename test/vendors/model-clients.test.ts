/**
 * The vendors' own clients, unmodified, against a server on loopback that speaks their protocols: recorded,
 * and replayed with the server stopped.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { type Hindcast, hindcast, type StoredCapsule } from "hindcast";
import { type Capsule, explain, readCapsule, replay, valueAt } from "hindcast/replay";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";
import { type ModelServer, startModelServer } from "./model-server.js";
import { type NetworkWatch, watchNetwork } from "./network-watch.js";
import { inPlainData, noteInto, SECRETS } from "./program.js";
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

const settled = (promise: unknown): Promise<unknown> =>
  Promise.resolve(promise).then(
    (value) => ({ status: "ok", value: inPlainData(value) }),
    (error: unknown) => ({ status: "error", error: String(error) }),
  );

/** What was read of response bodies, chunk by chunk. */
function chunksOf(capsule: Capsule): unknown[] {
  return capsule.effects
    .filter(({ name }) => name.startsWith("fetch") && name.endsWith(".stream"))
    .map(({ outcome }) => (outcome.status === "pending" ? "pending" : valueAt(capsule, outcome.value)));
}

/** The headers of requests that carry a key, as they are recorded. */
function credentialsOf(capsule: Capsule): unknown[] {
  return capsule.effects
    .filter(({ name }) => name === "fetch")
    .map(({ input: [, options] }) => valueAt(capsule, options!) as { headers: Record<string, string> })
    .map(({ headers }) => headers["authorization"] ?? headers["x-api-key"]);
}

function everythingIn(capsule: Capsule): unknown[] {
  return Array.from({ length: capsule.values.length }, (_, reference) => valueAt(capsule, reference));
}

interface Recorded {
  readonly url: string;
  readonly hc: Hindcast;
  readonly entry: (...input: never[]) => unknown;
  readonly stored: StoredCapsule;
  readonly outcome: unknown;
  readonly seen: unknown[];
  readonly requests: number;
}

/** Records one run of a program, whose server is gone afterwards. */
async function record(name: string): Promise<Recorded> {
  const { mishaps, input, make } = programs[name]!;
  const server: ModelServer = await startModelServer();
  const hc = hindcast({ service: "vendors" });
  const seen: unknown[] = [];
  const entry = hc.pipeline({ name }, make({ hc, url: server.url, see: noteInto(seen) }));
  server.expect(mishaps ?? []);
  const outcome = await settled(Reflect.apply(entry, undefined, (input?.(server) ?? []) as never[]));
  const [stored] = await storedBy(hc);
  await server.close();
  return { url: server.url, hc, entry, stored: stored!, outcome, seen, requests: server.requests.length };
}

/** What a program must have come to, so that it is about what it says: its requests, and its outcome with what it saw. */
const EXPECTED: Readonly<Record<string, { readonly requests?: number; readonly shows?: RegExp }>> = {
  "a stream that is left early": { shows: /^\[\{"status":"ok","value":true\}/ },
  "a stream that the caller's signal aborts": { shows: /^(?!.*"(?:stop|message_stop)")/ },
  "a request that the caller's signal aborts": { shows: /"APIUserAbortError"/ },
  "the streaming helper, aborted by the program": { shows: /"APIUserAbortError"/ },
  "a backoff that the caller's signal ends": { shows: /"APIUserAbortError"/ },
  "a request that the client's timeout ends": { shows: /"APIConnectionTimeoutError"/ },
  "a request that succeeds after the client's timeout": { requests: 2 },
  "a request that succeeds after a 429 with retry-after": { requests: 2 },
  "a request that succeeds after a 429 and the client's own backoff": { requests: 2 },
  "a stream that begins after a dropped connection": { requests: 2 },
  "a connection that is always dropped": { shows: /"APIConnectionError".*"UND_ERR_SOCKET"/ },
  "a connection that is dropped in mid-stream": { shows: /TypeError: terminated/ },
  "the streaming helper, of a connection that is dropped": { shows: /TypeError: terminated/ },
  "a stream that says that it failed": { shows: /"is":\["APIError".*overloaded_error/ },
  "a bad request": { shows: /"BadRequestError".*"status":400/ },
  "a server that keeps failing": { requests: 3, shows: /"InternalServerError".*"status":503/ },
  "an error that leaves the run": { shows: /^\[\{"status":"error","error":"[^"]*401/ },
  "two models in a race": { requests: 2 },
  "a race whose loser is aborted": { requests: 2 },
  "a stage that returns the client's promise": { requests: 2 },
};

const recorded: (RecordedProgram & { readonly seen: unknown[] })[] = [];

describe.each(Object.keys(programs))("%s", (name) => {
  test("G4, G5: replays as it was, without a connection", async () => {
    const before = { ...watch.counts };
    const { url, hc, entry, stored, outcome, seen, requests } = await record(name);
    try {
      expect(watch.counts.fetch).toBeGreaterThan(before.fetch);
      const expected = EXPECTED[name.replace(/^\w+: /, "")];
      expect(requests).toBe(expected?.requests ?? 1);
      expect(JSON.stringify([outcome, seen])).toMatch(
        expected?.shows ?? /^\[\{"status":"ok","value":(?!"failed")/,
      );
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
          ? { status: "ok", value: inPlainData(again.value) }
          : { status: again.status, error: String(again.error) },
      ).toEqual(outcome);
      expect(watch.counts).toEqual(counts);
      expect(new Set(credentialsOf(readCapsule(stored)))).toEqual(new Set(["(withheld)"]));
      for (const secret of Object.values(SECRETS)) {
        expect(Buffer.from(stored.bytes).includes(secret)).toBe(false);
        expect(inspect(everythingIn(readCapsule(stored)), { depth: null })).not.toContain(secret);
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
