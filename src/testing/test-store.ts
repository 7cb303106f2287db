/**
 * What every store is held to, whatever it keeps capsules in: this library's own, and yours.
 *
 * Invariants
 * 1. No test runner is imported: `test` is handed in, and assertions are Node's.
 * 2. Each case makes a store of its own and closes it, so cases do not lean on one another.
 * 3. A case can be left out by name and with a reason only, and the reason is seen in the report.
 */
import assert from "node:assert/strict";
import type { CapsuleSummary } from "../capsule/capsule.js";
import { HindcastError, type HindcastErrorCode, isHindcastError } from "../errors.js";
import { createRunId } from "../ids.js";
import type { CapsuleQuery, Store, StoredCapsule } from "../stores/store.js";
import { sampleCapsule } from "./sample-capsule.js";

/** The name of a case of `testStore`, as its test is named and as `skip` takes it. */
export type StoreCase =
  | "gives back what was appended, byte for byte"
  | "has no capsule of an id that was never appended"
  | "finds nothing where nothing is stored"
  | "finds in the order of appending"
  | "finds by each condition"
  | "finds by all conditions together"
  | "finds no more than the limit"
  | "lets go of a search that is broken off"
  | "finds while capsules are appended"
  | "refuses a query that makes no sense"
  | "takes an empty batch"
  | "takes a thousand capsules in batches"
  | "takes concurrent appends"
  | "takes an id twice"
  | "takes a capsule of 5 MB"
  | "keeps what was appended when the caller changes it"
  | "keeps what was appended when a reader changes it"
  | "waits for appends when it is closed"
  | "can be closed twice"
  | "refuses appends once it is closed"
  | "has after reopening what was acknowledged before"
  | "takes more after reopening";

export interface StoreTestOptions {
  /** Registers one test: `test` of vitest, of jest, or of node:test. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  /** Makes an empty store; called once in each test. It must hold at least 1,000 capsules and 16 MB. */
  readonly create: () => Store | Promise<Store>;
  /** Another store on what the given one, which is closed by then, left behind. Leave it out where nothing is to survive. */
  readonly reopen?: (closed: Store) => Store | Promise<Store>;
  /** Cases that do not apply to this store, each with the reason why. */
  readonly skip?: { readonly [Name in StoreCase]?: string };
}

type Body = (store: Store) => Promise<void>;
type Reopen = () => Promise<Store>;

/**
 * Registers the tests that a store must pass. Throws `invalid-options` where `skip` names no case or gives no reason.
 *
 * ```ts no-run
 * import { test } from "vitest";
 * import { memoryStore } from "hindcast";
 * import { testStore } from "hindcast/testing";
 *
 * testStore({ test, create: () => memoryStore() });
 * ```
 */
export function testStore(options: StoreTestOptions): void {
  const { test, create, reopen, skip = {} } = options;
  mustBeCases(skip);
  const register = (name: StoreCase, body: () => Promise<void>): void => {
    const reason = skip[name];
    if (reason === undefined) void test(`store: ${name}`, body);
    else void test(`store: ${name} (left out: ${reason})`, () => Promise.resolve());
  };
  for (const [name, body] of Object.entries(CASES) as [keyof typeof CASES, Body][]) {
    register(name, async () => {
      const store = await create();
      try {
        await body(store);
      } finally {
        await store.close();
      }
    });
  }
  if (reopen === undefined) return;
  for (const [name, body] of Object.entries(REOPENING_CASES) as [
    keyof typeof REOPENING_CASES,
    (store: Store, reopened: Reopen) => Promise<void>,
  ][]) {
    register(name, async () => {
      const store = await create();
      let last = store;
      try {
        await body(store, async () => {
          await last.close();
          last = await reopen(last);
          return last;
        });
      } finally {
        await last.close();
      }
    });
  }
}

const MINUTE = 60_000;
const LARGE_BYTES = 5_000_000;

