/** The run whose capsule is kept as a golden file: it has something of everything that a capsule can hold. */
import { hindcast, memoryStore, type StoredCapsule } from "hindcast";
import { z } from "zod";
import type { Capsule } from "../../src/capsule/capsule.js";
import { decodeCapsule } from "../../src/capsule/decode-capsule.js";
import { encodeCapsule } from "../../src/capsule/encode-capsule.js";
import { RecordedStream } from "../../src/capsule/recorded-stream.js";

class BureauUnreachable extends Error {
  readonly code = "E_BUREAU";
  readonly status = 503;
}

class Money {
  readonly amount: number;
  readonly currency: string;
  constructor(amount: number, currency: string) {
    this.amount = amount;
    this.currency = currency;
  }
}

/** The platform's own, as far as it is recorded. */
function platformValues(): Record<string, unknown> {
  const form = new FormData();
  form.append("amount", "12 €");
  form.append("scan", new File(["%PDF"], "scan.pdf", { type: "application/pdf", lastModified: 1793502000000 }));
  const cookies: [string, string][] = [
    ["Set-Cookie", "a=1"],
    ["Set-Cookie", "b=2; Path=/"],
  ];
  return {
    headers: new Headers([["X-Client", "till 4"], ...cookies]),
    form,
    params: new URLSearchParams("q=loan&q=car&empty="),
    blob: new Blob(["four"], { type: "text/plain" }),
    file: new File([], "nothing", { lastModified: 0 }),
    request: new Request("https://example.com/loans?id=17#top", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      redirect: "manual",
      signal: AbortSignal.abort("closed"),
    }),
    response: new Response("gone", { status: 410, statusText: "Gone", headers: cookies }),
    failed: Response.error(),
    signals: [new AbortController().signal, AbortSignal.abort({ code: 7 })],
    stream: new RecordedStream("byte-stream", { chunks: 3 }),
  };
}

/** One of each kind of value that the format has a way to write. */
function everyValue(): Record<string, unknown> {
  const shared = { name: "shared" };
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle["self"] = cycle;
  const sticky = /(?<year>\d{4})/giy;
  sticky.lastIndex = 7;
  const numbers = [0, -1, 23, 24, 255, 256, 65536, 2 ** 32, 2 ** 53, -(2 ** 53), 1.5, 0.1, 1e300, -0];
  return {
    simple: [null, undefined, true, false],
    numbers: [...numbers, Number.NaN, Infinity, -Infinity],
    bigints: [0n, 5n, -5n, 2n ** 64n, -(2n ** 70n)],
    texts: ["", "plain", "naïve 🙂", "x".repeat(30), "a lone \ud83d half"],
    // oxlint-disable-next-line no-sparse-arrays
    holes: [1, , 3],
    dates: [new Date(0), new Date(1793502000123), new Date(Number.NaN), new Date(-8.64e15)],
    map: new Map<unknown, unknown>([
      ["a", 1],
      [2, "two"],
      [{ key: true }, new Map()],
    ]),
    set: new Set([1, "1", 1n]),
    regExp: sticky,
    url: new URL("https://example.com/a%20b?c=d#e"),
    int8: new Int8Array([-1, 2]),
    uint8: new Uint8Array([1, 2, 3]),
    uint8Clamped: new Uint8ClampedArray([0, 255]),
    int16: new Int16Array([-2, 3]),
    uint16: new Uint16Array([1, 65535]),
    int32: new Int32Array([-3, 4]),
    uint32: new Uint32Array([1, 2 ** 32 - 1]),
    bigInt64: new BigInt64Array([-4n, 5n]),
    bigUint64: new BigUint64Array([1n, 2n ** 64n - 1n]),
    float32: new Float32Array([1.5, -0]),
    float64: new Float64Array([0.1, Number.NaN]),
    buffer: Buffer.from("buffer"),
    arrayBuffer: new Uint8Array([9, 8, 7]).buffer,
    dataView: new DataView(new Uint8Array([6, 5]).buffer),
    error: Object.assign(new TypeError("outer", { cause: new RangeError("inner") }), { code: "E_OUTER" }),
    aggregate: new AggregateError([new Error("one"), "two"], "all failed"),
    domException: new DOMException("stopped", "AbortError"),
    ownClass: new Money(12.5, "EUR"),
    withoutPrototype: Object.assign(Object.create(null) as object, { a: 1 }),
    oddKeys: JSON.parse('{"__proto__": 1, "": 2, "constructor": 3, "10": 4}') as unknown,
    surrogateKey: { "\ud800": 1 },
    platform: platformValues(),
    sharedTwice: [shared, shared],
    cycle,
    lost: { function: everyValue, symbol: Symbol("a symbol"), promise: Promise.resolve() },
    many: Array.from({ length: 60 }, (_, index) => index),
    deep: { 1: { 2: { 3: { 4: { 5: { 6: { 7: {} } } } } } } },
    broken: {
      get unreadable(): never {
        throw new Error("a getter that throws");
      },
    },
    long: "long ".repeat(2_000),
  };
}

