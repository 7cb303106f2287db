/**
 * Services under load, with the garbage collector forced all the time: Fastify, Express, Hono, tRPC and a bare handler, with
 * streams, clients that hang up in the middle, and clients that read slowly. Prints a table, and ends with 1 where
 * something was wrong: an answer, a request that hung, a run that did not end, memory that grew, or a kept run that
 * does not replay identical.
 *
 * `npm run test:field:load` gives each 60 seconds; the first argument is another number. Needs `--expose-gc`.
 */
import http, { type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast, keep, type Hindcast } from "hindcast";
import { explain, replay } from "hindcast/replay";

const SECONDS = Number(process.argv[2] ?? 60);
const CONNECTIONS = 20;
/** Of a hundred clients. */
const HANG_UPS = 10;
const SLOW = 10;
const PATIENCE_MILLISECONDS = 10_000;
/** Replayed of each service: replays are not what is under load here. */
const MOST_REPLAYS = 400;
const MOST_GROWTH_MEGABYTES = 24;

const collect = globalThis.gc;
if (collect === undefined) throw new Error("Run it with --expose-gc.");

type Root = (...input: never[]) => unknown;

interface Service {
  readonly roots: Readonly<Record<string, Root>>;
  listen(): Promise<Server>;
}

interface Ask {
  readonly items: number;
}

/** What every service answers: as many items as it was asked for, and how many there were. */
const itemOf = (item: number): string => `{"item":${item}}\n`;
const answerTo = ({ items }: Ask): string =>
  `${Array.from({ length: items }, (_, item) => itemOf(item)).join("")}{"items":${items}}\n`;

/** The stages that all services share: a model that answers in pieces. */
function pipelineParts(hc: Hindcast) {
  const tokens = hc.effect({ name: "model.tokens" }, async function* ({ items }: Ask) {
    for (let item = 0; item < items; item++) {
      if (item % 3 === 1) await sleep(1);
      yield itemOf(item);
    }
  });
  const generate = hc.infer(
    { name: "generate", model: { name: "m", version: "1" } },
    async function* (ask: Ask) {
      let items = 0;
      for await (const token of tokens(ask)) {
        items += 1;
        yield token;
      }
      yield `{"items":${items}}\n`;
    },
  );
  const whole = async (ask: Ask): Promise<string> => {
    let text = "";
    for await (const token of generate(ask)) text += token;
    return text;
  };
  return { generate, whole };
}

function webStream(source: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await source.return(undefined);
    },
  });
}

async function bodyOf(request: IncomingMessage): Promise<Ask> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text) as Ask;
}

const listening = (server: Server): Promise<Server> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));

/** What a handler throws when its client has gone is nobody's mistake. */
const gone = (error: unknown): boolean =>
  /abort|premature|ECONNRESET|closed/i.test(String((error as Error).code ?? error));

const SERVICES: Readonly<
  Record<string, (hc: Hindcast, wrong: (error: unknown) => void) => Promise<Service>>
