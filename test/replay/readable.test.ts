import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { hindcast } from "hindcast";
import { describeCapsule, explain, readCapsule, replay, type ReplayOptions } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { formatDifference } from "../../src/replay/format-difference.js";
import { formatPair, formatValue } from "../../src/replay/format-value.js";
import { readableBody } from "../../src/replay/readable-body.js";
import { newestCapsule } from "./newest-capsule.js";

const WIDTH = 100;
const later = <T>(value: T, delay = 1): Promise<T> => new Promise((done) => setTimeout(done, delay, value));

describe("long texts", () => {
  test("are shown around their first difference, in lines that are no longer than asked", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 300 });
    fc.assert(
      fc.property(text, text, text, text, (before, one, other, after) => {
        fc.pre(one !== other);
        const [was, is] = [before + one + after, before + other + after];
        fc.pre(was !== is);
        const [left, right] = formatPair(was, is, WIDTH);
        expect(left.length).toBeLessThanOrEqual(WIDTH);
        expect(right.length).toBeLessThanOrEqual(WIDTH);
        expect(left).not.toBe(right);
        for (const line of [left, right]) expect(line.isWellFormed()).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("JSON in a text is looked into, also JSON in its texts", () => {
    const request = (question: string) =>
      JSON.stringify({
        messages: [
          { role: "system", content: "policy ".repeat(100) },
          { role: "user", content: question },
        ],
      });
    expect(formatDifference(request("old"), request("new"), WIDTH)).toEqual({
      inJson: "$.messages[1].content (user)",
      expected: "'old'",
      actual: "'new'",
    });
    const input = (n: number) => JSON.stringify({ arguments: JSON.stringify({ n }) });
    expect(formatDifference(input(1), input(2), WIDTH)).toEqual({
      inJson: "$.arguments, and in its text $.n",
      expected: "1",
      actual: "2",
    });
    const bytes = (text: string) => new TextEncoder().encode(request(text));
    expect(formatDifference(bytes("old"), bytes("new"), WIDTH).inJson).toBe("$.messages[1].content (user)");
    expect(formatDifference("{no", "{json", WIDTH)).toEqual({
      inJson: undefined,
      expected: "'{no'",
      actual: "'{json'",
    });
  });
});

test("G2: whatever a value says of itself, it is one line that moves no cursor", async () => {
  const throwing = (): never => {
    throw new Error("no");
  };
  const hostile: unknown[] = [
    Object.assign(new Error("x"), { toString: 1 }),
    Object.assign(new Error(), { message: Object.create(null) as string }),
    Object.assign(new Error("x"), { name: Symbol("n") as unknown as string }),
    new Error("\x1b]0;pwned\x07\x1b[2J\u202e\u2028\u0085\r\n"),
    "\x1b[2J\u202e",
    { [Symbol.for("nodejs.util.inspect.custom")]: throwing },
    new Proxy({}, { get: throwing, ownKeys: throwing, getPrototypeOf: throwing }),
    new Proxy(new Error("x"), { get: throwing }),
    {
      get [Symbol.toStringTag]() {
        return throwing();
      },
    },
    Object.create(null),
    Object.defineProperty(new Error("x"), "message", { get: throwing }),
    "\ud800",
  ];
  for (const value of hostile) {
    const lines = [formatValue(value), ...formatPair(value, 1, WIDTH), ...readableBody(value, WIDTH)];
    for (const line of lines) {
      expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
      expect(line.isWellFormed()).toBe(true);
    }
  }
  // Told of a result, too.
  for (const error of hostile) {
    const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
    let thrown: unknown = error;
    const p = hc.pipeline({ name: "p" }, () => {
      throw thrown;
    });
    // Not by an assertion, which would ask the error for its text.
    let hasThrown = false;
    try {
      p();
    } catch {
      hasThrown = true;
    }
    expect(hasThrown).toBe(true);
    const capsule = await newestCapsule(hc);
    thrown = new Error("another");
    expect(explain(await replay(capsule, p))).toContain("verdict");
  }
});

describe("bodies", () => {
  const sse = (...events: unknown[]) =>
    `${events.map((event) => `event: x\ndata: ${JSON.stringify(event)}`).join("\n\n")}\n\ndata: [DONE]\n\n`;

  test.each<[string, unknown, readonly string[]]>([
    ["a text", "plain", ["plain"]],
    ["JSON", '{"a":[1,2]}', ["{ a: [ 1, 2 ] }"]],
    ["bytes of JSON", Buffer.from('{"a":1}'), ["{ a: 1 }"]],
    ["bytes that are no text", Uint8Array.of(255, 254), ["Uint8Array(2) [ 255, 254 ]"]],
    [
      "a chat completion that is asked for",
      JSON.stringify({
        model: "m",
        messages: [
          { role: "system", content: "be good" },
          { role: "user", content: [{ type: "text", text: "look" }, { type: "image_url" }] },
          { role: "assistant", tool_calls: [{ function: { name: "f", arguments: '{"a":1}' } }] },
          { role: "tool", content: "42" },
        ],
      }),
      ["model: m", "system: be good", "user: look <image_url>", 'assistant calls f({"a":1})', "tool: 42"],
    ],
    [
      "a chat completion",
      JSON.stringify({ choices: [{ message: { role: "assistant", content: "hello" } }] }),
      ["assistant: hello"],
    ],
    [
      "a message that is asked for",
      JSON.stringify({
        model: "m",
        system: [{ type: "text", text: "be good" }],
        messages: [
          { role: "user", content: "hi" },
          { role: "assistant", content: [{ type: "tool_use", name: "f", input: { a: 1 } }] },
          { role: "user", content: [{ type: "tool_result", content: "42" }] },
        ],
      }),
      ["model: m", "system: be good", "user: hi", 'assistant: calls f({"a":1})', "user: result 42"],
    ],
    [
      "a message",
      JSON.stringify({ model: "m", role: "assistant", content: [{ type: "text", text: "hello" }] }),
      ["model: m", "assistant: hello"],
    ],
    [
      "a response that is asked for",
      JSON.stringify({ model: "m", instructions: "be good", input: "hi" }),
      ["model: m", "system: be good", "user: hi"],
    ],
    [
      "a response",
      JSON.stringify({
        output: [
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "hello" }] },
          { type: "function_call", name: "f", arguments: '{"a":1}' },
        ],
      }),
      ["assistant: hello", 'assistant calls f({"a":1})'],
    ],
    [
      "a stream of a chat completion",
      sse(
        { choices: [{ delta: { content: "hel" } }] },
        { choices: [{ delta: { content: "lo" } }] },
        { choices: [{ delta: { tool_calls: [{ index: 0, function: { name: "f", arguments: '{"a"' } }] } }] },
        { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: ":1}" } }] } }] },
      ),
      ["assistant: hello", 'assistant calls f({"a":1}) (5 events)'],
    ],
    [
      "a stream of a message",
      sse(
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hel" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "lo" } },
        { type: "content_block_start", index: 1, content_block: { type: "tool_use", name: "f" } },
        { type: "content_block_delta", index: 1, delta: { partial_json: '{"a":1}' } },
      ),
      ["assistant: hello", 'assistant calls f({"a":1}) (5 events)'],
    ],
    [
      "a stream of a response",
      sse(
        { type: "response.output_text.delta", delta: "hel" },
        { type: "response.output_text.delta", delta: "lo" },
        { type: "response.output_item.added", item: { id: "i", type: "function_call", name: "f" } },
        { type: "response.function_call_arguments.delta", item_id: "i", delta: "{}" },
      ),
      ["assistant: hello", "assistant calls f({}) (5 events)"],
    ],
    ["other events", "data: one\n\ndata: two\n\n", ["one two (2 events)"]],
  ])("%s", (_, body, lines) => {
    expect(readableBody(body, WIDTH)).toEqual(lines);
  });

  test("G2: whatever JSON it is, nothing is thrown", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom("", "data: "), (json, before) => {
        expect(readableBody(before + json, WIDTH).every((line) => line.length <= WIDTH)).toBe(true);
      }),
    );
    const shaped = fc.record({
      messages: fc.anything(),
      choices: fc.anything(),
      content: fc.anything(),
      input: fc.anything(),
      output: fc.anything(),
      delta: fc.anything(),
      role: fc.anything(),
    });
    fc.assert(
      fc.property(shaped, (body) => {
        let json: string;
        try {
          json = JSON.stringify(body);
        } catch {
          return; // a BigInt, say: no body
        }
        readableBody(json, WIDTH);
        readableBody(`data: ${json}\n\n`, WIDTH);
      }),
    );
  });

  test("are told of in a capsule: what was sent, and what came in pieces", async () => {
    await using server = createServer((_request, response) => {
      response.write('data: {"choices":[{"delta":{"content":"hel"}}]}\n\n');
      response.end('data: {"choices":[{"delta":{"content":"lo"}}]}\n\n');
    }).listen(0);
    const { port } = server.address() as AddressInfo;
    const hc = hindcast({ service: "s" });
    const body = JSON.stringify({ messages: [{ role: "user", content: "say hello" }] });
    const p = hc.pipeline({ name: "p" }, async () =>
      (await fetch(`http://127.0.0.1:${port}`, { method: "POST", body })).text(),
    );
    await p();
    const told = describeCapsule(readCapsule(await newestCapsule(hc)));
    expect(told).toMatch(/sends user: say hello/);
    expect(told).toMatch(/body {2}assistant: hello \(2 events\)/);
    server.closeAllConnections();
  });
});

