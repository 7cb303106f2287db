import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pathToFileURL } from "node:url";
import { hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import pino from "pino";
import { afterAll, expect, test } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "hindcast-bystander-"));
afterAll(() => rmSync(dir, { recursive: true }));

type Reads = (body?: () => unknown) => unknown;

/** A package of that name, which does `code` and calls the body that it is given. */
async function packageThat(name: string, code: string): Promise<Reads> {
  const folder = join(dir, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const file = join(folder, "index.mjs");
  writeFileSync(file, `export function reads(body = () => 0) { ${code}; return body(); }`);
  const { reads } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { reads: Reads };
  return reads;
}

const READINGS = `
  Math.random(); Date.now(); new Date(); Date(); performance.now(); process.hrtime(); process.hrtime.bigint();
  crypto.randomUUID(); crypto.getRandomValues(new Uint8Array(4));
  clearTimeout(setTimeout(() => 0, 1000)); clearImmediate(setImmediate(() => 0));
`;

/** Records and replays `body` some times, and gives the effects of each run. */
async function effectsOf(body: () => unknown): Promise<string[][]> {
  const hc = hindcast({ service: "bystanders" });
  const entry = hc.pipeline({ name: "program" }, async () => [body(), Math.random()]);
  for (let count = 0; count < 3; count++) await entry();
  await hc.flush();
  const effects: string[][] = [];
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    expect((await replay(capsule, entry)).verdict).toBe("identical");
    effects.push(capsule.effects.map(({ name }) => name));
  }
  await hc.close();
  return effects;
}

test("what tracing, logging and metrics read is no part of a run", async () => {
  for (const name of [
    "@opentelemetry/instrumentation-none",
    "@sentry/core",
    "dd-trace",
    "pino",
    "winston-none",
  ]) {
    const reads = await packageThat(name, READINGS);
    expect(await effectsOf(() => reads()), name).toEqual([[], [], []]);
  }
});

test("what they call is, and so is what calls them", async () => {
  const reads = await packageThat("@sentry/node", "Date.now()");
  const effects = await effectsOf(() => reads(() => [Date.now(), Math.random()]));
  expect(effects).toEqual([["Date.now"], ["Date.now"], ["Date.now"]]);
  const other = await packageThat("ordinary", "Date.now()");
  expect(await effectsOf(() => reads(other))).toEqual([["Date.now"], ["Date.now"], ["Date.now"]]);
});

test("what makes ids for whoever asks is as its caller is", async () => {
  const makesId = await packageThat("uuid", "return crypto.randomUUID()");
  const traces = await packageThat("langsmith", "body()");
  expect(await effectsOf(() => makesId())).toEqual(Array.from({ length: 3 }, () => ["crypto.randomUUID"]));
  expect(await effectsOf(() => void traces(makesId))).toEqual([[], [], []]);
});

test("whether somebody logs, and at which level, does not change a run", async () => {
  const lines = new PassThrough().setEncoding("utf8");
  const logger = pino({ mixin: () => ({ mixed: true }) }, lines);
  const hc = hindcast({ service: "bystanders" });
  const entry = hc.pipeline({ name: "program" }, async () => {
    logger.info({ at: "start" }, "begun");
    const child = logger.child({ request: 1 });
    await Promise.resolve();
    child.warn(new Error("none"));
    return [Date.now(), Math.random()];
  });
  await entry();
  expect(String(lines.read())).toContain('"mixed":true');
  logger.level = "silent";
  await entry();
  await hc.flush();
  for (const level of ["silent", "trace"]) {
    logger.level = level;
    for await (const stored of hc.store.find()) {
      const capsule = readCapsule(stored);
      expect(capsule.effects.map(({ name }) => name)).toEqual(["Date.now"]);
      expect((await replay(capsule, entry)).verdict).toBe("identical");
    }
  }
  await hc.close();
});