/** Records the run. Times and ids differ from run to run. */
export async function recordLoan(): Promise<StoredCapsule> {
  const store = memoryStore();
  const hc = hindcast({
    service: { name: "loan-approval", version: "2.4.1" },
    store,
    contracts: "observe",
    seed: 4711,
    limits: { depth: 8, entries: 50, valueBytes: 6_000 },
  });
  const database = hc.effect({ name: "db.get" }, async (id: string) => ({ id, income: 52_000, debt: 9_100 }));
  const bureau = hc.effect({ name: "bureau.score" }, async (_id: string): Promise<number> => {
    throw new BureauUnreachable("no answer", { cause: new Error("ECONNREFUSED") });
  });
  const setting = hc.effect({ name: "setting" }, (name: string) => (name === "limit" ? 0.3 : undefined));
  const never = hc.effect({ name: "audit" }, () => new Promise<void>(() => undefined));

  const load = hc.ingest(
    { name: "load", data: { name: "applications", version: "2026-11-01", digest: "sha256:0f1e2d" } },
    (id: string) => database(id),
  );
  const featurize = hc.feature(
    {
      name: "debt-features",
      data: { name: "debt-features", version: "3" },
      output: z.object({ debtRatio: z.number().max(0.1), region: z.string().optional() }),
    },
    (application: { income: number; debt: number }) => ({ debtRatio: application.debt / application.income }),
  );
  const score = hc.infer(
    { name: "risk", model: (_: unknown) => ({ name: "risk", version: "7", digest: "sha256:abcdef" }) },
    async (features: { debtRatio: number }) => ({ risk: features.debtRatio * 2, noise: hc.random() }),
  );
  const ask = hc.tool({ name: "ask-bureau" }, (id: string) => bureau(id));
  const collect = hc.agent({ name: "collect" }, (_question: string) => everyValue());
  const decide = hc.decide({ name: "approve" }, (risk: number) => ({
    approved: risk < (setting("limit") ?? 0),
  }));

  // What it waits for is not declared: its end is handed over in a turn of its own.
  const settleDown = hc.tool(
    { name: "wait" },
    () => new Promise((resolve) => setTimeout(resolve, 1, "waited")),
  );

  const approve = hc.pipeline({ name: "approve-loan" }, async (id: string) => {
    void never();
    const [application] = await Promise.all([load(id), ask(id).catch(() => undefined)]);
    const { risk } = await score(featurize(application));
    collect("everything");
    collect("everything");
    await settleDown();
    return decide(risk);
  });
  await approve("loan-17");
  await hc.flush();
  for await (const capsule of store.find()) return capsule;
  throw new Error("the run was not kept");
}

const STEP_MICROSECONDS = 125;

/** The same run at a time, on a machine, and under an id that never change. */
export function settle(recorded: StoredCapsule): StoredCapsule {
  const capsule = decodeCapsule(recorded.bytes);
  const id = "019a3cd1-5a30-7abc-8def-0123456789ab";
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  const startedAt = Date.UTC(2026, 10, 1, 3, 0, 0, 123);
  const timed = <T extends { at: number; duration: number; outcome: Capsule["calls"][number]["outcome"] }>(
    entry: T,
    index: number,
  ): T => ({
    ...entry,
    at: index * STEP_MICROSECONDS,
    duration: entry.outcome.status === "pending" ? 0 : 7 * STEP_MICROSECONDS + index,
    outcome:
      entry.outcome.status === "error"
        ? {
            ...entry.outcome,
            stack: "BureauUnreachable: no answer\n    at bureau (/srv/loan/bureau.js:12:9)",
          }
        : entry.outcome,
  });
  const settled: Capsule = {
    ...capsule,
    id,
    trace,
    startedAt,
    writer: "hindcast 0.1.0",
    environment: {
      node: "20.20.2",
      v8: "11.3.244.8-node.33",
      icu: "77.1",
      timezone: "Europe/Athens",
      locale: "el-GR",
      arch: "x64",
      platform: "linux",
    },
    revision: "4f95a2d4c0ffee00112233445566778899aabbcc",
    // The text of a stage is what the tool that runs this makes of it.
    stages: capsule.stages.map((stage, index) => ({
      ...stage,
      source: index === 0 ? undefined : `sha256:${String(index).repeat(64)}`,
    })),
    calls: capsule.calls.map(timed),
    // No stage of the run returns a stream: one effect is made an item of one, so that the file has its flags.
    effects: capsule.effects.map(timed).map((effect) =>
      effect.name === "setting"
        ? { ...effect, delivered: true, item: true, builder: 0, read: true, joined: true }
        : effect,
    ),
  };
  const duration = (settled.calls[0]?.duration ?? 0) / 1000;
  return {
    summary: { ...recorded.summary, id, startedAt, duration, traceId: trace.traceId },
    bytes: encodeCapsule(settled),
  };
}
