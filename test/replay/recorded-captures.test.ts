/** A replay is made under the captures of the recorded run, whatever the instance captures by now. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { hindcast, type HindcastOptions } from "hindcast";
import { httpCapture } from "hindcast/http";
import { type Capsule, compareCapsules, explain, readCapsule, replay, storedCapsule } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { newestCapsule } from "./newest-capsule.js";

const SOURCES = ["random", "clock", "crypto", "timers"] as const;

function service(capture: HindcastOptions["capture"]) {
  const hc = hindcast({ service: "s", capture: capture ?? true, logger: { warn: () => undefined } });
  const entry = hc.pipeline({ name: "reads" }, async () => {
    const began = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    const id = crypto.randomUUID();
    return { forward: Date.now() >= began, chance: Math.random() < 2, id: id.length };
  });
  return { hc, entry };
}

describe("the names of what was captured are in the capsule", () => {
  test.each([true, false, { clock: false }, { random: false, timers: false }] as const)(
    "capture: %j",
    async (capture) => {
      const { hc, entry } = service(capture);
      await entry();
      const { captures } = readCapsule(await newestCapsule(hc));
      const isCaptured = (source: (typeof SOURCES)[number]): boolean =>
        typeof capture === "boolean"
          ? capture
          : ((capture as Partial<Record<typeof source, boolean>>)[source] ?? true);
      for (const source of SOURCES) expect(captures?.includes(source)).toBe(isCaptured(source));
      await hc.close();
    },
  );
});

test("replayed as captured: every set of sources, by an instance that captures another set", async () => {
  const all = SOURCES.reduce<Record<string, boolean>[]>(
    (sets, source) => sets.flatMap((set) => [set, { ...set, [source]: false }]),
    [{}],
  );
  for (const [index, recorded] of all.entries()) {
    const was = service(recorded);
    await was.entry();
    const capsule = await newestCapsule(was.hc);
    await was.hc.close();
    const is = service(all[all.length - 1 - index]);
    const result = await replay(capsule, is.entry);
    expect(explain(result), JSON.stringify(recorded)).toContain("verdict   identical");
    expect(result.replayed.captures).toEqual(readCapsule(capsule).captures);
    await is.hc.close();
  }
});

test("clients of node:http that were captured are so in a replay, though the instance does not have it", async () => {
  let asked = 0;
  const server = http.createServer((_request, response) => response.end(String(++asked)));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const make = (capture: HindcastOptions["capture"]) => {
    const hc = hindcast({ service: "s", capture: capture ?? true, logger: { warn: () => undefined } });
    const entry = hc.pipeline({ name: "asks" }, async () => {
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        http.get({ host: "127.0.0.1", port, agent: false }, resolve).on("error", reject);
      });
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      return text;
    });
    return { hc, entry };
  };
  const was = make({ http: httpCapture() });
  expect(await was.entry()).toBe("1");
  const result = await replay(await newestCapsule(was.hc), make(true).entry);
  expect(result).toMatchObject({ verdict: "identical", outcome: { value: "1" } });
  expect(asked).toBe(1);
  server.close();
});

describe("cause capture", () => {
  const withDriver = (capsule: Capsule): Capsule => ({
    ...capsule,
    captures: [...(capsule.captures ?? []), "driver"],
  });

  test("what the instance cannot capture is to blame for a divergence", async () => {
    let rows = 1;
    const hc = hindcast({ service: "s" });
    const entry = hc.pipeline({ name: "counts" }, () => rows);
    entry();
    const capsule = readCapsule(storedCapsule(withDriver(readCapsule(await newestCapsule(hc)))));
    expect(await replay(capsule, entry)).toMatchObject({ verdict: "identical" });
    rows = 2;
    const result = await replay(capsule, entry);
    expect(result).toMatchObject({ verdict: "diverged", divergence: { cause: "capture" } });
    expect(explain(result)).toContain('The recorded run had "driver" captured');
  });

  test("what would reach the outside world through it is not run", async () => {
    let runs = 0;
    const hc = hindcast({ service: "s" });
    const query = hc.effect({ name: "driver.query" }, async () => 1);
    const entry = hc.pipeline({ name: "asks" }, async () => {
      runs += 1;
      return query();
    });
    await entry();
    const result = await replay(withDriver(readCapsule(await newestCapsule(hc))), entry);
    expect(runs).toBe(1);
    expect(result).toMatchObject({
      verdict: "diverged",
      outcome: { status: "error", error: { code: "replay-capsule" } },
      divergence: { cause: "capture" },
    });
  });

  test("of two runs", async () => {
    const hc = hindcast({ service: "s", seed: 1 });
    let calls = 0;
    const entry = hc.pipeline({ name: "counts" }, () => ++calls);
    entry();
    const one = readCapsule(await newestCapsule(hc));
    entry();
    const two = readCapsule(await newestCapsule(hc));
    expect(compareCapsules(one, two)).toMatchObject({ cause: "uncontrolled" });
    expect(compareCapsules(one, withDriver(two))).toMatchObject({ cause: "capture" });
  });
});
