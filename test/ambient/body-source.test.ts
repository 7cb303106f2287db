/** Bodies, Blobs and Files: read while recording, and given as they were read in a replay. */
import { mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { hindcast } from "hindcast";
import { explain, inputOf, readCapsule, replay, type ReplayOptions } from "hindcast/replay";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runNode } from "../tools/run-process.js";
import { exampleRequest, exampleUpload, makeIntake } from "./intake.js";

const currentMethods = () => ({
  text: Reflect.get(Blob.prototype, "text") as unknown,
  json: Reflect.get(Request.prototype, "json") as unknown,
  clone: Reflect.get(Response.prototype, "clone") as unknown,
  body: Object.getOwnPropertyDescriptor(Request.prototype, "body"),
  bodyUsed: Object.getOwnPropertyDescriptor(Response.prototype, "bodyUsed"),
});
const original = currentMethods();
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function instance(options: Partial<Parameters<typeof hindcast>[0]> = {}) {
  const hc = hindcast({ service: "bodies", ...options });
  closing.push(() => hc.close());
  return hc;
}

type Instance = ReturnType<typeof instance>;

async function lastCapsule(hc: Instance) {
  await hc.flush();
  const capsules = [];
  for await (const stored of hc.store.find()) capsules.push(readCapsule(stored));
  // Ids are in the order of time.
  const last = capsules.toSorted((a, b) => (a.id < b.id ? -1 : 1)).at(-1);
  if (last === undefined) throw new Error("nothing was recorded");
  return last;
}

const sumOf = (text: string): number => Buffer.from(text).reduce((total, byte) => total + byte, 0);

/** Records a call of `entry` and replays it: both must come to the same. */
async function recordAndReplay<I extends unknown[]>(
  hc: Instance,
  entry: (...input: I) => unknown,
  ...input: I
): Promise<{ value: unknown; effects: string[] }> {
  const value: unknown = await entry(...input);
  const capsule = await lastCapsule(hc);
  expect(capsule.replayable).toEqual({ exact: true, reasons: [] });
  const result = await replay(capsule, entry as never);
  if (result.verdict !== "identical") throw new Error(explain(result));
  expect(result.outcome).toEqual({ status: "ok", value });
  return { value, effects: capsule.effects.map(({ name }) => name) };
}

describe("G4: the platform's values as a root's arguments", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "hindcast-bodies-"));
    closing.push(() => rm(dir, { recursive: true }));
  });

  test("are replayed identically, here and in another process", async () => {
    const { hc, order, upload } = makeIntake(dir);
    closing.push(() => hc.close());
    expect((await recordAndReplay(hc, order, exampleRequest())).value).toEqual({
      order: { item: "tea" },
      length: 14,
      used: true,
      method: "POST",
      url: "https://shop.example/orders?id=7",
      client: "till 4",
    });
    const { value, effects } = await recordAndReplay(hc, upload, exampleUpload());
    expect(value).toEqual({
      fields: ["note", "scan", "scan"],
      scans: [
        { name: "one.pdf", head: "%PDF", sum: sumOf("%PDF page one") },
        { name: "two.pdf", head: "%PDF", sum: sumOf("%PDF page two!") },
      ],
      text: "plain text",
      cookies: ["a=1", "b=2"],
      aborted: [true, "Error: too late"],
      host: "shop.example",
      queries: ["1", "2"],
    });
    expect(effects.toSorted()).toEqual([
      "Blob.arrayBuffer",
      "Blob.arrayBuffer",
      "Blob.text",
      "Blob.text",
      "Blob.text",
    ]);
    await hc.flush();
    const file = join(import.meta.dirname, "intake-process.ts");
    const { output, exitCode } = await runNode(
      ["--conditions=hindcast-source", "--import", "tsx", file, dir],
      { cwd: import.meta.dirname },
    );
    expect([exitCode, output.trim().split("\n").toSorted()]).toEqual([
      0,
      ["order identical", "upload identical"],
    ]);
  });
});

