/** Replies of the server, as they are recorded: plain data, with errors in them as such. */
import { errorOf, plainError } from "../capture/plain-error.js";

/** Classes of errors by their names. */
export type ErrorClasses = Readonly<Record<string, unknown>>;

/** What is recorded of a reply. `encoding` is how its bytes become texts; without one they stay bytes. */
export function plainReply(reply: unknown, encoding?: BufferEncoding): unknown {
  return mapReply(reply, (part) => {
    if (Buffer.isBuffer(part)) return encoding === undefined ? part : part.toString(encoding);
    return part instanceof Error ? plainError(part) : part;
  });
}

/** The reply, of what is recorded of it. */
export function replyOf(plain: unknown, classes: ErrorClasses): unknown {
  return mapReply(plain, (part) => {
    if (part instanceof Uint8Array && !Buffer.isBuffer(part)) return Buffer.from(part);
    return errorOf(part, classes);
  });
}

function mapReply(reply: unknown, convert: (part: unknown) => unknown): unknown {
  if (Array.isArray(reply)) return reply.map((part) => mapReply(part, convert));
  if (reply instanceof Map) {
    return new Map([...reply].map(([key, value]) => [mapReply(key, convert), mapReply(value, convert)]));
  }
  if (reply instanceof Set) return new Set([...reply].map((part) => mapReply(part, convert)));
  const converted = convert(reply);
  if (converted !== reply || typeof reply !== "object" || reply === null) return converted;
  const prototype: unknown = Object.getPrototypeOf(reply);
  if (prototype !== Object.prototype && prototype !== null) return converted;
  const copy = Object.create(prototype) as Record<string, unknown>;
  for (const [key, value] of Object.entries(reply)) copy[key] = mapReply(value, convert);
  return copy;
}