const CASES = {
  "gives back what was appended, byte for byte": async (store) => {
    const capsules = [
      sampleCapsule(),
      sampleCapsule({ status: "error", violations: 2, exact: false, traceId: undefined }),
      sampleCapsule({ service: "Ελλάδα", pipeline: "naïve 🙂 \u0000 'quoted\"", valueBytes: 1000 }),
    ];
    await store.append(capsules);
    for (const capsule of capsules) mustBeSame(await store.get(capsule.summary.id), capsule);
    mustBeAll(await all(store.find()), capsules);
  },
  "has no capsule of an id that was never appended": async (store) => {
    const id = createRunId();
    assert.equal(await store.get(id), undefined);
    await store.append([sampleCapsule(), sampleCapsule()]);
    assert.equal(await store.get(id), undefined);
    assert.equal(await store.get(""), undefined, "get of an empty id");
    assert.equal(await store.get("%' OR ''='"), undefined, "get of an id that is none");
    assert.equal(await store.get("../../etc/passwd"), undefined, "get of an id that is none");
  },
  "finds nothing where nothing is stored": async (store) => {
    mustBeAll(await all(store.find()), []);
    mustBeAll(await all(store.find({ service: "sample-service", limit: 10 })), []);
  },
  "finds in the order of appending": async (store) => {
    // The order of appending is neither that of the runs' beginnings nor that of their ids.
    const now = Date.now();
    const first = [3, 1, 2].map((minutes) => sampleCapsule({ startedAt: now - minutes * MINUTE }));
    const second = [5, 4, 6].map((minutes) => sampleCapsule({ startedAt: now - minutes * MINUTE }));
    await store.append(first);
    await store.append(second);
    mustBeAll(await all(store.find()), [...first, ...second]);
    mustBeAll(await all(store.find()), [...first, ...second]);
  },
  "finds by each condition": async (store) => {
    const { capsules, queries } = questions();
    await store.append(capsules);
    for (const [query, wanted] of queries) {
      const expected = wanted.map((index) => capsules[index] as StoredCapsule);
      mustBeAll(await all(store.find(query)), expected, `find(${JSON.stringify(query)})`);
    }
  },
  "finds by all conditions together": async (store) => {
    const { capsules, now } = questions();
    await store.append(capsules);
    const conditions: CapsuleQuery = {
      service: "other-service",
      pipeline: "other-pipeline",
      status: "error",
      violations: true,
      version: "sample-model@2",
      slowerThan: "1s",
      since: now - 3 * MINUTE,
      until: now,
    };
    mustBeAll(await all(store.find(conditions)), capsules.slice(1, 2));
    mustBeAll(await all(store.find({ ...conditions, status: "ok" })), []);
  },
  "finds no more than the limit": async (store) => {
    const capsules = Array.from({ length: 5 }, (_, index) =>
      sampleCapsule({ status: index % 2 === 0 ? "ok" : "error" }),
    );
    await store.append(capsules);
    mustBeAll(await all(store.find({ limit: 0 })), []);
    mustBeAll(await all(store.find({ limit: 3 })), capsules.slice(0, 3));
    mustBeAll(await all(store.find({ limit: 5 })), capsules);
    mustBeAll(await all(store.find({ limit: 100 })), capsules);
    // The limit is of capsules that match, not of capsules looked at.
    mustBeAll(
      await all(store.find({ status: "error", limit: 2 })),
      capsules.filter(({ summary }) => summary.status === "error"),
    );
  },
  "lets go of a search that is broken off": async (store) => {
    const capsules = samples(20);
    await store.append(capsules);
    for (let round = 0; round < 10; round++) {
      for await (const capsule of store.find()) {
        mustBeSame(capsule, capsules[0]);
        break;
      }
    }
    await assert.rejects(async () => {
      for await (const { summary } of store.find()) throw new Error(`thrown by the reader at ${summary.id}`);
    }, /thrown by the reader/);
    // A search that nobody began to read holds nothing either.
    store.find();
    const more = sampleCapsule();
    await store.append([more]);
    mustBeAll(await all(store.find()), [...capsules, more]);
  },
  "finds while capsules are appended": async (store) => {
    const before = samples(20);
    await store.append(before);
    const during: StoredCapsule[] = [];
    const found: StoredCapsule[] = [];
    for await (const capsule of store.find()) {
      found.push(capsule);
      if (during.length >= 10) continue;
      const capsule_ = sampleCapsule();
      during.push(capsule_);
      await store.append([capsule_]);
    }
    // What is appended meanwhile may be found or not, but nothing twice, and nothing out of order.
    assert.ok(found.length >= before.length, `found ${found.length} of ${before.length}`);
    mustBeAll(found, [...before, ...during].slice(0, found.length));
    mustBeAll(await all(store.find()), [...before, ...during]);
  },
  "refuses a query that makes no sense": async (store) => {
    await store.append(samples(2));
    const nonsense: CapsuleQuery[] = [
      { limit: -1 },
      { limit: 1.5 },
      { limit: Number.NaN },
      { since: new Date(Number.NaN) },
      { until: Number.NaN },
      { slowerThan: "soon" as "1s" },
      { slowerThan: -1 },
    ];
    for (const query of nonsense) {
      // Whether at the call or at the first step is the store's choice.
      const search = async (): Promise<void> => void (await all(store.find(query)));
      await assert.rejects(search, failsWith("invalid-options"), `find(${describe(query)})`);
    }
    assert.equal((await all(store.find())).length, 2);
  },
  "takes an empty batch": async (store) => {
    await store.append([]);
    mustBeAll(await all(store.find()), []);
    const capsule = sampleCapsule();
    await store.append([capsule]);
    await store.append([]);
    mustBeAll(await all(store.find()), [capsule]);
  },
  "takes a thousand capsules in batches": async (store) => {
    const capsules = samples(1000);
    for (let start = 0; start < capsules.length; start += 37) {
      await store.append(capsules.slice(start, start + 37));
    }
    mustBeAll(await all(store.find()), capsules);
    for (const index of [0, 36, 37, 500, 999]) {
      const capsule = capsules[index] as StoredCapsule;
      mustBeSame(await store.get(capsule.summary.id), capsule);
    }
  },
  "takes concurrent appends": async (store) => {
    const batches = Array.from({ length: 50 }, (_, size) => samples(size % 5));
    await Promise.all(batches.map((batch) => store.append(batch)));
    const found = await all(store.find());
    const byId = new Map(found.map((capsule) => [capsule.summary.id, capsule]));
    assert.equal(found.length, batches.flat().length, "as many as were appended");
    for (const capsule of batches.flat()) mustBeSame(byId.get(capsule.summary.id), capsule);
    const position = new Map(found.map(({ summary }, index) => [summary.id, index]));
    for (const batch of batches) {
      // A batch stays together, in its order.
      const places = batch.map(({ summary }) => position.get(summary.id) as number);
      assert.deepEqual(
        places,
        places.map((_, index) => (places[0] as number) + index),
      );
    }
  },
  "takes an id twice": async (store) => {
    const first = sampleCapsule({ modelVersion: "1" });
    const { id, startedAt } = first.summary;
    const second = sampleCapsule({ id, startedAt, modelVersion: "2" });
    const other = sampleCapsule();
    await store.append([first, other]);
    await store.append([second]);
    // A batch that is appended again after a failure half way ends up here: either of the two is right.
    const isEither = (capsule: StoredCapsule): void => {
      const { versions } = capsule.summary;
      mustBeSame(capsule, versions[0] === "sample-model@1" ? first : second);
    };
    const got = await store.get(id);
    assert.ok(got !== undefined, "get finds the id");
    isEither(got);
    const found = (await all(store.find())).filter(({ summary }) => summary.id === id);
    assert.ok(found.length === 1 || found.length === 2, `found ${found.length} times`);
    found.forEach(isEither);
    mustBeSame(await store.get(other.summary.id), other);
  },
  "takes a capsule of 5 MB": async (store) => {
    const small = sampleCapsule();
    const large = sampleCapsule({ valueBytes: LARGE_BYTES });
    assert.ok(large.bytes.byteLength > LARGE_BYTES);
    await store.append([small, large]);
    await store.append([sampleCapsule()]);
    mustBeSame(await store.get(large.summary.id), large);
    mustBeSame(await store.get(small.summary.id), small);
  },
  "keeps what was appended when the caller changes it": async (store) => {
    const capsule = sampleCapsule();
    const { id } = capsule.summary;
    const batch = [
      {
        summary: { ...capsule.summary, versions: [...capsule.summary.versions] },
        bytes: Uint8Array.from(capsule.bytes),
      },
    ];
    await store.append(batch);
    const [appended] = batch;
    appended?.bytes.fill(0);
    appended?.summary.versions.push("changed@1");
    Object.assign(appended?.summary ?? {}, { id: "changed", status: "error", pipeline: "changed" });
    batch.length = 0;
    mustBeSame(await store.get(id), capsule);
    mustBeAll(await all(store.find()), [capsule]);
    assert.equal(await store.get("changed"), undefined);
  },
  "keeps what was appended when a reader changes it": async (store) => {
    const capsule = sampleCapsule();
    await store.append([copyOf(capsule)]);
    const change = (read: StoredCapsule | undefined): void => {
      mustBeSame(read, capsule);
      if (read === undefined) return;
      read.bytes.fill(0);
      // A frozen summary cannot be changed, which is as good.
      Reflect.set(read.summary, "pipeline", "changed");
      Reflect.set(read.summary.versions, 0, "changed@1");
    };
    change(await store.get(capsule.summary.id));
    for await (const found of store.find()) change(found);
    mustBeSame(await store.get(capsule.summary.id), capsule);
    mustBeAll(await all(store.find()), [capsule]);
  },
  "waits for appends when it is closed": async (store) => {
    let settled = 0;
    const count = 5;
    const appends = Promise.allSettled(
      Array.from({ length: count }, () => store.append(samples(20)).finally(() => (settled += 1))),
    );
    await store.close();
    // In which order the promises of one turn are told does not matter.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(settled, count, "appends that had settled when close had");
    for (const { status } of await appends) assert.equal(status, "fulfilled");
  },
  "can be closed twice": async (store) => {
    await store.append(samples(1));
    await Promise.all([store.close(), store.close()]);
    await store.close();
  },
  "refuses appends once it is closed": async (store) => {
    await store.append(samples(1));
    const closing = store.close();
    // From the call of close on, not from its end.
    await assert.rejects(() => store.append(samples(1)), failsWith("store-closed"));
    await closing;
    await assert.rejects(() => store.append(samples(1)), failsWith("store-closed"));
    await assert.rejects(() => store.append([]), failsWith("store-closed"));
  },
} satisfies { readonly [Name in Exclude<StoreCase, keyof typeof REOPENING_CASES>]: Body };

