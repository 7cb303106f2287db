/** Streams of the vendors' clients: when their events come, and what becomes of one that a root returns. */
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
import { type Hindcast, hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";
import { type ModelServer, startModelServer } from "./model-server.js";
import { inPlainData, noteInto, SECRETS } from "./program.js";

/** The real clock, whatever is captured. */
const now = performance.now.bind(performance);

let server: ModelServer;
let hc: Hindcast;
let openai: OpenAI;
let anthropic: Anthropic;
beforeEach(async () => {
  server = await startModelServer();
  hc = hindcast({ service: "vendors" });
  openai = new OpenAI({ apiKey: SECRETS.openai, baseURL: `${server.url}/v1` });
  anthropic = new Anthropic({ apiKey: SECRETS.anthropic, baseURL: server.url });
});
afterEach(async () => {
  await hc.close();
  await server.close();
});

const ask = (model: string) => ({
  model,
  max_tokens: 100,
  messages: [{ role: "user" as const, content: "stream" }],
});

/** What both vendors' streams have in common. */
interface ModelStream extends AsyncIterable<unknown> {
  toReadableStream(): ReadableStream;
}

const streams: Readonly<Record<string, (model: string) => Promise<ModelStream>>> = {
  openai: (model) => openai.chat.completions.create({ ...ask(model), stream: true }),
  anthropic: (model) => anthropic.messages.create({ ...ask(model), stream: true }),
};

/** Milliseconds from the sending of each event to its coming to the program. */
function lags(arrivedAt: readonly number[]): number[] {
  const sent = server.sent.filter(({ event }) => !/event: ping|\[DONE\]/.test(event));
  expect(arrivedAt).toHaveLength(sent.length);
  return arrivedAt.map((at, index) => at - (sent[index]?.at ?? 0));
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

describe.each(Object.entries(streams))("%s", (_vendor, open) => {
  // A busy machine may be late for once.
  test("while it is recorded, each event reaches the program as it is sent", { retry: 2 }, async () => {
    const pace = 40;
    const arrivedAt: number[] = [];
    const entry = hc.pipeline({ name: "entry" }, async () => {
      for await (const _event of await open(`whole-${pace}`)) arrivedAt.push(now());
    });
    await entry();
    const late = lags(arrivedAt);
    expect(late.length).toBeGreaterThan(5);
    expect(median(late)).toBeLessThan(pace / 4);
    expect(Math.max(...late)).toBeLessThan(pace);
  });

  test("G4, G5: a root that returns the client's stream, read by somebody outside", async () => {
    const entry = hc.pipeline({ name: "entry" }, () => open("split-2"));
    const seen: unknown[] = [];
    for await (const event of await entry()) seen.push(event);
    const [stored] = await storedBy(hc);
    await server.close();
    expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
    const result = await replay(stored!, entry);
    expect(explain(result)).toMatch(/^verdict {3}identical/);
    const again: unknown[] = [];
    if (result.outcome.status === "ok") for await (const event of result.outcome.value) again.push(event);
    expect(again).toEqual(seen);
  });

  test("G4, G5: a root that hands the client's stream on as a response's body", async () => {
    const entry = hc.pipeline(
      { name: "entry" },
      async () => (await open("split-2")).toReadableStream() as ReadableStream<Uint8Array>,
    );
    const text = await new Response(await entry()).text();
    expect(text.split("\n").length).toBeGreaterThan(5);
    const [stored] = await storedBy(hc);
    await server.close();
    expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
    const result = await replay(stored!, entry);
    expect(explain(result)).toMatch(/^verdict {3}identical/);
    if (result.outcome.status !== "ok") throw new Error(explain(result));
    expect(await new Response(result.outcome.value).text()).toBe(text);
  });
});

test("G5: a helper that goes on when its replay has ended asks nothing of the network", async () => {
  const helpers = {
    openai: () => openai.chat.completions.stream(ask("whole-1")),
    anthropic: () => anthropic.messages.stream(ask("whole-1")),
  };
  for (const [name, make] of Object.entries(helpers)) {
    const entry = hc.pipeline({ name }, make);
    await entry().done();
    await hc.flush();
    for await (const stored of hc.store.find({ pipeline: name })) {
      // What it tells by events is not followed.
      expect(readCapsule(stored).replayable).toMatchObject({ exact: false, reasons: [{ code: "lost" }] });
      const before = server.requests.length;
      await replay(stored, entry);
      await sleep(50);
      expect(server.requests).toHaveLength(before);
    }
  }
});

test("a prompt that is another in a replay is a divergence in the request, which is not sent", async () => {
  let content = "one";
  const entry = hc.pipeline({ name: "entry" }, async () => {
    const messages = [{ role: "user" as const, content }];
    return (await openai.chat.completions.create({ model: "whole-0", messages })).id;
  });
  await entry();
  const [stored] = await storedBy(hc);
  content = "two";
  const result = await replay(stored!, entry);
  expect(result).toMatchObject({
    verdict: "diverged",
    divergence: { effect: "fetch", path: "$.body", actual: expect.stringContaining("two") as unknown },
  });
  expect(server.requests).toHaveLength(1);
});

test("G4, G5: twenty runs at the same time, each with two models, a tool and a retry", async () => {
  const seenBy = new Map<number, unknown[]>();
  const plan = hc.infer({ name: "plan", model: { name: "split-3", version: "1" } }, (question: number) =>
    anthropic.messages.create({
      ...ask("split-3"),
      messages: [{ role: "user", content: `question ${question}` }],
      tools: [{ name: "forecast", input_schema: { type: "object", properties: {} } }],
      stream: true,
    }),
  );
  const entry = hc.pipeline({ name: "entry" }, async (question: number) => {
    const seen: unknown[] = [];
    seenBy.set(question, seen);
    const see = noteInto(seen);
    const planned = (async () => {
      let input = "";
      for await (const event of await plan(question)) {
        see(event.type);
        if (event.type === "content_block_delta" && event.delta.type === "input_json_delta") {
          input += event.delta.partial_json;
        }
      }
      return JSON.parse(input) as { city: string; days: number };
    })();
    const spoken = openai.chat.completions.stream(ask("whole-2"));
    spoken.on("content.delta", ({ delta }) => see(delta));
    const first = await Promise.race([planned.then(() => "plan"), spoken.done().then(() => "speech")]);
    const { city, days } = await planned;
    const answer = await openai.chat.completions.create({
      ...ask("whole-1"),
      n: Math.floor(Math.random() * 3),
    });
    return [first, city, days, await spoken.finalContent(), answer.id, Math.random()];
  });
  server.expect([{ kind: "status", status: 429, headers: { "retry-after-ms": "3" } }, { kind: "drop" }]);
  const outcomes = await Promise.all(Array.from({ length: 20 }, (_, question) => entry(question)));
  expect(new Set(outcomes.map(([, , , , id]) => id)).size).toBe(20);
  const stored = await storedBy(hc);
  expect(stored).toHaveLength(20);
  await server.close();
  const observed = inPlainData([...seenBy].toSorted(([a], [b]) => a - b));
  seenBy.clear();
  const results = await Promise.all(stored.map((capsule) => replay(capsule, entry)));
  for (const [index, result] of results.entries()) {
    expect(readCapsule(stored[index]!).replayable).toEqual({ exact: true, reasons: [] });
    expect(explain(result)).toMatch(/^verdict {3}identical/);
  }
  expect(inPlainData([...seenBy].toSorted(([a], [b]) => a - b))).toEqual(observed);
  const answered = results.map(({ outcome }) => outcome.status === "ok" && outcome.value);
  expect(answered.map(String).toSorted()).toEqual(outcomes.map(String).toSorted());
});
