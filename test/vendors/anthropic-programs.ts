import Anthropic, {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AnthropicError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
} from "@anthropic-ai/sdk";
import { abortAfterRequest, type Program, SECRETS, type Setting, told } from "./program.js";

const ask = (content: string, model = "whole-1") => ({
  model,
  max_tokens: 100,
  messages: [{ role: "user" as const, content }],
});
const tools = [{ name: "forecast", input_schema: { type: "object" as const, properties: {} } }];

const ERRORS = [
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AnthropicError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
];

const clientOf = ({ url }: Setting): Anthropic => new Anthropic({ apiKey: SECRETS.anthropic, baseURL: url });

/** A program whose errors are noted, and are its result. */
const program = (
  body: (client: Anthropic, see: Setting["see"], ...input: never[]) => Promise<unknown>,
  rest: Omit<Program, "make"> = {},
): Program => ({
  ...rest,
  make: (setting) => {
    const client = clientOf(setting);
    return async (...input) => {
      try {
        return await body(client, setting.see, ...input);
      } catch (error) {
        setting.see(told(error, ERRORS));
        return "failed";
      }
    };
  },
});

async function readAll(stream: AsyncIterable<unknown>, see: Setting["see"]): Promise<number> {
  let count = 0;
  for await (const item of stream) {
    see(item);
    count += 1;
  }
  return count;
}

const rateLimited = { kind: "status", status: 429 } as const;
const broken = { kind: "status", status: 529, headers: { "retry-after-ms": "2" } } as const;