const REOPENING_CASES = {
  "has after reopening what was acknowledged before": async (store, reopened) => {
    const capsules = [...samples(30), sampleCapsule({ status: "error", valueBytes: 100_000 })];
    await store.append(capsules.slice(0, 10));
    await store.append(capsules.slice(10));
    for (let round = 0; round < 2; round++) {
      const next = await reopened();
      mustBeAll(await all(next.find()), capsules);
      mustBeAll(await all(next.find({ status: "error" })), capsules.slice(-1));
      for (const capsule of capsules.slice(-3)) mustBeSame(await next.get(capsule.summary.id), capsule);
    }
  },
  "takes more after reopening": async (store, reopened) => {
    const capsules = samples(6);
    await store.append(capsules.slice(0, 2));
    let next = await reopened();
    await next.append(capsules.slice(2, 4));
    mustBeAll(await all(next.find()), capsules.slice(0, 4));
    next = await reopened();
    await next.append(capsules.slice(4));
    mustBeAll(await all(next.find()), capsules);
    for (const capsule of capsules) mustBeSame(await next.get(capsule.summary.id), capsule);
  },
} satisfies { readonly [Name in StoreCase]?: (store: Store, reopened: Reopen) => Promise<void> };

/** Three unlike capsules, and what each condition should find of them. */
function questions(): { capsules: StoredCapsule[]; queries: [CapsuleQuery, number[]][]; now: number } {
  const now = Date.now();
  const capsules = [
    sampleCapsule({ startedAt: now - 3 * MINUTE }),
    sampleCapsule({
      startedAt: now - 2 * MINUTE,
      service: "other-service",
      pipeline: "other-pipeline",
      status: "error",
      violations: 2,
      modelVersion: "2",
      duration: 2500,
    }),
    sampleCapsule({
      startedAt: now - MINUTE,
      pipeline: "sample-pipeline-2",
      traceId: undefined,
      versions: [],
      exact: false,
      duration: 1000,
    } as Partial<CapsuleSummary>),
  ];
  const traceId = capsules[1]?.summary.traceId as string;
  const queries: [CapsuleQuery, number[]][] = [
    [{}, [0, 1, 2]],
    [{ service: "other-service" }, [1]],
    [{ service: "OTHER-SERVICE" }, []],
    [{ service: "sample-service" }, [0, 2]],
    [{ pipeline: "sample-pipeline" }, [0]],
    [{ pipeline: "sample" }, []],
    [{ pipeline: "sample%" }, []],
    [{ status: "ok" }, [0, 2]],
    [{ status: "error" }, [1]],
    [{ violations: true }, [1]],
    [{ violations: false }, [0, 2]],
    [{ traceId }, [1]],
    [{ traceId: "0".repeat(traceId.length) }, []],
    [{ version: "sample-model@2" }, [1]],
    [{ version: "sample-model" }, []],
    [{ version: "sample-model@" }, []],
    [{ slowerThan: 0 }, [0, 1, 2]],
    [{ slowerThan: "1s" }, [1]], // slower, not as slow
    [{ slowerThan: 999.9 }, [1, 2]],
    [{ slowerThan: "1h" }, []],
    [{ since: now - 2 * MINUTE }, [1, 2]], // at or after
    [{ since: new Date(now - 2 * MINUTE + 1) }, [2]],
    [{ until: now - 2 * MINUTE }, [0]], // before
    [{ until: new Date(now - 2 * MINUTE + 1) }, [0, 1]],
    [{ since: now - 3 * MINUTE, until: now - MINUTE }, [0, 1]],
    [{ since: now }, []],
  ];
  return { capsules, queries, now };
}