describe("a divergence", () => {
  test("where one of the two threw says which, and what", async () => {
    const hc = hindcast({ service: "s" });
    let fails = false;
    const ask = hc.effect({ name: "ask" }, async () => 1);
    const check = hc.tool({ name: "check" }, async (x: number) => {
      if (fails) throw new RangeError("too much");
      return x;
    });
    const p = hc.pipeline({ name: "p" }, async () => check(await ask()));
    await p();
    const whole = await newestCapsule(hc);
    fails = true;
    const now = await replay(whole, p);
    expect(now).toMatchObject({ divergence: { point: "error", stage: "check", thrown: "replayed" } });
    expect(explain(now)).toContain(
      'Stage "check" threw RangeError: too much in the replay, and in the recording returned 1.',
    );
    expect(explain(now)).toContain("actual    threw RangeError: too much");
    await p().catch(() => undefined);
    const failed = await newestCapsule(hc);
    fails = false;
    const then = await replay(failed, p);
    expect(then).toMatchObject({ divergence: { thrown: "recorded" } });
    expect(explain(then)).toContain(
      'Stage "check" threw RangeError: too much in the recording, and in the replay returned 1.',
    );
    const effect = await replay(whole, p, { effects: { ask: () => Promise.reject(new Error("down")) } });
    expect(explain(effect)).toContain(
      'Effect "ask" in stage "p" threw Error: down in the replay, and in the recording gave 1.',
    );
  });

  test("of a parallel sibling that does not wait any more is told of that sibling", async () => {
    const hc = hindcast({ service: "s" });
    let waits = true;
    const ask = hc.effect({ name: "ask" }, (delay: number) => later(delay, delay));
    const a = hc.tool({ name: "a" }, async () => ask(3));
    const b = hc.tool({ name: "b" }, async () => {
      const asked = ask(9);
      return waits ? asked : 9;
    });
    const p = hc.pipeline({ name: "p" }, () => Promise.all([a(), b()]));
    await p();
    waits = false;
    const result = await replay(await newestCapsule(hc), p);
    expect(result).toMatchObject({ divergence: { stage: "b", origin: "b", point: "order" } });
  });

  test("of a value that came by no effect is unresolved, and the reason names who waited for it", async () => {
    const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
    const pending: ((value: number) => void)[] = [];
    const act = hc.infer({ name: "act", model: { name: "m", version: "1" } }, async () => later(1));
    const p = hc.pipeline({ name: "p" }, async () => {
      const value = await new Promise<number>((done) => pending.push(done));
      return [await act(), value];
    });
    const feed = setInterval(() => pending.shift()?.(Math.random()), 5);
    await p();
    const capsule = await newestCapsule(hc);
    expect(readCapsule(capsule).replayable.reasons.map(({ name }) => name)).toContain("p");
    expect(await replay(capsule, p)).toMatchObject({
      verdict: "unresolved",
      reason: "incomplete",
      divergence: { cause: "uncontrolled" },
    });
    clearInterval(feed);
  });
});