describe("G4: each way of reading", () => {
  const body = (): URLSearchParams => new URLSearchParams("a=1&b=2");
  const ways: Record<string, (content: Request | Response) => unknown> = {
    text: (content) => content.text(),
    arrayBuffer: (content) => content.arrayBuffer(),
    blob: async (content) => {
      const blob = await content.blob();
      return [blob.size, blob.type, await blob.text()];
    },
    formData: async (content) => [...(await content.formData())],
    "json, of what is none": (content) => content.json().catch((error: Error) => [error.name, error.message]),
    "text, twice": async (content) => {
      const first = await content.text();
      return [first, await content.text().catch((error: Error) => error.name), content.bodyUsed];
    },
    "two clones at once": (content) =>
      Promise.all([content.clone().text(), content.clone().arrayBuffer(), content.text()]),
    "what says that it was used": async (content) => {
      const before = content.bodyUsed;
      const reading = content.text();
      const during = content.bodyUsed;
      return [before, during, await reading, content.bodyUsed];
    },
    "the body, chunk by chunk": async (content) => {
      const same = content.body === content.body;
      const before = content.bodyUsed;
      const sizes: number[] = [];
      for await (const chunk of content.body as ReadableStream<Uint8Array>) sizes.push(chunk.length);
      return [
        same,
        before,
        sizes,
        content.bodyUsed,
        await content.text().catch((error: Error) => error.name),
      ];
    },
    "the body, a part of it": async (content) => {
      const reader = (content.body as ReadableStream<Uint8Array>).getReader();
      const { value } = await reader.read();
      await reader.cancel("enough");
      return [value, content.bodyUsed];
    },
    "text, after a look at the body": async (content) => {
      if (content.body === null || content.bodyUsed) return "none";
      return [await content.text(), content.bodyUsed];
    },
    "a clone, after a look at the body": async (content) => {
      const body = content.body;
      const clone = content.clone();
      const chunks: number[] = [];
      for await (const chunk of content.body as ReadableStream<Uint8Array>) chunks.push(chunk.length);
      return [await clone.text(), chunks, body === content.body];
    },
    "another body, made of this one": (content) => new Response(content.body).text(),
    ...("textStream" in Response.prototype
      ? {
          textStream: async (content: Request | Response) => {
            const texts: unknown[] = [];
            const stream = Reflect.get(content, "textStream").call(content) as AsyncIterable<unknown>;
            for await (const text of stream) texts.push(text);
            return texts;
          },
        }
      : {}),
    ...("bytes" in Response.prototype
      ? { bytes: (content: Request | Response) => Reflect.get(content, "bytes").call(content) as unknown }
      : {}),
  };

  test.each(Object.entries(ways))("%s", async (_name, read) => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, (content: Request | Response) => read(content));
    const within = hc.pipeline({ name: "within" }, ({ content }: { content: Request | Response }) =>
      read(content),
    );
    const request = (): Request => new Request("http://a", { method: "POST", body: body() });
    const values: unknown[] = [];
    const expectEffects = async (pattern: RegExp, recorded: ReturnType<typeof recordAndReplay>) => {
      const { effects, value } = await recorded;
      values.push(value);
      expect(effects.filter((name) => !name.startsWith("Blob."))).toSatisfy((names: string[]) =>
        names.every((name) => pattern.test(name)),
      );
      expect(effects.length).toBeGreaterThan(0);
    };
    await expectEffects(/^Request\./, recordAndReplay(hc, entry, request()));
    await expectEffects(/^Request\./, recordAndReplay(hc, within, { content: request() }));
    await expectEffects(/^Response\./, recordAndReplay(hc, within, { content: new Response(body()) }));
    // It passes by itself, and is read in chunks.
    await expectEffects(/^input\.stream$/, recordAndReplay(hc, entry, new Response(body())));
    // And all have read what is there without the library.
    const itself: unknown[] = [];
    for (const content of [request(), request(), new Response(body()), new Response(body())]) {
      itself.push(await read(content));
    }
    expect(values).toEqual(itself);
  });

  test("of the multipart form that a client sends", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async (request: Request) => {
      const form = await request.formData();
      const file = form.get("scan") as File;
      return [form.get("note"), file.name, file.size, await file.text()];
    });
    const { form } = exampleUpload();
    const { value, effects } = await recordAndReplay(
      hc,
      entry,
      new Request("http://a", { method: "POST", body: form }),
    );
    expect(value).toEqual(["two pages", "one.pdf", 13, "%PDF page one"]);
    expect(effects).toEqual(["Request.formData", "Blob.text"]);
  });

  test("of an answer from a server, whose request is an effect", async () => {
    const server = createServer((_incoming, answer) => {
      answer.writeHead(201, { "content-type": "application/json", "set-cookie": ["a=1", "b=2"] });
      answer.write('{"risk":');
      setTimeout(() => answer.end("0.25}"), 5);
    }).listen(0, "127.0.0.1");
    closing.push(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const hc = instance();
    const get = hc.effect({ name: "get" }, (url: string) => fetch(url));
    const entry = hc.pipeline({ name: "entry" }, async () => {
      const answers = await Promise.all([1, 2, 3].map((id) => get(`http://127.0.0.1:${port}/${id}`)));
      const read = answers.map(async (answer) => ({
        risk: await answer.json(),
        status: [answer.status, answer.ok, answer.url.slice(-2), answer.redirected, answer.bodyUsed],
        cookies: answer.headers.getSetCookie(),
      }));
      return Promise.all(read);
    });
    const { effects } = await recordAndReplay(hc, entry);
    expect(new Set(effects)).toEqual(new Set(["get", "get.stream", "get#1.stream", "get#2.stream"]));
  });
});