export const anthropicPrograms: Readonly<Record<string, Program>> = {
  "a message": program(async (client, see) => {
    const message = await client.messages.create(ask("plain"));
    see(message._request_id);
    return message;
  }),

  "a message, streamed": program(async (client, see) =>
    readAll(await client.messages.create({ ...ask("stream"), stream: true }), see),
  ),

  "a message, streamed in pieces of any size": program(async (client, see) =>
    readAll(await client.messages.create({ ...ask("stream", "split-2"), stream: true }), see),
  ),

  "the bytes of a stream, chunk by chunk": program(async (client, see) => {
    const response = await client.messages.create({ ...ask("bytes", "split-3"), stream: true }).asResponse();
    see([response.status, response.ok, response.url, [...response.headers.keys()]]);
    for await (const chunk of response.body!) see(Buffer.from(chunk as Uint8Array).toString("latin1"));
    return "read";
  }),

  "the streaming helper, with its events": program(async (client, see) => {
    const stream = client.messages.stream(ask("helper", "whole-2"));
    stream.on("connect", () => see("connected"));
    stream.on("text", (delta, snapshot) => see([delta, snapshot]));
    stream.on("streamEvent", ({ type }) => see(type));
    stream.on("end", () => see("ended"));
    see(await stream.finalText());
    see(stream.request_id);
    return stream.finalMessage();
  }),

  "tool use, by the streaming helper": program(async (client, see) => {
    const stream = client.messages.stream({ ...ask("tools", "split-1"), tools });
    stream.on("inputJson", (delta, snapshot) => see([delta, snapshot]));
    stream.on("contentBlock", (block) => see(block));
    return (await stream.finalMessage()).content;
  }),

  "the streaming helper, iterated": program(async (client, see) => {
    const stream = client.messages.stream(ask("helper", "split-1"));
    const count = await readAll(stream, see);
    return [count, await stream.finalText()];
  }),

  "a stream that is left early": program(async (client, see) => {
    const stream = await client.messages.create({ ...ask("left", "whole-5"), stream: true });
    for await (const event of stream) {
      see(event.type);
      break;
    }
    return stream.controller.signal.aborted;
  }),

  "the streaming helper, aborted by the program": program(async (client, see) => {
    const stream = client.messages.stream(ask("aborted", "whole-5"));
    let count = 0;
    for await (const event of stream) {
      see(event.type);
      if (++count === 4) stream.abort();
    }
    return count;
  }),

  "a stream that the caller's signal aborts": program(
    async (client, see, options: { signal: AbortSignal }) =>
      readAll(
        await client.messages.create(
          { ...ask("signal", "whole-20"), stream: true },
          { signal: options.signal },
        ),
        see,
      ),
    { input: (server) => [{ signal: abortAfterRequest(server, 70) }] },
  ),

  "a request that the caller's signal aborts": program(
    (client, _see, signal: AbortSignal) => client.messages.create(ask("signal"), { signal }),
    { input: (server) => [abortAfterRequest(server, 20)], mishaps: [{ kind: "stall", milliseconds: 500 }] },
  ),

  "a backoff that the caller's signal ends": program(
    (client, _see, signal: AbortSignal) => client.messages.create(ask("signal"), { signal }),
    {
      input: (server) => [abortAfterRequest(server, 20)],
      mishaps: [{ ...rateLimited, headers: { "retry-after": "1" } }],
    },
  ),

  "a request that the client's timeout ends": program(
    (client) => client.messages.create(ask("timeout"), { timeout: 20, maxRetries: 0 }),
    { mishaps: [{ kind: "stall", milliseconds: 300 }] },
  ),

  "a request that succeeds after the client's timeout": program(
    async (client) => (await client.messages.create(ask("timeout"), { timeout: 200 })).id,
    { mishaps: [{ kind: "stall", milliseconds: 600 }] },
  ),

  "a request that succeeds after a 429 with retry-after": program(
    async (client) => (await client.messages.create(ask("429"))).id,
    { mishaps: [{ ...rateLimited, headers: { "retry-after": "0.02" } }] },
  ),

  "a request that succeeds after a 429 and the client's own backoff": program(
    async (client) => (await client.messages.create(ask("429"))).id,
    { mishaps: [rateLimited] },
  ),

  "a stream that begins after a dropped connection": program(
    async (client, see) => readAll(await client.messages.create({ ...ask("drop"), stream: true }), see),
    { mishaps: [{ kind: "drop" }] },
  ),

  "a connection that is always dropped": program(
    (client) => client.messages.create(ask("drop"), { maxRetries: 0 }),
    { mishaps: [{ kind: "drop" }] },
  ),

  "a connection that is dropped in mid-stream": program(
    async (client, see) =>
      readAll(await client.messages.create({ ...ask("cut", "whole-2"), stream: true }), see),
    { mishaps: [{ kind: "cut" }] },
  ),

  "the streaming helper, of a connection that is dropped": program(
    async (client, see) => {
      const stream = client.messages.stream(ask("cut", "whole-2"));
      stream.on("text", (delta) => see(delta));
      return stream.finalMessage();
    },
    { mishaps: [{ kind: "cut" }] },
  ),

  "a stream that says that it failed": program(
    async (client, see) => readAll(await client.messages.create({ ...ask("error"), stream: true }), see),
    { mishaps: [{ kind: "error-event" }] },
  ),

  "a bad request": program((client) => client.messages.create(ask("400")), {
    mishaps: [{ kind: "status", status: 400 }],
  }),

  "a server that keeps failing": program((client) => client.messages.create(ask("500")), {
    mishaps: [broken, broken, { ...broken, status: 503, text: "<h1>Bad Gateway</h1>" }],
  }),

  "an error that leaves the run": {
    mishaps: [{ kind: "status", status: 401 }],
    make: (setting) => {
      const client = clientOf(setting);
      return () => client.messages.create(ask("401"));
    },
  },

  "two models in a race": program(async (client, see) => {
    const answer = async (model: string): Promise<string> => {
      const stream = client.messages.stream(ask("race", model));
      stream.on("text", (delta) => see([model, delta]));
      await stream.done();
      return model;
    };
    const both = [answer("split-4"), answer("whole-3")];
    const first = await Promise.race(both);
    return [first, await Promise.all(both)];
  }),

  "the data with its response": program(async (client, see) => {
    const { data, response, request_id } = await client.messages.create(ask("both")).withResponse();
    see([request_id, response.status, response.headers.get("content-type")]);
    return data;
  }),

  "a stage that returns the client's promise": {
    make: (setting) => {
      const client = clientOf(setting);
      const answer = setting.hc.infer(
        { name: "answer", model: { name: "m", version: "1" } },
        (content: string) => client.messages.create(ask(content)),
      );
      return async () => {
        const message = await answer("one");
        setting.see(message._request_id);
        const { request_id } = await answer("two").withResponse();
        return [message.id, request_id];
      };
    },
  },

  "a stage that returns the client's stream": {
    make: (setting) => {
      const client = clientOf(setting);
      const answer = setting.hc.infer(
        { name: "answer", model: { name: "m", version: "1" } },
        (content: string) => client.messages.create({ ...ask(content, "split-2"), stream: true }),
      );
      return async () => readAll(await answer("stream"), setting.see);
    },
  },
};
