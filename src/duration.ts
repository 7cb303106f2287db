import { HindcastError } from "./errors.js";

/** Milliseconds as a number, or text such as "250ms", "2s", "1.5m", "1h". */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h"}`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration in milliseconds. Throws `invalid-options` for anything that is not one, naming `option`. */
export function milliseconds(duration: Duration, option: string): number {
  if (typeof duration === "number" && Number.isFinite(duration) && duration >= 0) return duration;
  const match = typeof duration === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(duration) : null;
  if (match === null) {
    throw new HindcastError(
      "invalid-options",
      `${option} is ${JSON.stringify(duration)}; give milliseconds, or text such as "250ms", "2s", "1.5m".`,
    );
  }
  return Number(match[1]) * (UNITS[match[2] as string] as number);
}
