/** One span for each call, with the names of `names.ts`, and never a payload. */
import { context, SpanStatusCode, trace } from "@opentelemetry/api";
import { AlwaysOffSampler, type ReadableSpan } from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { hindcast, keep } from "hindcast";
import { replay } from "hindcast/replay";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { onlyCapsuleOf, storedBy } from "../record/recorded.js";
import { registerTracing, type Tracing, unregisterTracing } from "./tracing.js";

const { UNSET, ERROR } = SpanStatusCode;
const data = { name: "applications", version: "2026-11-01", digest: "sha256:da7a" };
const model = { name: "risk", version: "7", digest: "sha256:0de1" };

let tracing: Tracing;
beforeEach(() => {
  tracing = registerTracing();
});
afterEach(unregisterTracing);

const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789".split("");

/** A pipeline with a stage of every kind. */
function everyKind() {
  const hc = hindcast({ service: "spans", seed: 42 });
  const ingest = hc.ingest({ name: "load", data }, async (id: string) => ({ id }));
  const feature = hc.feature(
    { name: "ratio", data: { name: "ratio", version: "3" } },
    (row: { id: string }) => row.id.length,
  );
  const infer = hc.infer({ name: "score", model, data }, async (x: number) => x / 10);
  const decide = hc.decide({ name: "approve" }, (score: number) => score < 1);
  const tool = hc.tool({ name: "notify" }, async (approved: boolean) => approved);
  const agent = hc.agent({ name: "planner" }, (approved: boolean) => tool(approved));
  const flow = hc.pipeline({ name: "approve-loan" }, async (id: string) =>
    agent(decide(await infer(feature(await ingest(id))))),
  );
  return { hc, flow };
}

function attributesOf(name: string): ReadableSpan["attributes"] {
  return tracing.span(name).attributes;
}

test("a span for each call, by the standard's names where it has some", async () => {
  const { flow } = everyKind();
  await flow("a");
  expect(
    tracing
      .spans()
      .map((span) => span.name)
      .sort(),
  ).toEqual([
    "decide approve",
    "execute_tool notify",
    "feature ratio",
    "infer score",
    "ingest load",
    "invoke_agent planner",
    "pipeline approve-loan",
  ]);
  expect(new Set(tracing.spans().map((span) => span.instrumentationScope.name))).toEqual(
    new Set(["hindcast"]),
  );
  expect(tracing.spans().every((span) => span.ended && span.status.code === UNSET)).toBe(true);
});

test("name, kind and seed on every span, versions where there are some", async () => {
  const { flow } = everyKind();
  await flow("a");
  const common = (name: string, kind: string): object => ({
    "hindcast.stage.name": name,
    "hindcast.stage.kind": kind,
    "hindcast.seed": 42,
  });
  const dataOf = {
    "hindcast.data.name": "applications",
    "hindcast.data.version": "2026-11-01",
    "hindcast.data.digest": "sha256:da7a",
  };
  expect(attributesOf("ingest load")).toEqual({
    ...common("load", "ingest"),
    ...dataOf,
    "artifact.version": "2026-11-01",
    "artifact.hash": "sha256:da7a",
  });
  expect(attributesOf("feature ratio")).toEqual({
    ...common("ratio", "feature"),
    "hindcast.data.name": "ratio",
    "hindcast.data.version": "3",
    "artifact.version": "3",
  });
  expect(attributesOf("infer score")).toEqual({
    ...common("score", "infer"),
    ...dataOf,
    "hindcast.model.name": "risk",
    "hindcast.model.version": "7",
    "hindcast.model.digest": "sha256:0de1",
    "artifact.version": "7",
    "artifact.hash": "sha256:0de1",
  });
  expect(attributesOf("decide approve")).toEqual(common("approve", "decide"));
  expect(attributesOf("execute_tool notify")).toEqual({
    ...common("notify", "tool"),
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "notify",
  });
  expect(attributesOf("invoke_agent planner")).toEqual({
    ...common("planner", "agent"),
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "planner",
  });
});

