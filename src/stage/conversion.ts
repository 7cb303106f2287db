/**
 * `record` and `revive`: what a stage or an effect says of values that are no plain data. They are a
 * user's functions, so they may throw: that is reported, and the value goes as without them (G2).
 */
import { HindcastError } from "../errors.js";
import type { Conversion } from "./definition.js";
import { quietly } from "./quiet.js";
import type { FailureSource } from "./seam.js";

export type Report = (source: FailureSource, error: unknown) => void;

/** Converts arguments. */
export function convertInput(
  conversion: Conversion | undefined,
  input: readonly unknown[],
  report: Report,
): readonly unknown[] {
  const convert = conversion?.input;
  if (convert === undefined) return input;
  return attempt(input, report, () => {
    const converted: unknown = convert(...(input as never[]));
    if (Array.isArray(converted)) return converted as readonly unknown[];
    throw new TypeError("A function for the input (record.input, revive.input) returned no list.");
  });
}

/** Converts what was returned. */
export function convertOutput(conversion: Conversion | undefined, value: unknown, report: Report): unknown {
  const convert = conversion?.output;
  return convert === undefined ? value : attempt(value, report, () => convert(value as never));
}

function attempt<T>(otherwise: T, report: Report, convert: () => T): T {
  try {
    // What is done there is no part of the program, and must not be captured.
    return quietly(convert);
  } catch (error) {
    report("conversion", error);
    return otherwise;
  }
}

/** The option as it was given. Throws `invalid-options` where it is none. */
export function conversionOf(given: unknown, what: string): Conversion | undefined {
  if (given === undefined) return undefined;
  const fields = typeof given === "object" && given !== null ? Object.entries(given) : [];
  const isConversion = fields.every(
    ([key, field]) =>
      (key === "input" || key === "output") && (field === undefined || typeof field === "function"),
  );
  if (fields.length === 0 || !isConversion) {
    throw new HindcastError("invalid-options", `${what}: give { input?, output? }, both functions.`);
  }
  return given as Conversion;
}