> = {
  "bare handler": async (hc, wrong) => {
    const { generate } = pipelineParts(hc);
    const handle = hc.pipeline(
      { name: "handle" },
      async (request: IncomingMessage, response: http.ServerResponse): Promise<void> => {
        const ask = await bodyOf(request);
        for await (const token of generate(ask)) {
          if (response.destroyed) return;
          response.write(token);
        }
        response.end();
      },
    );
    const server = http.createServer((request, response) => {
      handle(request, response).catch((error: unknown) => {
        response.destroy();
        if (!gone(error)) wrong(error);
      });
    });
    return { roots: { handle }, listen: () => listening(server) };
  },

  "bare handler, Response": async (hc, wrong) => {
    const { generate } = pipelineParts(hc);
    const handle = hc.pipeline(
      { name: "handle" },
      async (ask: Ask) =>
        new Response(webStream(generate(ask)), { headers: { "x-items": String(ask.items) } }),
    );
    /** As an adapter does it, which keeps the body and not the response. */
    const bodyFor = async (ask: Ask): Promise<ReadableStream<Uint8Array>> =>
      (await handle(ask)).body as ReadableStream<Uint8Array>;
    const server = http.createServer((request, response) => {
      const serve = async (): Promise<void> => {
        const reader = (await bodyFor(await bodyOf(request))).getReader();
        response.on("close", () => void reader.cancel().catch(() => undefined));
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          if (!response.write(value) && !response.destroyed) {
            await new Promise<void>((resolve) => {
              response.once("drain", resolve);
              response.once("close", resolve);
            });
          }
        }
        response.end();
      };
      serve().catch((error: unknown) => {
        response.destroy();
        if (!gone(error)) wrong(error);
      });
    });
    return { roots: { handle }, listen: () => listening(server) };
  },

  Express: async (hc, wrong) => {
    const { default: express } = await import("express");
    type Handler = import("express").RequestHandler;
    const { generate } = pipelineParts(hc);
    const handle = hc.pipeline({ name: "handle" }, (async (request, response) => {
      response.set("content-type", "application/x-ndjson");
      for await (const token of generate(request.body as Ask)) {
        if (response.destroyed) return;
        response.write(token);
      }
      response.end();
    }) satisfies Handler);
    const app = express();
    app.post("/", express.json({ type: () => true }), (request, response, next) => {
      handle(request, response, next).catch((error: unknown) => {
        response.destroy();
        if (!gone(error)) wrong(error);
      });
    });
    // What express.json says of a client that has gone.
    app.use(((error, _request, response, _next) => {
      response.destroy();
      if (!gone(error)) wrong(error);
    }) satisfies import("express").ErrorRequestHandler);
    return { roots: { handle }, listen: () => listening(http.createServer(app)) };
  },

  Fastify: async (hc) => {
    const { default: fastify } = await import("fastify");
    const { generate } = pipelineParts(hc);
    const handle = hc.pipeline({ name: "handle" }, (ask: Ask) => generate(ask));
    const app = fastify();
    app.post("/", (request, reply) => {
      void reply
        .type("application/x-ndjson")
        .send(Readable.from(handle(request.body as Ask), { objectMode: false }));
    });
    await app.ready();
    return { roots: { handle }, listen: () => listening(app.server) };
  },

  Hono: async (hc) => {
    const { Hono } = await import("hono");
    const { getRequestListener } = await import("@hono/node-server");
    const { generate } = pipelineParts(hc);
    const handle = hc.pipeline({ name: "handle" }, async (request: Request) => {
      const ask = (await request.json()) as Ask;
      return new Response(webStream(generate(ask)));
    });
    const app = new Hono();
    app.post("/", (context) => handle(context.req.raw));
    app.onError((_error, context) => context.text("", 499 as never));
    const listener = getRequestListener(app.fetch);
    return {
      roots: { handle },
      listen: () => listening(http.createServer((...input) => void listener(...input))),
    };
  },

  tRPC: async (hc) => {
    const { initTRPC } = await import("@trpc/server");
    const { fetchRequestHandler } = await import("@trpc/server/adapters/fetch");
    const { whole } = pipelineParts(hc);
    const handle = hc.pipeline({ name: "handle" }, (ask: Ask) => whole(ask));
    const t = initTRPC.create();
    const router = t.router({
      answer: t.procedure.input((input) => input as Ask).mutation(({ input }) => handle(input)),
    });
    const server = http.createServer((incoming, response) => {
      const serve = async (): Promise<void> => {
        const body = JSON.stringify(await bodyOf(incoming));
        const request = new Request("http://local/answer", {
          method: "POST",
          body,
          headers: { "content-type": "application/json" },
        });
        const answer = await fetchRequestHandler({ endpoint: "/", req: request, router });
        const { result } = (await answer.json()) as { result: { data: string } };
        response.end(result.data);
      };
      serve().catch(() => response.destroy());
    });
    return { roots: { handle }, listen: () => listening(server) };
  },
};

interface Tally {
  asked: number;
  answered: number;
  hungUp: number;
  wrong: number;
  hung: number;
}

/** A request, as a client of one of three kinds makes it. */
function ask(port: number, agent: http.Agent, tally: Tally, number: number): Promise<void> {
  const kind =
    number % 100 < HANG_UPS ? "hangs up" : number % 100 < HANG_UPS + SLOW ? "reads slowly" : "reads";
  const items = number % 7;
  tally.asked += 1;
  return new Promise((resolve) => {
    let text = "";
    let over = false;
    const end = (count: "answered" | "hungUp" | "wrong" | "hung"): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      tally[count] += 1;
      resolve();
    };
    const request = http.request({
      port,
      host: "127.0.0.1",
      method: "POST",
      agent,
      headers: { "content-type": "application/json" },
    });
    const timer = setTimeout(() => {
      end("hung");
      request.destroy();
    }, PATIENCE_MILLISECONDS);
    request.on("error", () => end(kind === "hangs up" ? "hungUp" : "wrong"));
    request.on("response", (response) => {
      response.on("error", () => end(kind === "hangs up" ? "hungUp" : "wrong"));
      response.on("data", (chunk: Buffer) => {
        text += String(chunk);
        if (kind === "hangs up") {
          request.destroy();
          end("hungUp");
        } else if (kind === "reads slowly") {
          response.pause();
          setTimeout(() => response.resume(), 2);
        }
      });
      response.on("end", () =>
        end(text === answerTo({ items }) && response.statusCode === 200 ? "answered" : "wrong"),
      );
    });
    const body = JSON.stringify({ items });
    // Some go before they have asked, and some ask in pieces.
    if (kind === "hangs up" && number % 2 === 0) {
      request.setHeader("content-length", body.length);
      request.write(body.slice(0, 5));
      setTimeout(() => {
        request.destroy();
        end("hungUp");
      }, 2);
    } else if (number % 3 === 0) {
      request.write(body.slice(0, 5));
      setTimeout(() => request.end(body.slice(5)), 1);
    } else request.end(body);
  });
}

