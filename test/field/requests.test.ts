/** Handlers of Express and Hono as roots: their own requests and responses, replayed with the server gone. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { field } from "./field.js";

type Roots = Readonly<Record<string, (...input: never[]) => unknown>>;

async function allIdentical(hc: ReturnType<typeof hindcast>, roots: Roots, count: number): Promise<void> {
  await hc.flush();
  let found = 0;
  for await (const stored of hc.store.find()) {
    found += 1;
    const { pipeline } = stored.summary;
    expect(readCapsule(stored).replayable, pipeline).toEqual({ exact: true, reasons: [] });
    const result = await replay(stored, roots[pipeline] as (...input: never[]) => unknown);
    expect(result.verdict, `${pipeline}: ${explain(result)}`).toBe("identical");
    expect(result.outcome).toEqual(result.recorded);
  }
  expect(found).toBe(count);
  await hc.close();
}

const close = (server: Server): Promise<unknown> =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

await field("Express", { packages: ["express"] }, () => {
  test("handlers, middleware and errors", async () => {
    const { default: express } = await import("express");
    type Handler = import("express").RequestHandler;
    const hc = hindcast({ service: "express" });
    const roots = {
      json: hc.pipeline({ name: "json" }, (async (request, response) => {
        await sleep(1);
        response.status(201).set("x-own", request.get("x-own") ?? "none");
        response.json({
          query: request.query["q"],
          parameter: request.params["id"],
          body: request.body as unknown,
          seen: [request.ip, request.path, request.protocol, request.accepts("json"), request.is("json")],
          chance: Math.random(),
        });
      }) satisfies Handler),
      pieces: hc.pipeline({ name: "pieces" }, (async (request, response) => {
        let text = "";
        for await (const chunk of request) text += String(chunk);
        for (const letter of text) {
          response.write(letter);
          await sleep(1);
        }
        response.end();
      }) satisfies Handler),
      guard: hc.pipeline({ name: "guard" }, (async (request, response, next) => {
        await sleep(1);
        if (request.query["let"] === "in") next();
        else response.redirect("/elsewhere");
      }) satisfies Handler),
      fails: hc.pipeline({ name: "fails" }, (async (_request, _response, next) => {
        await sleep(1);
        next(new RangeError("by the handler"));
      }) satisfies Handler),
    };
    const app = express();
    app.set("env", "test");
    app.post("/json/:id", express.json(), roots.json);
    app.post("/pieces", roots.pieces);
    app.get("/guarded", roots.guard, (_request, response) => void response.send("in"));
    app.get("/fails", roots.fails);
    const server = await new Promise<Server>((resolve) => {
      const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
    });
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const headers = { "content-type": "application/json", "x-own": "yes" };
    const answers = [
      await fetch(`${address}/json/7?q=a`, { method: "POST", headers, body: '{"n":[1]}' }),
      await fetch(`${address}/pieces`, { method: "POST", body: "pieces" }),
      await fetch(`${address}/guarded?let=in`),
      await fetch(`${address}/guarded`, { redirect: "manual" }),
      await fetch(`${address}/fails`),
    ];
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 302, 500]);
    expect(texts.slice(1, 3)).toEqual(["pieces", "in"]);
    await close(server);
    await allIdentical(hc, roots, 5);
  });
});

await field("Hono", { packages: ["hono", "@hono/node-server"] }, () => {
  test("its request as it becomes one, by each way of reading", async () => {
    const { Hono } = await import("hono");
    const { serve } = await import("@hono/node-server");
    const hc = hindcast({ service: "hono" });
    const roots = {
      json: hc.pipeline({ name: "json" }, async (request: Request) => [await request.json(), Math.random()]),
      text: hc.pipeline({ name: "text" }, async (request: Request) => [
        await request.text(),
        request.headers.get("x-own"),
      ]),
      bytes: hc.pipeline(
        { name: "bytes" },
        async (request: Request) => (await request.arrayBuffer()).byteLength,
      ),
      stream: hc.pipeline({ name: "stream" }, async (request: Request) => {
        let length = 0;
        for await (const chunk of request.body as ReadableStream<Uint8Array>) length += chunk.length;
        return length;
      }),
      head: hc.pipeline({ name: "head" }, async (request: Request) => [
        request.method,
        new URL(request.url).search,
      ]),
      answers: hc.pipeline({ name: "answers" }, async (request: Request) => {
        const { n } = (await request.json()) as { n: number };
        const encoder = new TextEncoder();
        return new Response(
          new ReadableStream<Uint8Array>({
            async start(controller) {
              for (let item = 0; item < n; item++) {
                await sleep(1);
                controller.enqueue(encoder.encode(`${Math.random()};`));
              }
              controller.close();
            },
          }),
        );
      }),
    };
    const app = new Hono();
    for (const name of ["json", "text", "bytes", "stream", "head"] as const) {
      app.post(`/${name}`, async (context) => context.json((await roots[name](context.req.raw)) as object));
    }
    app.post("/answers", (context) => roots.answers(context.req.raw));
    const server = await new Promise<Server>((resolve) => {
      const listening = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
        resolve(listening as Server),
      );
    });
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const name of Object.keys(roots)) {
      const answer = await fetch(`${address}/${name}?q=1`, {
        method: "POST",
        body: '{"n":3}',
        headers: { "x-own": "a" },
      });
      expect(answer.status, name).toBe(200);
      await answer.text();
    }
    await close(server);
    await allIdentical(hc, roots, Object.keys(roots).length);
  });
});

await field("Fastify", { packages: ["fastify"] }, () => {
  test("its request and its reply", async () => {
    const { default: fastify } = await import("fastify");
    type Request = import("fastify").FastifyRequest;
    type Reply = import("fastify").FastifyReply;
    const hc = hindcast({ service: "fastify" });
    const roots = {
      returns: hc.pipeline({ name: "returns" }, async (request: Request, reply: Reply) => {
        await sleep(1);
        request.log.info("seen");
        reply.code(201).header("x-own", request.headers["x-own"]);
        return {
          query: request.query,
          parameters: request.params,
          body: request.body,
          ip: request.ip,
          chance: Math.random(),
        };
      }),
      sends: hc.pipeline({ name: "sends" }, (request: Request, reply: Reply) => {
        void reply.type("text/plain").send(`${request.method} ${request.url} ${Math.random()}`);
      }),
    };
    const app = fastify();
    app.post("/returns/:id", roots.returns);
    app.post("/sends", roots.sends);
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    const headers = { "content-type": "application/json", "x-own": "yes" };
    const answers = [
      await fetch(`${address}/returns/7?q=a`, { method: "POST", headers, body: '{"n":[1]}' }),
      await fetch(`${address}/sends`, { method: "POST", headers, body: "{}" }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200]);
    expect(await answers[0]?.json()).toMatchObject({
      query: { q: "a" },
      parameters: { id: "7" },
      body: { n: [1] },
    });
    await answers[1]?.text();
    await app.close();
    await allIdentical(hc, roots, 2);
  });
});

await field("Koa", { packages: ["koa"] }, () => {
  test("its context", async () => {
    const { default: Koa } = await import("koa");
    type Context = import("koa").Context;
    const hc = hindcast({ service: "koa" });
    const roots = {
      handle: hc.pipeline({ name: "handle" }, async (context: Context) => {
        let text = "";
        for await (const chunk of context.req) text += String(chunk);
        context.set("x-own", context.get("x-own"));
        context.status = 201;
        context.body = {
          text,
          query: context.query["q"],
          ip: context.ip,
          path: context.path,
          chance: Math.random(),
        };
        return context.request.method;
      }),
    };
    const app = new Koa();
    app.use(roots.handle as never);
    const server = await new Promise<Server>((resolve) => {
      const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
    });
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = await fetch(`${address}/path?q=a`, {
      method: "POST",
      body: "sent",
      headers: { "x-own": "yes" },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("x-own")).toBe("yes");
    expect(await answer.json()).toMatchObject({ text: "sent", query: "a", path: "/path" });
    await close(server);
    await allIdentical(hc, roots, 1);
  });
});