function samples(count: number): StoredCapsule[] {
  return Array.from({ length: count }, () => sampleCapsule());
}

function copyOf({ summary, bytes }: StoredCapsule): StoredCapsule {
  return { summary: { ...summary, versions: [...summary.versions] }, bytes: Uint8Array.from(bytes) };
}

async function all(found: AsyncIterable<StoredCapsule>): Promise<StoredCapsule[]> {
  const capsules: StoredCapsule[] = [];
  for await (const capsule of found) capsules.push(capsule);
  return capsules;
}

function mustBeSame(actual: StoredCapsule | undefined, expected: StoredCapsule | undefined): void {
  assert.ok(actual !== undefined && expected !== undefined, `capsule ${expected?.summary.id} is there`);
  assert.deepEqual(plain(actual.summary), plain(expected.summary));
  assert.ok(actual.bytes instanceof Uint8Array, "bytes are a Uint8Array");
  // Not deepEqual: of 5 MB it would print each byte that differs.
  assert.ok(Buffer.compare(actual.bytes, expected.bytes) === 0, `the bytes of ${expected.summary.id} differ`);
}

/** A summary in one order of keys, and with a trace id even where there is none. */
function plain(summary: CapsuleSummary): unknown {
  const { traceId, ...rest } = summary;
  return { ...rest, traceId };
}

