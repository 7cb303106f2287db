/** The head of a response as plain data, and as the bytes that Node's own parser reads. */
import type { IncomingMessage } from "node:http";

/** Names and values as they came: in order, with their letters' case, each of several. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

export interface ResponseHead {
  readonly status: number;
  readonly message: string;
  /** Such as `1.1`. */
  readonly version: string;
  readonly headers: HeaderPairs;
}

/** How the end of a body is told: by chunks with lengths, by a length in the head, or by the end of the connection. */
export type Framing = "chunked" | "length" | "close";

/** What Node tells of a response, or of one that comes before it (100 to 199). */
type Told = Pick<IncomingMessage, "httpVersion" | "rawHeaders"> & {
  readonly statusCode?: number | undefined;
  readonly statusMessage?: string | undefined;
};

export function headOf({ statusCode = 0, statusMessage = "", httpVersion, rawHeaders }: Told): ResponseHead {
  return { status: statusCode, message: statusMessage, version: httpVersion, headers: pairsOf(rawHeaders) };
}

/** Pairs of what Node gives as one flat list. */
export function pairsOf(raw: readonly string[]): HeaderPairs {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    pairs.push([raw[index] as string, raw[index + 1] as string]);
  }
  return pairs;
}

export function bytesOfHead({ status, message, version, headers }: ResponseHead): Buffer {
  return Buffer.from(`HTTP/${version} ${status} ${message}\r\n${linesOf(headers)}\r\n`, "latin1");
}

export function framingOf({ headers }: ResponseHead): Framing {
  const has = (name: string, test: (value: string) => boolean): boolean =>
    headers.some(([own, value]) => own.toLowerCase() === name && test(value));
  if (has("transfer-encoding", (value) => /\bchunked\s*$/i.test(value))) return "chunked";
  return has("content-length", () => true) ? "length" : "close";
}

export function bytesOfChunk(chunk: Uint8Array, framing: Framing): Uint8Array {
  if (framing !== "chunked") return chunk;
  return Buffer.concat([Buffer.from(`${chunk.byteLength.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]);
}

/** What follows the last chunk of a body that comes in chunks. */
export function bytesOfEnd(trailers: HeaderPairs): Buffer {
  return Buffer.from(`0\r\n${linesOf(trailers)}\r\n`, "latin1");
}

function linesOf(headers: HeaderPairs): string {
  return headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
}