test("parents are the calls that called; the root's is the caller's span", async () => {
  const { flow } = everyKind();
  const outer = trace.getTracer("application").startSpan("request");
  await context.with(trace.setSpan(context.active(), outer), () => flow("a"));
  outer.end();
  const parentOf = (name: string): string | undefined => tracing.span(name).parentSpanContext?.spanId;
  const idOf = (name: string): string => tracing.span(name).spanContext().spanId;
  expect(parentOf("pipeline approve-loan")).toBe(outer.spanContext().spanId);
  for (const name of [
    "ingest load",
    "feature ratio",
    "infer score",
    "decide approve",
    "invoke_agent planner",
  ]) {
    expect(parentOf(name)).toBe(idOf("pipeline approve-loan"));
  }
  expect(parentOf("execute_tool notify")).toBe(idOf("invoke_agent planner"));
  expect(new Set(tracing.spans().map((span) => span.spanContext().traceId)).size).toBe(1);
});

test("the application's own spans stand below the stage that made them", async () => {
  const hc = hindcast({ service: "spans" });
  const tracer = trace.getTracer("application");
  const fetchRows = hc.effect({ name: "rows" }, async () => {
    tracer.startActiveSpan("SELECT", (span) => span.end());
    await Promise.resolve();
    return 1;
  });
  const stage = hc.tool({ name: "load" }, async () => {
    await Promise.resolve();
    tracer.startActiveSpan("within", (span) => span.end());
    return fetchRows();
  });
  await hc.pipeline({ name: "flow" }, () => stage())();
  const { spanId } = tracing.span("execute_tool load").spanContext();
  expect(tracing.span("within").parentSpanContext?.spanId).toBe(spanId);
  expect(tracing.span("SELECT").parentSpanContext?.spanId).toBe(spanId);
});

test("the trace is the index: capsule id on the root span alone, trace id in capsule, summary and current()", async () => {
  const { hc, flow } = everyKind();
  await flow("a");
  const capsule = await onlyCapsuleOf(hc);
  const root = tracing.span("pipeline approve-loan");
  const carriers = tracing.spans().filter((span) => "hindcast.capsule.id" in span.attributes);
  expect(carriers).toEqual([root]);
  expect(root.attributes["hindcast.capsule.id"]).toBe(capsule.id);
  const { traceId, spanId } = root.spanContext();
  expect(capsule.trace).toEqual({ traceId, spanId });
  const [stored] = await storedBy(hc);
  expect(stored?.summary.traceId).toBe(traceId);
  const found: string[] = [];
  for await (const one of hc.store.find({ traceId })) found.push(one.summary.id);
  expect(found).toEqual([capsule.id]);
  const look = hc.tool({ name: "look" }, () => hc.current()?.traceId);
  expect(look()).toBe(tracing.span("execute_tool look").spanContext().traceId);
});