const megabytes = (): number => process.memoryUsage().heapUsed / 1e6;

async function settle(hc: Hindcast): Promise<void> {
  for (let waited = 0; waited < 300 && hc.stats().runs.ended < hc.stats().runs.started; waited++) {
    collect?.();
    await sleep(10);
  }
}

async function underLoad(name: string, seconds: number): Promise<readonly string[]> {
  const problems: string[] = [];
  const hc = hindcast({ service: "load", keep: [keep.sample(1)], logger: { warn: () => undefined } });
  const service = await (SERVICES[name] as (typeof SERVICES)[string])(hc, (error) => {
    if (problems.length < 5) problems.push(String((error as Error).stack ?? error));
  });
  const server = await service.listen();
  const { port } = server.address() as AddressInfo;
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const tally: Tally = { asked: 0, answered: 0, hungUp: 0, wrong: 0, hung: 0 };
  const collecting = setInterval(() => collect?.(), 1);
  const until = (share: number): number => Date.now() + seconds * share * 1000;
  const load = async (end: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        while (Date.now() < end) await ask(port, agent, tally, tally.asked);
      }),
    );
  };
  // What is compiled, pooled and kept by a store of bounded size is there after the first part.
  await load(until(0.4));
  await settle(hc);
  const before = megabytes();
  await load(until(0.6));
  await settle(hc);
  collect?.();
  const grown = megabytes() - before;
  clearInterval(collecting);
  agent.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await settle(hc);
  await hc.flush();
  const { runs } = hc.stats();
  const verdicts = { identical: 0, other: 0 };
  for await (const capsule of hc.store.find()) {
    if (verdicts.identical + verdicts.other >= MOST_REPLAYS) break;
    const result = await replay(capsule, service.roots[capsule.summary.pipeline] as Root);
    if (result.verdict === "identical") verdicts.identical += 1;
    else {
      verdicts.other += 1;
      if (problems.length < 5) problems.push(explain(result));
    }
  }
  await hc.close();
  const columns = [
    name,
    tally.asked,
    tally.answered,
    tally.hungUp,
    tally.wrong,
    tally.hung,
    runs.started,
    runs.started - runs.ended,
    runs.inexact,
    `${verdicts.identical}/${verdicts.identical + verdicts.other}`,
    `${grown.toFixed(1)} MB`,
  ];
  console.log(columns.map((column, index) => String(column).padEnd(WIDTHS[index] ?? 10)).join(""));
  if (tally.wrong > 0) problems.push(`${tally.wrong} answers were wrong`);
  if (tally.hung > 0) problems.push(`${tally.hung} requests hung`);
  if (tally.answered === 0) problems.push("nothing was answered");
  if (runs.ended !== runs.started) problems.push(`${runs.started - runs.ended} runs did not end`);
  if (runs.inexact > 0) problems.push(`${runs.inexact} runs are not exact`);
  if (verdicts.other > 0 || verdicts.identical === 0)
    problems.push(`${verdicts.other} replays are not identical`);
  if (grown > MOST_GROWTH_MEGABYTES) problems.push(`memory has grown by ${grown.toFixed(1)} MB`);
  return problems.map((problem) => `${name}: ${problem}`);
}

const WIDTHS = [24, 9, 10, 9, 7, 6, 9, 9, 9, 11];
const HEADERS = [
  "service",
  "asked",
  "answered",
  "hung up",
  "wrong",
  "hung",
  "runs",
  "open",
  "inexact",
  "identical",
  "growth",
];
console.log(HEADERS.map((header, index) => header.padEnd(WIDTHS[index] ?? 10)).join(""));
const problems: string[] = [];
for (const name of Object.keys(SERVICES)) problems.push(...(await underLoad(name, SECONDS)));
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "load: passed" : "load: failed");
process.exit(problems.length === 0 ? 0 : 1);
