import { hindcast } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { expect, test } from "vitest";

let id = 0;
/** Headers of each of the ways in which tracing hands its ids on; each time others. */
const HEADERS: Readonly<Record<string, () => string>> = Object.fromEntries(
  [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "X-B3-TraceId",
    "x-b3-spanid",
    "x-b3-sampled",
    "X-Amzn-Trace-Id",
    "sentry-trace",
    "uber-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "newrelic",
    "x-cloud-trace-context",
    "elastic-apm-traceparent",
  ].map((name) => [name, () => `${name}-${id++}`]),
);

type Given = Record<string, string>;
/** The ways in which headers are given. */
const SHAPES: Readonly<Record<string, (headers: Given) => unknown>> = {
  "options of a request": (headers) => ({ url: "/a", options: { method: "POST", headers } }),
  "an object that has others": (headers) => ({ url: "/a", headers: { accept: "a", ...headers } }),
  pairs: (headers) => ({ headers: [["accept", "a"], ...Object.entries(headers)] }),
  "a list of names and values": (headers) => ({
    requestHeaders: ["accept", "a", ...Object.entries(headers).flat()],
  }),
  Headers: (headers) => ({ headers: new Headers({ accept: "a", ...headers }) }),
  "a Request": (headers) => new Request("http://a.example/", { headers }),
  "a list of messages": (headers) => [
    { value: "m", headers },
    { value: "n", headers },
  ],
};

for (const [shape, shapeOf] of Object.entries(SHAPES)) {
  test(`ids that tracing hands on are no part of a question: ${shape}`, async () => {
    let traced = true;
    const hc = hindcast({ service: "questions" });
    const ask = hc.effect({ name: "ask" }, async (_question: unknown) => "answer");
    const entry = hc.pipeline({ name: "program" }, async () => {
      const headers: Given = {};
      if (traced) for (const [name, make] of Object.entries(HEADERS)) headers[name] = make();
      return await ask(shapeOf(headers));
    });
    for (const recorded of [true, false]) {
      traced = recorded;
      await entry();
      await hc.flush();
      for (const replayed of [true, false]) {
        traced = replayed;
        for await (const stored of hc.store.find()) {
          const result = await replay(stored, entry);
          expect(result.verdict, explain(result)).toBe("identical");
        }
      }
    }
    await hc.close();
  });
}

test("anything else is", async () => {
  let changed = false;
  const questions: readonly (() => unknown)[] = [
    () => ({ flight: "A1", baggage: changed ? 2 : 1 }),
    () => ({ headers: { traceparent: String(id++), "x-own": String(changed) } }),
    () => ({ pigment: { b3: changed } }),
    () => ["traceparent", changed],
  ];
  for (const question of questions) {
    const hc = hindcast({ service: "questions" });
    const ask = hc.effect({ name: "ask" }, async (_question: unknown) => "answer");
    const entry = hc.pipeline({ name: "program" }, () => ask(question()));
    changed = false;
    await entry();
    await hc.flush();
    for await (const stored of hc.store.find()) {
      expect((await replay(stored, entry)).verdict).toBe("identical");
      changed = true;
      expect((await replay(stored, entry)).verdict).not.toBe("identical");
    }
    expect(changed).toBe(true);
    await hc.close();
  }
});
