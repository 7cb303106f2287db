/**
 * What a model server says, in the words of the two vendors' protocols. All that a model would choose is
 * drawn at random, so that a request that is made twice is answered in two ways.
 */
import { randomUUID } from "node:crypto";

/** A reply in both forms: whole, or as server-sent events. */
export interface Reply {
  readonly whole: unknown;
  readonly events: readonly string[];
}

interface Asked {
  readonly model: string;
  readonly tools?: readonly unknown[];
}

const VOCABULARY =
  "the loan should be approved refused because income debt is 30 % über 12 € and 𝒙 falls".split(" ");

function pick<T>(values: readonly T[]): T {
  return values[Math.floor(Math.random() * values.length)] as T;
}

/** A text in pieces, as a model gives it. */
function pieces(): string[] {
  return Array.from({ length: 4 + Math.floor(Math.random() * 8) }, () => `${pick(VOCABULARY)} `);
}

/** A JSON text in pieces that do not respect its tokens. */
function toolInput(): { readonly text: string; readonly pieces: readonly string[] } {
  const text = JSON.stringify({
    city: pick(["Bern", "Oslo", "Lima"]),
    days: Math.floor(Math.random() * 100),
  });
  const cut = 1 + Math.floor(Math.random() * (text.length - 2));
  return { text, pieces: [text.slice(0, cut), text.slice(cut)] };
}

const identity = (prefix: string): string => `${prefix}_${randomUUID().replaceAll("-", "")}`;
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (value: { readonly type: string }): string => `event: ${value.type}\n${data(value)}`;
const seconds = (): number => Math.floor(Date.now() / 1000);

export function chatCompletion({ model, tools }: Asked): Reply {
  const head = { id: identity("chatcmpl"), created: seconds(), model };
  const usage = { prompt_tokens: 9, completion_tokens: Math.floor(Math.random() * 99), total_tokens: 108 };
  const chunk = (delta: unknown, finish: string | null = null): string =>
    data({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    });
  const whole = (message: unknown, finish: string): unknown => ({
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    usage,
  });
  const done = "data: [DONE]\n\n";
  if (tools !== undefined) {
    const input = toolInput();
    const call = { id: identity("call"), type: "function" };
    const named = { name: "forecast", arguments: "" };
    return {
      whole: whole(
        {
          role: "assistant",
          content: null,
          refusal: null,
          tool_calls: [{ ...call, function: { ...named, arguments: input.text } }],
        },
        "tool_calls",
      ),
      events: [
        chunk({ role: "assistant", content: null, tool_calls: [{ index: 0, ...call, function: named }] }),
        ...input.pieces.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
        chunk({}, "tool_calls"),
        done,
      ],
    };
  }
  const said = pieces();
  return {
    whole: whole({ role: "assistant", content: said.join(""), refusal: null }, "stop"),
    events: [
      chunk({ role: "assistant", content: "" }),
      ...said.map((piece) => chunk({ content: piece })),
      chunk({}, "stop"),
      done,
    ],
  };
}

export function response({ model }: Asked): Reply {
  const said = pieces();
  const text = said.join("");
  const item = { id: identity("msg"), type: "message", role: "assistant" };
  const part = (content: string): unknown => ({
    type: "output_text",
    text: content,
    annotations: [],
    logprobs: [],
  });
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const head = {
    id: identity("resp"),
    object: "response",
    created_at: seconds(),
    model,
    error: null,
    tools: [],
    tool_choice: "auto",
  };
  const finished = { ...item, status: "completed", content: [part(text)] };
  const whole = { ...head, status: "completed", output: [finished] };
  const begun = { ...head, status: "in_progress", output: [] };
  let sequence = 0;
  const numbered = (type: string, fields: object): string =>
    event({ type, sequence_number: sequence++, ...fields } as { type: string });
  return {
    whole,
    events: [
      numbered("response.created", { response: begun }),
      numbered("response.output_item.added", {
        output_index: 0,
        item: { ...item, status: "in_progress", content: [] },
      }),
      numbered("response.content_part.added", { ...place, part: part("") }),
      ...said.map((delta) => numbered("response.output_text.delta", { ...place, delta, logprobs: [] })),
      numbered("response.output_text.done", { ...place, text, logprobs: [] }),
      numbered("response.content_part.done", { ...place, part: part(text) }),
      numbered("response.output_item.done", { output_index: 0, item: finished }),
      numbered("response.completed", { response: whole }),
    ],
  };
}

export function message({ model, tools }: Asked): Reply {
  const head = {
    id: identity("msg"),
    type: "message",
    role: "assistant",
    model,
    stop_sequence: null,
    container: null,
  };
  const usage = { input_tokens: 12, output_tokens: Math.floor(Math.random() * 99) };
  const said = pieces();
  const call = toolInput();
  const tool = { type: "tool_use", id: identity("toolu"), name: "forecast" };
  const content: unknown[] = [{ type: "text", text: said.join(""), citations: null }];
  const events = [
    event({
      type: "message_start",
      message: { ...head, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    } as { type: string }),
    ...block(
      0,
      { type: "text", text: "", citations: null },
      said.map((text) => ({ type: "text_delta", text })),
    ),
  ];
  if (tools !== undefined) {
    content.push({ ...tool, input: JSON.parse(call.text) as unknown });
    events.push(
      ...block(
        1,
        { ...tool, input: {} },
        call.pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece })),
      ),
    );
  }
  const reason = tools === undefined ? "end_turn" : "tool_use";
  return {
    whole: { ...head, content, stop_reason: reason, usage },
    events: [
      ...events,
      event({
        type: "message_delta",
        delta: { stop_reason: reason, stop_sequence: null, container: null },
        usage,
      } as { type: string }),
      event({ type: "message_stop" }),
    ],
  };
}

function block(index: number, start: unknown, deltas: readonly unknown[]): string[] {
  const typed = (type: string, fields: object): string =>
    event({ type, index, ...fields } as { type: string });
  return [
    typed("content_block_start", { content_block: start }),
    event({ type: "ping" }),
    ...deltas.map((delta) => typed("content_block_delta", { delta })),
    typed("content_block_stop", {}),
  ];
}
