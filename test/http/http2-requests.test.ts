import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { readCapsule, replay } from "hindcast/replay";
import { afterAll, expect, test } from "vitest";

let sessions = 0;
const server = http2.createServer((_request, response) => response.end(String(Math.random())));
server.on("session", () => (sessions += 1));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterAll(() => server.close());

async function ask(session: http2.ClientHttp2Session): Promise<string> {
  let text = "";
  for await (const chunk of session.request({ ":path": "/" }).setEncoding("utf8")) text += String(chunk);
  return text;
}

async function askOnce(): Promise<string> {
  const session = http2.connect(url);
  try {
    return await ask(session);
  } finally {
    session.close();
  }
}

test("G5, G7: a request of node:http2 is noticed where it is made, and refused in a replay", async () => {
  const { connect } = http2;
  const logger = { warn: () => undefined };
  const hc = hindcast({ service: "http2", capture: { http: httpCapture() }, logger });
  const warm = http2.connect(url);
  await once(warm, "connect");
  const own = hc.pipeline({ name: "own" }, askOnce);
  const pooled = hc.pipeline({ name: "pooled" }, () => ask(warm));
  const declared = hc.pipeline({ name: "declared" }, hc.effect({ name: "ask" }, askOnce));
  for (const run of [own, pooled, declared]) expect(Number(await run())).toBeLessThan(1);
  await hc.flush();
  const before = sessions;
  for (const [name, program] of Object.entries({ own, pooled })) {
    for await (const stored of hc.store.find({ pipeline: name })) {
      expect(readCapsule(stored).replayable.reasons[0]?.message).toMatch(
        /used an HTTP\/2 stream at .*http2-requests\.test\.ts/,
      );
      const { outcome } = await replay(stored, program);
      expect(outcome.status === "error" && (outcome.error as { code?: unknown }).code).toBe(
        "effect-not-recorded",
      );
    }
  }
  for await (const stored of hc.store.find({ pipeline: "declared" })) {
    expect(readCapsule(stored).replayable.exact).toBe(true);
    expect((await replay(stored, declared)).verdict).toBe("identical");
  }
  expect(sessions).toBe(before);
  expect(Number(await askOnce())).toBeLessThan(1); // outside of runs it is itself
  warm.close();
  await hc.close();
  expect(http2.connect).toBe(connect);
});