describe("G4: where a body may be", () => {
  test("of a request that a server has got, which comes bit by bit", async () => {
    const hc = instance();
    const handle = hc.pipeline({ name: "handle" }, async (request: Request) => {
      const { item } = (await request.json()) as { item: string };
      return { item, path: new URL(request.url).pathname };
    });
    let resolve: (value: unknown) => void = () => undefined;
    const handled = new Promise((settle) => (resolve = settle));
    const server = createServer((incoming, answer) => {
      const { method, url, headers } = incoming;
      const options: RequestInit & { duplex: "half" } = {
        method: method as string,
        headers: headers as Record<string, string>,
        body: Readable.toWeb(incoming) as never,
        duplex: "half",
      };
      handle(new Request(`http://localhost${url}`, options))
        .then(resolve, resolve)
        .finally(() => answer.end());
    }).listen(0, "127.0.0.1");
    closing.push(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const client = httpRequest({ port, host: "127.0.0.1", path: "/orders", method: "POST", agent: false });
    client.write('{"item":');
    setTimeout(() => client.end('"tea"}'), 20);
    client.on("response", (answer) => answer.resume());
    expect(await handled).toEqual({ item: "tea", path: "/orders" });
    const capsule = await lastCapsule(hc);
    expect(capsule.replayable).toEqual({ exact: true, reasons: [] });
    expect((await replay(capsule, handle)).verdict).toBe("identical");
  });

  test("of a file, and of a Blob that is read as a stream", async () => {
    const hc = instance();
    const read = hc.pipeline({ name: "read" }, async (file: Blob, blob: Blob) => {
      const sizes: number[] = [];
      for await (const chunk of blob.stream()) sizes.push(chunk.length);
      const texts: unknown[] = [];
      // Not every Node has it.
      const textStream: unknown = Reflect.get(blob, "textStream");
      if (typeof textStream === "function") {
        for await (const text of textStream.call(blob) as AsyncIterable<unknown>) texts.push(text);
      }
      return [(await file.text()).slice(0, 3), sizes, texts, await new Response(blob).text()];
    });
    const { effects } = await recordAndReplay(
      hc,
      read,
      await openAsBlob(import.meta.filename),
      new Blob(["in a ", "Blob"]),
    );
    expect(effects).toContain("Blob.stream.stream");
  });

  test("of the response that an error carries", async () => {
    const hc = instance();
    const ask = hc.effect({ name: "ask" }, async () => {
      const response = Response.json({ message: "too many" }, { status: 429 });
      throw Object.assign(new Error("refused"), { response });
    });
    const entry = hc.pipeline({ name: "entry" }, async () => {
      try {
        return await ask();
      } catch (error) {
        const { response } = error as { response: Response };
        return [response.status, await response.json()];
      }
    });
    const { value, effects } = await recordAndReplay(hc, entry);
    expect(value).toEqual([429, { message: "too many" }]);
    expect(effects).toEqual(["ask", "Response.json"]);
  });

  test("of a Request or Response inside of an effect's result", async () => {
    const hc = instance();
    const take = hc.effect({ name: "take" }, async () => ({
      job: new Request("http://a", { method: "POST", body: "job" }),
      answers: [new Response("one"), new Response("two")],
    }));
    const entry = hc.pipeline({ name: "entry" }, async () => {
      const { job, answers } = await take();
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      return [await new Response(job.body).text(), texts];
    });
    expect((await recordAndReplay(hc, entry)).value).toEqual(["job", ["one", "two"]]);
  });

  test.each([
    ["text", (response: Response) => response.text()],
    ["body", (response: Response) => new Response(response.body).text()],
  ])("of a Response that a stage has made, and gives inside of something: %s", async (_name, read) => {
    const hc = instance();
    const ask = hc.tool({ name: "ask" }, async (n: number) => ({ answer: new Response(`made ${n}`) }));
    const entry = hc.pipeline({ name: "entry" }, async (n: number) => read((await ask(n)).answer));
    expect((await recordAndReplay(hc, entry, 3)).value).toBe("made 3");
    const result = await replay(await lastCapsule(hc), entry, { stages: { ask: "recorded" } });
    expect([result.verdict, result.outcome]).toEqual(["identical", { status: "ok", value: "made 3" }]);
  });

  test("of a Response that several stages hand on", async () => {
    const hc = instance();
    const get = hc.effect({ name: "get" }, async () => new Response("from afar", { status: 203 }));
    const ask = hc.tool({ name: "ask" }, () => get());
    const check = hc.tool({ name: "check" }, async (response: Response) => ({ response, ok: response.ok }));
    const entry = hc.pipeline({ name: "entry" }, async () => {
      const { response, ok } = await check(await ask());
      return [ok, response.status, await response.text(), response.bodyUsed];
    });
    expect((await recordAndReplay(hc, entry)).value).toEqual([true, 203, "from afar", true]);
    const capsule = await lastCapsule(hc);
    const result = await replay(capsule, entry, { stages: { ask: "recorded" } });
    if (result.verdict !== "identical") throw new Error(explain(result));
  });

  test("of a request that is made of another", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async (request: Request) => {
      const copy = new Request(request.clone(), { headers: { "x-made": "here" } });
      const again = new Request(new Request(request));
      const texts = await Promise.all([copy.text(), again.text()]);
      return [texts, copy.headers.get("x-made"), again.url, request.bodyUsed];
    });
    const { value, effects } = await recordAndReplay(hc, entry, exampleRequest());
    const text = '{"item":"tea"}';
    expect(value).toEqual([[text, text], "here", "https://shop.example/orders?id=7", true]);
    expect(new Set(effects)).toEqual(
      new Set(["Request.body", "Request.body.stream", "Request.body#1.stream"]),
    );
    // And it is itself outside of runs, and inside of effects.
    const send = hc.effect({ name: "send" }, (request: Request) => new Request(request).text());
    const through = hc.pipeline({ name: "through" }, (request: Request) => send(request));
    expect((await recordAndReplay(hc, through, exampleRequest())).effects).toEqual(["send"]);
    const kept = exampleRequest();
    const leave = hc.pipeline({ name: "leave" }, async (_request: Request) => undefined);
    await recordAndReplay(hc, leave, kept);
    expect(await new Request(kept).text()).toBe(text);
  });

  test("of a request, read by an effect: there it is itself, though the run has looked at it", async () => {
    const hc = instance();
    const send = hc.effect({ name: "send" }, async (request: Request) => new Response(request.body).text());
    const entry = hc.pipeline({ name: "entry" }, async (request: Request) =>
      request.body === null ? "empty" : await send(request),
    );
    const { value, effects } = await recordAndReplay(hc, entry, exampleRequest());
    expect([value, effects]).toEqual(['{"item":"tea"}', ["Request.body", "send"]]);
  });
});