describe("a replay ends within its timeout", () => {
  const TIMEOUT = 400;
  const never = new Promise<never>(() => undefined);

  /** Milliseconds of a replay of a program that waits for more than it did then. */
  async function lasting(options: ReplayOptions, change: "undeclared" | "live" | "polling"): Promise<number> {
    const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
    let isNow = false;
    const ask = hc.effect({ name: "ask" }, async (x: number) => (isNow ? never : later(x, x)));
    const p = hc.pipeline({ name: "p" }, async () => {
      if (isNow && change === "undeclared") await never;
      for (let count = 0; isNow && change === "polling"; count++) await later(count);
      return Promise.all([ask(1), ask(2), Promise.race([ask(3), ask(50)])]);
    });
    await p();
    const capsule = await newestCapsule(hc);
    isNow = true;
    const start = performance.now();
    const result = await replay(capsule, p, { timeout: TIMEOUT, ...options });
    expect(result.outcome.status).toBe("pending");
    return performance.now() - start;
  }

  test.each<[string, ReplayOptions, "undeclared" | "live" | "polling"]>([
    ["as it is", {}, "undeclared"],
    ["with patience", { patience: 150 }, "undeclared"],
    ["with more patience than that", { patience: "1m" }, "undeclared"],
    ["at the recorded pace", { pace: "recorded" }, "undeclared"],
    ["with live effects that do not answer", { effects: { ask: "live" }, patience: 50 }, "live"],
    ["that asks for ever", {}, "polling"],
    ["that asks for ever, at the recorded pace", { pace: "recorded" }, "polling"],
  ])("%s", async (_, options, change) => {
    expect(await lasting(options, change)).toBeLessThan(TIMEOUT + 400);
  });
});
