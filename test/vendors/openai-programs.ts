import OpenAI, {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  OpenAIError,
  RateLimitError,
} from "openai";
import { abortAfterRequest, type Program, SECRETS, type Setting, told } from "./program.js";

const ask = (content: string, model = "whole-1") => ({
  model,
  messages: [{ role: "user" as const, content }],
});
const tools = [
  {
    type: "function" as const,
    function: { name: "forecast", parameters: { type: "object", properties: {} } },
  },
];

const ERRORS = [
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  OpenAIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
];

const clientOf = ({ url }: Setting, options: ConstructorParameters<typeof OpenAI>[0] = {}): OpenAI =>
  new OpenAI({ apiKey: SECRETS.openai, baseURL: `${url}/v1`, ...options });

/** A program whose errors are noted, and are its result. */
const program = (
  body: (client: OpenAI, see: Setting["see"], ...input: never[]) => Promise<unknown>,
  { options, ...rest }: Omit<Program, "make"> & { options?: ConstructorParameters<typeof OpenAI>[0] } = {},
): Program => ({
  ...rest,
  make: (setting) => {
    const client = clientOf(setting, options);
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
const broken = { kind: "status", status: 500, headers: { "retry-after-ms": "2" } } as const;

export const openaiPrograms: Readonly<Record<string, Program>> = {
  "a chat completion": program(async (client, see) => {
    const completion = await client.chat.completions.create(ask("plain"));
    see(completion._request_id);
    return completion;
  }),

  "a chat completion, streamed": program(async (client, see) =>
    readAll(await client.chat.completions.create({ ...ask("stream"), stream: true }), see),
  ),

  "a chat completion, streamed in pieces of any size": program(async (client, see) =>
    readAll(await client.chat.completions.create({ ...ask("stream", "split-2"), stream: true }), see),
  ),

  "the bytes of a stream, chunk by chunk": program(async (client, see) => {
    const response = await client.chat.completions
      .create({ ...ask("bytes", "split-3"), stream: true })
      .asResponse();
    see([response.status, response.ok, response.url, [...response.headers.keys()]]);
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "read";
      see(Buffer.from(value as Uint8Array).toString("latin1"));
    }
  }),

  "tool calls, by the streaming helper": program(async (client, see) => {
    const stream = client.chat.completions.stream({ ...ask("tools", "split-1"), tools });
    stream.on("chunk", (chunk) => see(chunk.choices[0]?.delta));
    stream.on("tool_calls.function.arguments.done", (call) => see(call));
    const completion = await stream.finalChatCompletion();
    return completion.choices[0]?.message.tool_calls;
  }),

  "the streaming helper, with its events": program(async (client, see) => {
    const stream = client.chat.completions.stream(ask("helper", "whole-2"));
    stream.on("connect", () => see("connected"));
    stream.on("content.delta", ({ delta, snapshot }) => see([delta, snapshot]));
    stream.on("end", () => see("ended"));
    see(await stream.finalContent());
    return stream.finalChatCompletion();
  }),

  "the streaming helper, iterated": program(async (client, see) => {
    const stream = client.chat.completions.stream(ask("helper", "split-1"));
    const count = await readAll(stream, see);
    return [count, await stream.finalContent()];
  }),

  "a response": program(async (client) => {
    const response = await client.responses.create({ model: "whole-1", input: "plain" });
    return [response.id, response.output_text];
  }),

  "a response, streamed": program(async (client, see) =>
    readAll(await client.responses.create({ model: "split-1", input: "stream", stream: true }), see),
  ),

  "a response, by the streaming helper": program(async (client, see) => {
    const stream = client.responses.stream({ model: "whole-1", input: "helper" });
    stream.on("response.output_text.delta", ({ delta }) => see(delta));
    return (await stream.finalResponse()).output_text;
  }),

  "a stream that is left early": program(async (client, see) => {
    const stream = await client.chat.completions.create({ ...ask("left", "whole-5"), stream: true });
    for await (const chunk of stream) {
      see(chunk.id);
      break;
    }
    return stream.controller.signal.aborted;
  }),

  "a stream that is aborted by the program": program(async (client, see) => {
    const stream = await client.chat.completions.create({ ...ask("aborted", "whole-5"), stream: true });
    let count = 0;
    for await (const chunk of stream) {
      see(chunk.choices[0]?.delta);
      if (++count === 2) stream.controller.abort();
    }
    return count;
  }),

  "a stream that the caller's signal aborts": program(
    async (client, see, options: { signal: AbortSignal }) =>
      readAll(
        await client.chat.completions.create(
          { ...ask("signal", "whole-20"), stream: true },
          { signal: options.signal },
        ),
        see,
      ),
    { input: (server) => [{ signal: abortAfterRequest(server, 70) }] },
  ),

  "a request that the caller's signal aborts": program(
    (client, _see, signal: AbortSignal) => client.chat.completions.create(ask("signal"), { signal }),
    { input: (server) => [abortAfterRequest(server, 20)], mishaps: [{ kind: "stall", milliseconds: 500 }] },
  ),

  "a request that the client's timeout ends": program(
    (client) => client.chat.completions.create(ask("timeout"), { timeout: 20, maxRetries: 0 }),
    { mishaps: [{ kind: "stall", milliseconds: 300 }] },
  ),

  "a request that succeeds after the client's timeout": program(
    async (client) => (await client.chat.completions.create(ask("timeout"), { timeout: 200 })).id,
    { mishaps: [{ kind: "stall", milliseconds: 600 }] },
  ),

  "a request that succeeds after a 429 with retry-after": program(
    async (client) => (await client.chat.completions.create(ask("429"))).id,
    { mishaps: [{ ...rateLimited, headers: { "retry-after": "0.02" } }] },
  ),

  "a request that succeeds after a 429 and the client's own backoff": program(
    async (client) => (await client.chat.completions.create(ask("429"))).id,
    { mishaps: [rateLimited] },
  ),

  "a stream that begins after a dropped connection": program(
    async (client, see) =>
      readAll(await client.chat.completions.create({ ...ask("drop"), stream: true }), see),
    { mishaps: [{ kind: "drop" }] },
  ),

  "a connection that is always dropped": program(
    (client) => client.chat.completions.create(ask("drop"), { maxRetries: 0 }),
    { mishaps: [{ kind: "drop" }] },
  ),

  "a connection that is dropped in mid-stream": program(
    async (client, see) =>
      readAll(await client.chat.completions.create({ ...ask("cut", "whole-2"), stream: true }), see),
    { mishaps: [{ kind: "cut" }] },
  ),

  "a stream that says that it failed": program(
    async (client, see) =>
      readAll(await client.chat.completions.create({ ...ask("error"), stream: true }), see),
    { mishaps: [{ kind: "error-event" }] },
  ),

  "a bad request": program((client) => client.chat.completions.create(ask("400")), {
    mishaps: [{ kind: "status", status: 400 }],
  }),

  "a server that keeps failing": program((client) => client.chat.completions.create(ask("500")), {
    mishaps: [broken, broken, { ...broken, status: 503, text: "<h1>Bad Gateway</h1>" }],
  }),

  "an error that leaves the run": {
    mishaps: [{ kind: "status", status: 401 }],
    make: (setting) => {
      const client = clientOf(setting);
      return () => client.chat.completions.create(ask("401"));
    },
  },

  "two models in a race": program(async (client, see) => {
    const answer = async (model: string): Promise<string> => {
      const stream = await client.chat.completions.create({ ...ask("race", model), stream: true });
      for await (const chunk of stream) see([model, chunk.choices[0]?.delta]);
      return model;
    };
    const both = [answer("split-4"), answer("whole-3")];
    const first = await Promise.race(both);
    return [first, await Promise.all(both)];
  }),

  "a race whose loser is aborted": program(async (client, see) => {
    const answer = async (model: string, signal: AbortSignal): Promise<string> => {
      const stream = await client.chat.completions.create(
        { ...ask("race", model), stream: true },
        { signal },
      );
      for await (const chunk of stream) see([model, chunk.choices[0]?.delta]);
      return model;
    };
    const loser = new AbortController();
    const both = [answer("whole-1", new AbortController().signal), answer("whole-30", loser.signal)];
    const first = await Promise.race(both);
    loser.abort();
    return [first, (await Promise.allSettled(both)).map(({ status }) => status)];
  }),

  "the data with its response": program(async (client, see) => {
    const { data, response, request_id } = await client.chat.completions.create(ask("both")).withResponse();
    see([request_id, response.status, response.headers.get("content-type")]);
    return data;
  }),

  "a stream that is split in two": program(async (client, see) => {
    const stream = await client.chat.completions.create({ ...ask("tee", "split-2"), stream: true });
    const [left, right] = stream.tee();
    return Promise.all([
      readAll(left, (chunk) => see(["left", chunk])),
      readAll(right, (chunk) => see(["right", chunk])),
    ]);
  }),

  "a stage that returns the client's promise": {
    make: (setting) => {
      const client = clientOf(setting);
      const answer = setting.hc.infer(
        { name: "answer", model: { name: "m", version: "1" } },
        (content: string) => client.chat.completions.create(ask(content)),
      );
      return async () => {
        const completion = await answer("one");
        setting.see(completion._request_id);
        const { request_id } = await answer("two").withResponse();
        return [completion.id, request_id];
      };
    },
  },

  "a stage that returns the client's stream": {
    make: (setting) => {
      const client = clientOf(setting);
      const answer = setting.hc.infer(
        { name: "answer", model: { name: "m", version: "1" } },
        (content: string) => client.chat.completions.create({ ...ask(content, "split-2"), stream: true }),
      );
      return async () => readAll(await answer("stream"), setting.see);
    },
  },

  "a root that returns the client's promise": {
    make: (setting) => {
      const client = clientOf(setting);
      return () => client.chat.completions.create(ask("promise"));
    },
  },
};