describe("what is not from outside", () => {
  test("a body that the program made is no effect, and a Blob that it made is one", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async (n: number) => [
      await new Response(`answer ${n}`).json().catch(() => "no JSON"),
      await new Request("http://a", { method: "POST", body: "{}" }).json(),
      await new Blob([`blob ${n}`]).text(),
    ]);
    const { effects, value } = await recordAndReplay(hc, entry, 7);
    expect(effects).toEqual(["Blob.text"]);
    expect(value).toEqual(["no JSON", {}, "blob 7"]);
  });

  test("in a replay with other code, a Blob of the program holds what that code put there", async () => {
    const hc = instance();
    let text = "before";
    const entry = hc.pipeline({ name: "entry" }, () => new Blob([text]).text());
    await entry();
    text = "after!";
    const result = await replay(await lastCapsule(hc), entry);
    expect([result.verdict, result.outcome]).toEqual(["diverged", { status: "ok", value: "after!" }]);
  });

  test("in a what-if, the answer of a stand-in is read, and not the recorded one", async () => {
    const hc = instance();
    const get = hc.effect({ name: "get" }, async () => new Response("recorded"));
    const entry = hc.pipeline({ name: "entry" }, async () => (await get()).text());
    await entry();
    const capsule = await lastCapsule(hc);
    const instead = { effects: { get: () => Promise.resolve(new Response("instead")) } } as ReplayOptions;
    expect((await replay(capsule, entry, instead)).outcome).toEqual({ status: "ok", value: "instead" });
    expect((await replay(capsule, entry)).outcome).toEqual({ status: "ok", value: "recorded" });
  });

  test("what a stage got from outside is read by its caller, also where the stage is given as recorded", async () => {
    const hc = instance();
    const get = hc.effect({ name: "get" }, async () => new Response("recorded"));
    const ask = hc.tool({ name: "ask" }, async () => ({ answer: await get() }));
    const entry = hc.pipeline({ name: "entry" }, async () => (await ask()).answer.text());
    const { effects } = await recordAndReplay(hc, entry);
    // The text for who is given the stage as recorded, and its chunks for who runs it.
    expect(effects).toEqual(["get", "Response.text", "get.stream", "get.stream"]);
    const result = await replay(await lastCapsule(hc), entry, { stages: { ask: "recorded" } });
    expect([result.verdict, result.outcome]).toEqual(["identical", { status: "ok", value: "recorded" }]);
  });

  test("outside of runs, inside of effects, and where it is switched off, reading is itself", async () => {
    const hc = instance();
    const inside = hc.effect({ name: "inside" }, async (blob: Blob) => blob.text());
    const entry = hc.pipeline({ name: "entry" }, (blob: Blob) => inside(blob));
    const { effects } = await recordAndReplay(hc, entry, new Blob(["x"]));
    expect(effects).toEqual(["inside"]);
    expect(await new Blob(["x"]).text()).toBe("x");

    const deaf = instance({ capture: { bodies: false } });
    const read = deaf.pipeline({ name: "read" }, (request: Request) => request.text());
    expect(await read(exampleRequest())).toBe('{"item":"tea"}');
    expect((await lastCapsule(deaf)).effects).toEqual([]);
  });
});

