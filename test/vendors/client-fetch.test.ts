/** A client takes hold of `fetch` when it is made: what that means for its recording. */
import Anthropic from "@anthropic-ai/sdk";
import { type Hindcast, hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";
import { type ModelServer, startModelServer } from "./model-server.js";
import { SECRETS } from "./program.js";

let server: ModelServer;
const closing: Hindcast[] = [];
beforeEach(async () => {
  server = await startModelServer();
});
afterEach(async () => {
  for (const hc of closing.splice(0)) await hc.close();
  await server.close();
});

function instance(): Hindcast {
  const hc = hindcast({ service: "vendors" });
  closing.push(hc);
  return hc;
}

type Ask = () => Promise<{ readonly id: string }>;
type Fetch = typeof globalThis.fetch;

const messages = [{ role: "user" as const, content: "hello" }];
const clients: Readonly<Record<string, (fetch?: Fetch) => Ask>> = {
  openai: (fetch) => {
    const client = new OpenAI({ apiKey: SECRETS.openai, baseURL: `${server.url}/v1`, fetch });
    return () => client.chat.completions.create({ model: "whole-0", messages });
  },
  anthropic: (fetch) => {
    const client = new Anthropic({ apiKey: SECRETS.anthropic, baseURL: server.url, fetch });
    return () => client.messages.create({ model: "whole-0", max_tokens: 9, messages });
  },
};

describe.each(Object.entries(clients))("%s", (_vendor, makeClient) => {
  test("made before the first instance, but behind the library: its calls are recorded", async () => {
    const ask = makeClient();
    await expectRecorded(instance(), ask);
  });

  test("made before it, and given the global fetch of the moment: its calls are recorded", async () => {
    const ask = makeClient((...input) => fetch(...input));
    const hc = instance();
    await expectRecorded(hc, ask);
  });

  test("made under an instance that has been closed since: its calls are recorded under the next", async () => {
    const first = instance();
    const ask = makeClient();
    await first.close();
    await ask();
    await expectRecorded(instance(), ask);
  });

  test("used outside of any run: it is as without the library", async () => {
    const hc = instance();
    expect((await makeClient()()).id).toBeTypeOf("string");
    expect(hc.stats().runs.ended).toBe(0);
  });
});

async function expectRecorded(hc: Hindcast, ask: Ask): Promise<void> {
  const entry = hc.pipeline({ name: "entry" }, async () => (await ask()).id);
  const id = await entry();
  const [stored] = await storedBy(hc);
  await server.close();
  expect(readCapsule(stored!).replayable).toEqual({ exact: true, reasons: [] });
  const result = await replay(stored!, entry);
  expect(explain(result)).toMatch(/^verdict {3}identical/);
  expect(result.outcome).toEqual({ status: "ok", value: id });
}