function mustBeAll(
  actual: readonly StoredCapsule[],
  expected: readonly StoredCapsule[],
  question = "find",
): void {
  const place = expected.findIndex(({ summary }, index) => actual[index]?.summary.id !== summary.id);
  if (place !== -1 || actual.length !== expected.length) {
    const first = place === -1 ? "" : `; at ${place} came ${actual[place]?.summary.id ?? "none"}`;
    assert.fail(`${question}: of ${expected.length} capsules expected ${actual.length} came${first}`);
  }
  for (const [index, capsule] of expected.entries()) mustBeSame(actual[index], capsule);
}

function failsWith(code: HindcastErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isHindcastError(error), `a HindcastError with code "${code}", not ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  };
}

function describe(query: CapsuleQuery): string {
  return Object.entries(query)
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join(", ");
}

function mustBeCases(skip: Readonly<Record<string, string | undefined>>): void {
  for (const [name, reason] of Object.entries(skip)) {
    if (!Object.hasOwn(CASES, name) && !Object.hasOwn(REOPENING_CASES, name)) {
      const names = [...Object.keys(CASES), ...Object.keys(REOPENING_CASES)].join('", "');
      throw new HindcastError(
        "invalid-options",
        `testStore({ skip }): there is no case "${name}"; there are "${names}".`,
      );
    }
    if (typeof reason !== "string" || reason.trim() === "") {
      throw new HindcastError(
        "invalid-options",
        `testStore({ skip }): give the reason why "${name}" is left out.`,
      );
    }
  }
}
