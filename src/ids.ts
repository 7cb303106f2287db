/** Identities of runs, and of the chance in them. */
import { randomHex, wallClock } from "./originals.js";

/** The two bits of the variant, and two of chance. */
const VARIANTS = ["8", "9", "a", "b"] as const;

/** The time of the last id, and how it is written: many are made in a millisecond. */
let timeAt = Number.NaN;
let timeText = "";

/** A UUID version 7 (RFC 9562): sorts by its time of creation, 74 bits of it unpredictable. */
export function createRunId(at: number = wallClock()): string {
  const random = randomHex(19);
  if (at !== timeAt) {
    const time = Math.trunc(at).toString(16).padStart(12, "0");
    timeAt = at;
    timeText = `${time.slice(0, 8)}-${time.slice(8)}`;
  }
  const variant = VARIANTS[Number.parseInt(random.charAt(3), 16) & 3] as string;
  return `${timeText}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7)}`;
}

/** The time in a UUID version 7, in milliseconds since the epoch, or undefined where the text is not one. */
export function timeOfRunId(id: string): number | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)
    ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    : undefined;
}

/** An unsigned 32-bit integer: small enough for `gen_ai.request.seed` and for every provider's `seed`. */
export function drawSeed(): number {
  return Number.parseInt(randomHex(8), 16);
}
