/**
 * What was sent or came over HTTP, as a person reads it: text, JSON, the events of a stream joined, and what is said to
 * and by a model as messages.
 */
import { formatText, formatValue } from "./format-value.js";

/** A body as text; undefined where it is none. */
export function textOfBody(body: unknown): string | undefined {
  if (typeof body === "string") return body;
  try {
    if (!ArrayBuffer.isView(body) && !(body instanceof ArrayBuffer)) return undefined;
    return new TextDecoder("utf-8", { fatal: true }).decode(body as Uint8Array);
  } catch {
    return undefined; // bytes that are no text, or a Proxy that throws
  }
}

/** The pieces of a body, joined; undefined where one of them is neither text nor bytes. */
export function joinedBody(chunks: readonly unknown[]): unknown {
  if (chunks.every((chunk) => typeof chunk === "string")) return chunks.join("");
  const bytes: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (typeof chunk === "string") bytes.push(Buffer.from(chunk));
    else if (ArrayBuffer.isView(chunk))
      bytes.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    else return undefined;
  }
  return Buffer.concat(bytes);
}

/** A JSON object or array that is written in a text; undefined where there is none. */
export function jsonOf(body: unknown): object | undefined {
  const text = textOfBody(body)?.trim();
  if (text === undefined || !(text.startsWith("{") || text.startsWith("["))) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined; // a text that only begins like one
  }
}

/** A body in lines of `width` columns. */
export function readableBody(body: unknown, width: number): readonly string[] {
  const text = textOfBody(body);
  if (text === undefined) return [formatValue(body, width)];
  const json = jsonOf(text);
  if (json !== undefined)
    return messagesIn(json)?.map((line) => formatText(line, width)) ?? [formatValue(json, width)];
  const events = eventsIn(text);
  if (events === undefined) return [formatText(text, width)];
  const said = joinedDeltas(events.map((event) => jsonOf(event)).filter((event) => event !== undefined));
  const count = `(${events.length} events)`;
  if (said.length === 0) return [formatText(`${events.join(" ")} ${count}`, width)];
  return said.map((line, index) => formatText(index === said.length - 1 ? `${line} ${count}` : line, width));
}

/** The data of server-sent events; undefined where a text is none. */
function eventsIn(text: string): readonly string[] | undefined {
  if (!/^(?:data|event|id|retry)?:/.test(text)) return undefined;
  return text
    .split(/\r?\n\r?\n|\r\r/)
    .map((event) =>
      event
        .split(/\r?\n|\r/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n"),
    )
    .filter((data) => data !== "");
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

/** What is said in a request to a model or in its answer, as `user: …`; undefined where nothing is. */
function messagesIn(json: object): readonly string[] | undefined {
  const fields = fieldsOf(json);
  const lines: string[] = [];
  if (typeof fields["model"] === "string") lines.push(`model: ${fields["model"]}`);
  for (const name of ["system", "instructions"]) {
    if (fields[name] !== undefined) lines.push(`system: ${contentOf(fields[name])}`);
  }
  if (typeof fields["input"] === "string") lines.push(`user: ${fields["input"]}`);
  const messages = [
    ...listOf(fields["messages"]),
    ...listOf(fields["input"]),
    ...listOf(fields["choices"]).map((choice) => fieldsOf(choice["message"])),
    ...listOf(fields["output"]),
    ...(typeof fields["role"] === "string" ? [fields] : []),
  ];
  const said = messages.flatMap(linesOfMessage);
  if (said.length === 0 && typeof fields["input"] !== "string") return undefined;
  return [...lines, ...said];
}

function linesOfMessage(message: Fields): string[] {
  const { role, content, tool_calls: calls, type, refusal } = message;
  const who = typeof role === "string" ? role : typeof type === "string" ? type : undefined;
  if (who === undefined) return [];
  const lines: string[] = [];
  const text = contentOf(content ?? refusal);
  if (text !== "") lines.push(`${who}: ${text}`);
  for (const call of listOf(calls)) lines.push(`${who} calls ${callText(fieldsOf(call["function"]))}`);
  if (type === "function_call") lines.push(`assistant calls ${callText(message)}`);
  if (type === "function_call_output") lines.push(`tool: ${contentOf(message["output"])}`);
  return lines;
}

function callText({ name, arguments: input, input: object }: Fields): string {
  return `${String(name)}(${typeof input === "string" ? input : inJson(input ?? object)})`;
}

/** The text of a message: a text itself, or parts of several kinds. */
function contentOf(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return inJson(content);
  return listOf(content).map(partText).join(" ");
}

function partText(part: Fields): string {
  const { type, text, thinking, name, input, content } = part;
  if (typeof text === "string") return text;
  if (typeof thinking === "string") return `<thinking ${thinking}>`;
  if (type === "tool_use") return `calls ${callText({ name, input })}`;
  if (type === "tool_result") return `result ${contentOf(content)}`;
  return `<${typeof type === "string" ? type : "part"}>`;
}

function inJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "<not shown>"; // a cycle, or a BigInt
  }
}

/** What a model said in pieces: chat completions, responses, and messages. */
function joinedDeltas(events: readonly object[]): string[] {
  let text = "";
  const calls = new Map<string, { name: string; input: string }>();
  const callAt = (key: unknown): { name: string; input: string } => {
    const known = calls.get(String(key));
    if (known !== undefined) return known;
    const call = { name: "", input: "" };
    calls.set(String(key), call);
    return call;
  };
  for (const event of events) {
    const { choices, type, delta, index, content_block: block, item, item_id: id } = fieldsOf(event);
    for (const choice of listOf(choices)) {
      const { content, tool_calls: made } = fieldsOf(choice["delta"]);
      text += typeof content === "string" ? content : "";
      for (const one of listOf(made)) {
        const call = callAt(one["index"]);
        const { name, arguments: input } = fieldsOf(one["function"]);
        call.name += typeof name === "string" ? name : "";
        call.input += typeof input === "string" ? input : "";
      }
    }
    if (type === "response.output_text.delta" && typeof delta === "string") text += delta;
    if (type === "response.function_call_arguments.delta" && typeof delta === "string")
      callAt(id).input += delta;
    if (type === "response.output_item.added" && fieldsOf(item)["type"] === "function_call") {
      callAt(fieldsOf(item)["id"]).name = String(fieldsOf(item)["name"]);
    }
    if (type === "content_block_start" && fieldsOf(block)["type"] === "tool_use") {
      callAt(index).name = String(fieldsOf(block)["name"]);
    }
    if (type === "content_block_delta") {
      const { text: more, partial_json: part } = fieldsOf(delta);
      text += typeof more === "string" ? more : "";
      if (typeof part === "string") callAt(index).input += part;
    }
  }
  const lines = text === "" ? [] : [`assistant: ${text}`];
  for (const { name, input } of calls.values()) lines.push(`assistant calls ${name}(${input})`);
  return lines;
}
