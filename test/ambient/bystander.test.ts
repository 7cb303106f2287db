import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { hindcast } from "hindcast";
import { httpCapture } from "hindcast/http";
import { readCapsule, replay } from "hindcast/replay";
import pino from "pino";
import { afterAll, expect, test } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "hindcast-bystander-"));
afterAll(() => rmSync(dir, { recursive: true }));

type Reads = (body?: () => unknown) => unknown;

/** A file of a package of that name, as a URL. */
function moduleOf(name: string, file: string, code: string): string {
  const folder = join(dir, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), code);
  return pathToFileURL(join(folder, file)).href;
}

/** What does `code`, in a package of that name, and calls the body that it is given. */
async function packageThat(name: string, code: string): Promise<Reads> {
  const url = moduleOf(
    name,
    "index.mjs",
    `export function reads(body = () => 0) { ${code}; return body(); }`,
  );
  return ((await import(/* @vite-ignore */ url)) as { reads: Reads }).reads;
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

test("G5: what they send is no part of a run, and a replay sends nothing of it; what a program sends through them is", async () => {
  const paths: string[] = [];
  const server = http.createServer((request, response) => {
    paths.push(String(request.url));
    response.end(String(Math.random()));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = moduleOf(
    "@sentry/node",
    "transport.mjs",
    `import http from "node:http"; import fs from "node:fs/promises";
     export async function send(url) {
       await fs.readFile(import.meta.filename ?? new URL(import.meta.url));
       await fetch(url + "/sent").then((response) => response.text(), () => 0);
       return await new Promise((resolve) => {
         try {
           http.get(url + "/sent", { agent: false }, (response) => response.resume().on("end", resolve)).on("error", resolve);
         } catch (error) { resolve(error); }
       });
     }
     export const wrap = (original) => (...input) => original(...input);`,
  );
  const { send, wrap } = (await import(/* @vite-ignore */ file)) as {
    send: (to: string) => Promise<unknown>;
    wrap: <F>(original: F) => F;
  };
  const hc = hindcast({ service: "bystanders", capture: { http: httpCapture() } });
  const fetched = wrap(fetch);
  const sent: Promise<unknown>[] = [];
  const entry = hc.pipeline({ name: "program" }, async () => {
    // As an event is sent that the program has given: later, and with nobody waiting.
    sent.push(Promise.resolve(url).then(send));
    await wait(20);
    return await (await fetched(`${url}/asked`)).text();
  });
  await entry();
  await Promise.all(sent.splice(0));
  await hc.flush();
  expect(paths.sort()).toEqual(["/asked", "/sent", "/sent"]);
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    expect(capsule.effects.map(({ name }) => name)).toEqual([
      "timers/promises.setTimeout",
      "fetch",
      "fetch.stream",
      "fetch.stream",
    ]);
    expect((await replay(capsule, entry)).verdict).toBe("identical");
  }
  await wait(20);
  expect(paths).toHaveLength(3);
  server.close().closeAllConnections();
  await hc.close();
});

test("a package that the user names, and a function that is declared", async () => {
  const traces = await packageThat("@acme/tracing", READINGS);
  const hc = hindcast({ service: "bystanders", bystanders: ["@acme/tracing"] });
  const seen: unknown[] = [];
  const watch = hc.bystander(function watch(this: unknown, what: string) {
    seen.push([this, what, Math.random(), Date.now()]);
    return Promise.resolve().then(() => [Date.now(), Math.random()]);
  });
  const entry = hc.pipeline({ name: "program" }, async () => {
    traces();
    void watch.call("self", "begun");
    await wait(1);
    return Math.random();
  });
  await entry();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    expect(capsule.effects.map(({ name }) => name)).toEqual(["timers/promises.setTimeout"]);
    expect((await replay(capsule, entry)).verdict).toBe("identical");
  }
  expect(seen).toHaveLength(2);
  expect(watch).toHaveLength(1);
  expect(() => hc.bystander(1 as never)).toThrow("bystander");
  expect(() => hindcast({ service: "bystanders", bystanders: "pino" as never })).toThrow("names of packages");
  await hc.close();
});

test("G5: what a client posts about a run is no part of it; what a program reads through the client is", async () => {
  const paths: string[] = [];
  const server = http.createServer((request, response) => {
    paths.push(String(request.url));
    response.end(String(Math.random()));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = moduleOf(
    "langsmith",
    "client.mjs",
    "export async function ask(url) { await null; return await (await fetch(url)).text(); }",
  );
  const { ask } = (await import(/* @vite-ignore */ client)) as { ask: (of: string) => Promise<string> };
  const hc = hindcast({ service: "bystanders" });
  const entry = hc.pipeline({ name: "program" }, async () => {
    void ask(`${url}/runs/batch?a=1`);
    return await ask(`${url}/prompts/mine`);
  });
  await entry();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    const capsule = readCapsule(stored);
    expect(capsule.replayable.reasons).toEqual([]);
    expect(capsule.effects.filter(({ name }) => name === "fetch")).toHaveLength(1);
    expect((await replay(capsule, entry)).verdict).toBe("identical");
  }
  expect(paths.sort()).toEqual(["/prompts/mine", "/runs/batch?a=1"]);
  server.close().closeAllConnections();
  await hc.close();
});