describe("G5: what is not recorded", () => {
  test("a body that nobody read cannot be read in a replay", async () => {
    const hc = instance();
    let reads = false;
    const entry = hc.pipeline({ name: "entry" }, async (request: Request) =>
      reads ? request.text() : "unread",
    );
    await entry(exampleRequest());
    const capsule = await lastCapsule(hc);
    reads = true;
    const result = await replay(capsule, entry);
    expect(result.verdict).toBe("diverged");
    expect(result.outcome).toMatchObject({ status: "error", error: { code: "effect-not-recorded" } });
  });

  test("nor outside of one", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async (_request: Request, _blob: Blob) => "unread");
    await entry(exampleRequest(), new Blob(["x"]));
    const [request, blob] = inputOf(await lastCapsule(hc)) as [Request, Blob];
    const absent = { code: "content-not-recorded" };
    await expect(request.json()).rejects.toMatchObject(absent);
    await expect(blob.text()).rejects.toMatchObject(absent);
    await expect(Blob.prototype.text.call(blob)).rejects.toMatchObject(absent);
  });
});

describe("G1: the platform", () => {
  test("is as it was once the last instance is closed, and looks so before", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, (request: Request) => request.text());
    await entry(exampleRequest());
    for (const [type, name] of [
      [Blob, "text"],
      [Request, "json"],
      [Response, "clone"],
    ] as const) {
      const method = Reflect.get(type.prototype, name) as (...input: unknown[]) => unknown;
      expect(method).not.toBe(Reflect.get(original, name));
      expect([method.name, method.length]).toEqual([name, 0]);
    }
    await hc.close();
    expect(currentMethods()).toEqual(original);
  });

  test("a method called on something else fails as it did", async () => {
    const hc = instance();
    const entry = hc.pipeline({ name: "entry" }, async (request: Request) => {
      await request.text();
      const attempts = [Request.prototype.text.call({} as Request), Blob.prototype.text.call({} as Blob)];
      return (await Promise.allSettled(attempts)).map(({ status }) => status);
    });
    expect((await recordAndReplay(hc, entry, exampleRequest())).value).toEqual(["rejected", "rejected"]);
  });
});