describe("errors", () => {
  const failures: readonly (readonly [string, unknown, string])[] = [
    ["an Error", new Error("payload"), "Error"],
    ["a TypeError", new TypeError("payload"), "TypeError"],
    ["an error with a code", Object.assign(new Error("payload"), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
    ["an error with a numeric code", Object.assign(new Error("payload"), { code: 11000 }), "Error"],
    [
      "an error with a sentence for a code",
      Object.assign(new Error("payload"), { code: "pay load" }),
      "Error",
    ],
    ["a DOMException", new DOMException("payload", "AbortError"), "AbortError"],
    ["a text", "payload", "_OTHER"],
    ["undefined", undefined, "_OTHER"],
    ["null", null, "_OTHER"],
    ["a domain object that has a name", { name: "payload", code: 5 }, "_OTHER"],
    ["a domain object that has a code", { code: "payload" }, "_OTHER"],
    ["a function", function payload() {}, "_OTHER"],
    ["an error that cannot be looked at", unreadable(), "_OTHER"],
  ];

  test.each(failures)("thrown or rejected: %s", async (_what, value, errorType) => {
    const hc = hindcast({ service: "spans", onError: () => undefined });
    const throws = hc.tool({ name: "throws" }, () => {
      throw value;
    });
    const rejects = hc.tool({ name: "rejects" }, async () => {
      throw value;
    });
    const flow = hc.pipeline({ name: "flow" }, async () => {
      try {
        throws();
      } catch {
        await rejects(); // rejects in its turn
      }
    });
    const ended = await flow().then(
      () => "ok",
      () => "error",
    );
    expect(ended).toBe("error");
    expect(tracing.spans()).toHaveLength(3);
    for (const span of tracing.spans()) {
      expect(span.ended).toBe(true);
      expect(span.status.code).toBe(ERROR);
      expect(span.attributes["error.type"]).toBe(errorType);
      expect(everythingOn(span)).not.toContain("payload");
    }
  });

  test("a caught error marks its own call, and not the ones around it", () => {
    const hc = hindcast({ service: "spans" });
    const fail = hc.tool({ name: "fail" }, () => {
      throw new Error("caught");
    });
    hc.pipeline({ name: "flow" }, () => {
      try {
        fail();
      } catch {
        return "rescued"; // which is the point
      }
      return "never";
    })();
    expect(tracing.span("execute_tool fail").status.code).toBe(ERROR);
    expect(tracing.span("pipeline flow").status.code).toBe(UNSET);
    expect(tracing.span("pipeline flow").attributes).not.toHaveProperty("error.type");
  });

  test("a span ends whatever a stage gives back", async () => {
    const hc = hindcast({ service: "spans" });
    const thenable = {
      // oxlint-disable-next-line unicorn/no-thenable
      then() {
        throw new Error("then");
      },
    };
    const stage = hc.tool({ name: "odd" }, (): unknown => thenable);
    await Promise.resolve(stage()).catch(() => undefined);
    expect(tracing.span("execute_tool odd").status.code).toBe(ERROR);
  });

  test("contract violations: counted where they happened, an error where they are enforced", () => {
    const hc = hindcast({ service: "spans" });
    const Small = z.number().max(1);
    const lax = hc.tool({ name: "lax", mode: "observe", input: Small, output: Small }, (n) => n);
    const strict = hc.tool({ name: "strict", input: Small }, (n) => n);
    expect(() => hc.pipeline({ name: "flow" }, () => strict(lax(5)))()).toThrow();
    expect(attributesOf("execute_tool lax")["hindcast.contract.violations"]).toBe(2);
    expect(attributesOf("execute_tool lax")).not.toHaveProperty("error.type");
    expect(attributesOf("execute_tool strict")).toMatchObject({
      "hindcast.contract.violations": 1,
      "error.type": "contract-violation",
    });
    expect(attributesOf("pipeline flow")).not.toHaveProperty("hindcast.contract.violations");
  });
});

test("payloads are never on spans: names, values, results, errors, violations, effects", async () => {
  const secret = fc
    .string({ minLength: 8, unit: fc.constantFrom(...LETTERS) })
    .map((text) => `payload-${text}`);
  await fc.assert(
    fc.asyncProperty(secret, fc.constantFrom("ok", "throw", "violate", "object"), async (text, ending) => {
      const hc = hindcast({ service: "spans", contracts: "observe" });
      const look = hc.effect({ name: "look" }, async (id: string) => ({ id }));
      const stage = hc.infer(
        { name: "stage", model, input: z.object({ at: z.string().max(ending === "violate" ? 1 : 99) }) },
        async (input) => {
          const found = await look(input.at);
          if (ending === "throw") throw Object.assign(new Error(text), { detail: text, cause: text });
          if (ending === "object") throw { name: text, code: text, message: text };
          return { [text]: found };
        },
      );
      const flow = hc.pipeline({ name: "flow" }, (given: string) => stage({ at: given }));
      await flow(text).catch(() => undefined);
      expect(tracing.spans().length).toBeGreaterThanOrEqual(2);
      for (const span of tracing.spans()) expect(everythingOn(span)).not.toContain(text);
    }),
    { numRuns: 40 },
  );
});

test("a replay makes no spans of stages", async () => {
  const { hc, flow } = everyKind();
  await flow("a");
  const before = tracing.spans().length;
  const [stored] = await storedBy(hc);
  expect((await replay(stored!, flow)).verdict).toBe("identical");
  expect(tracing.spans().length).toBe(before);
});

test("50 runs at once: each span has the parent of its own run", async () => {
  const hc = hindcast({ service: "spans", keep: [] });
  const stage = hc.tool({ name: "stage" }, async (delay: number) => {
    await new Promise((resolve) => setTimeout(resolve, delay));
    return hc.current()?.id;
  });
  const flow = hc.pipeline({ name: "flow" }, async (index: number) => [
    hc.current()?.id,
    await stage(index % 7),
  ]);
  const ids = await Promise.all(Array.from({ length: 50 }, (_, index) => flow(index)));
  expect(ids.every(([root, inner]) => root === inner)).toBe(true);
  const roots = new Map(
    tracing
      .spans()
      .filter((span) => span.name === "pipeline flow")
      .map((span) => [span.spanContext().spanId, span.spanContext().traceId]),
  );
  const stages = tracing.spans().filter((span) => span.name === "execute_tool stage");
  expect([roots.size, stages.length, new Set(roots.values()).size]).toEqual([50, 50, 50]);
  for (const span of stages) {
    expect(roots.get(span.parentSpanContext?.spanId ?? "")).toBe(span.spanContext().traceId);
  }
});

test("a stage that outlives its run still ends its span, and after it", async () => {
  const hc = hindcast({ service: "spans" });
  let release = (): void => undefined;
  const slow = hc.tool({ name: "slow" }, () => new Promise<void>((resolve) => (release = resolve)));
  let loser: Promise<void> = Promise.resolve();
  hc.pipeline({ name: "flow" }, () => {
    loser = slow();
  })();
  expect(tracing.spans().map((span) => span.name)).toEqual(["pipeline flow"]);
  release();
  await loser;
  expect(tracing.span("execute_tool slow").parentSpanContext?.spanId).toBe(
    tracing.span("pipeline flow").spanContext().spanId,
  );
});

describe("what is registered, and when", () => {
  test("no provider: no spans, and everything works", async () => {
    unregisterTracing();
    const { hc, flow } = everyKind();
    expect(await flow("a")).toBe(true);
    expect(tracing.spans()).toEqual([]);
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.trace).toBeUndefined();
    expect(hc.stats().failures.listener).toBe(0);
  });

  test("a provider registered after hindcast() and after the first runs", async () => {
    unregisterTracing();
    const { flow } = everyKind();
    await flow("a");
    tracing = registerTracing();
    await flow("a");
    expect(tracing.spans()).toHaveLength(7);
  });

  test("a provider that is taken away again", async () => {
    const { flow, hc } = everyKind();
    await flow("a");
    unregisterTracing();
    expect(await flow("a")).toBe(true);
    expect(tracing.spans()).toHaveLength(7);
    expect(hc.stats().runs.ended).toBe(2);
  });

  test("a run that is not sampled still records its capsule, with its trace", async () => {
    unregisterTracing();
    tracing = registerTracing({ sampler: new AlwaysOffSampler() });
    const { hc, flow } = everyKind();
    await flow("a");
    expect(tracing.spans()).toEqual([]);
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.trace?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(capsule.calls).toHaveLength(7);
  });

  test("nothing kept: spans alone, and the runs are counted as discarded", async () => {
    const hc = hindcast({ service: "spans", keep: [] });
    expect(await hc.tool({ name: "alone" }, async () => hc.current()?.seed)()).toBeTypeOf("number");
    expect(tracing.spans()).toHaveLength(1);
    expect(hc.stats().runs).toEqual({ started: 1, ended: 1, discarded: 1, inexact: 0 });
  });

  test("G2: a provider, a tracer and spans that throw do not reach the caller", async () => {
    const fail = (): never => {
      throw new Error("telemetry is down");
    };
    const brokenSpan = new Proxy({}, { get: () => fail });
    const providers = [
      { getTracer: fail },
      { getTracer: () => ({ startSpan: fail, startActiveSpan: fail }) },
      { getTracer: () => ({ startSpan: () => brokenSpan as never, startActiveSpan: fail }) },
    ];
    for (const provider of providers) {
      trace.disable();
      trace.setGlobalTracerProvider(provider);
      const { hc, flow } = everyKind();
      const untold = hindcast({ service: "spans", onError: () => undefined, keep: keep.all() });
      const stage = untold.tool({ name: "stage" }, async (x: number) => x + 1);
      expect(await stage(1)).toBe(2);
      expect(await onlyCapsuleOf(untold)).toMatchObject({ pipeline: "stage" });
      expect(await flow("a")).toBe(true);
      expect(hc.stats().runs.ended).toBe(1);
    }
  });
});

/** Everything of a span that an exporter sends. */
function everythingOn(span: ReadableSpan): string {
  const { name, attributes, events, links, status, resource, instrumentationScope } = span;
  return JSON.stringify({
    name,
    attributes,
    events,
    links,
    status,
    resource: resource.attributes,
    instrumentationScope,
  });
}

function unreadable(): unknown {
  return new Proxy(new Error("payload"), {
    get() {
      throw new Error("trap");
    },
  });
}
