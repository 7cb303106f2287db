import { mcpCapture } from "hindcast/mcp";
import type { Row } from "./row.js";

const MODEL = "split-2";
const messages = (id: number) => [{ role: "user" as const, content: `question ${id}` }];

export const modelClients: readonly Row[] = [
  {
    name: "openai: an answer, a stream",
    packages: ["openai"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { default: OpenAI } = await import("openai");
      const openai = new OpenAI({ apiKey: "x", baseURL: `${models}/v1` });
      return {
        run: async (id) => {
          const whole = await openai.chat.completions.create({ model: MODEL, messages: messages(id) });
          let text = "";
          const stream = await openai.responses.create({
            model: MODEL,
            input: `question ${id}`,
            stream: true,
          });
          for await (const event of stream)
            if (event.type === "response.output_text.delta") text += event.delta;
          return [whole.choices[0]?.message.content, text];
        },
      };
    },
  },
  {
    name: "@anthropic-ai/sdk: an answer, a stream",
    packages: ["@anthropic-ai/sdk"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { default: Anthropic } = await import("@anthropic-ai/sdk");
      const anthropic = new Anthropic({ apiKey: "x", baseURL: models });
      const asked = (id: number) => ({ model: MODEL, max_tokens: 99, messages: messages(id) });
      return {
        run: async (id) => {
          const whole = await anthropic.messages.create(asked(id));
          const streamed = await anthropic.messages.stream(asked(id)).finalMessage();
          return [whole.content, streamed.content] as unknown;
        },
      };
    },
  },
  {
    name: "ai: generateText, streamText",
    packages: ["ai", "@ai-sdk/openai"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { generateText, streamText } = await import("ai");
      const { createOpenAI } = await import("@ai-sdk/openai");
      const model = createOpenAI({ apiKey: "x", baseURL: `${models}/v1` }).chat(MODEL);
      return {
        run: async (id) => {
          const whole = await generateText({ model, prompt: `question ${id}` });
          let text = "";
          for await (const piece of streamText({ model, prompt: `again ${id}` }).textStream) text += piece;
          return [whole.text, text];
        },
      };
    },
  },
  {
    name: "ai: with telemetry",
    packages: ["ai", "@ai-sdk/openai", "@opentelemetry/sdk-trace-node"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { NodeTracerProvider } = await import("@opentelemetry/sdk-trace-node");
      const { generateText } = await import("ai");
      const { createOpenAI } = await import("@ai-sdk/openai");
      const provider = new NodeTracerProvider();
      provider.register();
      const model = createOpenAI({ apiKey: "x", baseURL: `${models}/v1` }).chat(MODEL);
      return {
        run: async (id) => {
          const { text } = await generateText({
            model,
            prompt: `question ${id}`,
            experimental_telemetry: { isEnabled: true },
          });
          return [text, Math.random()];
        },
        close: () => provider.shutdown(),
      };
    },
  },
  {
    name: "@langchain/openai: invoke, stream",
    packages: ["@langchain/openai", "@langchain/core"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { ChatOpenAI } = await import("@langchain/openai");
      const chat = new ChatOpenAI({
        apiKey: "x",
        model: MODEL,
        configuration: { baseURL: `${models}/v1` },
      });
      return {
        run: async (id) => {
          const whole = await chat.invoke(`question ${id}`);
          let text = "";
          for await (const piece of await chat.stream(`again ${id}`)) text += piece.text;
          return [whole.text, text];
        },
      };
    },
  },
  {
    name: "@langchain/langgraph: two nodes in parallel",
    packages: ["@langchain/langgraph", "@langchain/openai", "@langchain/core"],
    madeExact: "nothing",
    make: async (_hc, { models }) => {
      const { Annotation, END, START, StateGraph } = await import("@langchain/langgraph");
      const { ChatOpenAI } = await import("@langchain/openai");
      const chat = new ChatOpenAI({
        apiKey: "x",
        model: MODEL,
        configuration: { baseURL: `${models}/v1` },
      });
      const State = Annotation.Root({
        question: Annotation<string>(),
        answers: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
      });
      const ask = (manner: string) => async (state: { question: string }) => ({
        answers: [(await chat.invoke(`${manner}: ${state.question}`)).text],
      });
      const graph = new StateGraph(State)
        .addNode("short", ask("short"))
        .addNode("long", ask("long"))
        .addEdge(START, "short")
        .addEdge(START, "long")
        .addEdge("short", END)
        .addEdge("long", END)
        .compile();
      return { run: async (id) => (await graph.invoke({ question: `question ${id}` })).answers };
    },
  },
  ...[false, true].map(
    (declared): Row => ({
      name: `@modelcontextprotocol/sdk: over HTTP; the first run connects${declared ? ", declared" : ""}`,
      packages: ["@modelcontextprotocol/sdk"],
      madeExact: `\`mcpCapture(Client, McpError)\`${declared ? ', `hc.shared("connect", connect)`' : ""}`,
      captures: async () => {
        const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
        const { McpError } = await import("@modelcontextprotocol/sdk/types.js");
        return { mcp: mcpCapture(Client, McpError) };
      },
      make: async (hc, { mcp }) => {
        const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
        const { StreamableHTTPClientTransport } = await import(
          "@modelcontextprotocol/sdk/client/streamableHttp.js"
        );
        const client = new Client({ name: "field", version: "1.0.0" });
        let connecting: Promise<void> | undefined;
        const connect = (): Promise<void> =>
          (connecting ??= client.connect(new StreamableHTTPClientTransport(new URL(mcp)) as never));
        const connected = declared ? hc.shared("connect", connect) : connect;
        return {
          run: async (id) => {
            await connected();
            return [
              await client.callTool({ name: "add", arguments: { a: id, b: 1 } }),
              await client.readResource({ uri: "clock://now" }),
            ];
          },
          close: () => client.close(),
        };
      },
    }),
  ),
];
