/** Identities of runs, and of the chance in them. */
import { randomBytes, wallClock } from "./originals.js";

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A UUID version 7 (RFC 9562): sorts by its time of creation, 74 bits of it unpredictable. */
export function createRunId(at: number = wallClock()): string {
  const random = randomBytes(10);
  const time = Math.trunc(at).toString(16).padStart(12, "0");
  const hex = (index: number): string => HEX[random[index] as number] as string;
  const version = HEX[0x70 | ((random[0] as number) & 0x0f)] as string;
  const variant = HEX[0x80 | ((random[2] as number) & 0x3f)] as string;
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(1)}-${variant}${hex(3)}-` +
    hex(4) +
    hex(5) +
    hex(6) +
    hex(7) +
    hex(8) +
    hex(9)
  );
}

/** The time in a UUID version 7, in milliseconds since the epoch, or undefined where the text is not one. */
export function timeOfRunId(id: string): number | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)
    ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    : undefined;
}

/** An unsigned 32-bit integer: small enough for `gen_ai.request.seed` and for every provider's `seed`. */
export function drawSeed(): number {
  const [a, b, c, d] = randomBytes(4) as unknown as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
