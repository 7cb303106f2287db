/** How far apart two numbers may be and still count as the same. */
import { HindcastError } from "../errors.js";

/**
 * A number is an absolute tolerance. With both given, it is enough to be within either:
 * `|expected - actual| <= max(absolute, relative × max(|expected|, |actual|))`.
 */
export type Tolerance = number | { readonly absolute?: number; readonly relative?: number };

/** Whether two numbers count as the same. */
export type SameNumber = (expected: number, actual: number) => boolean;

/** `NaN` equals itself and `-0` is not `0`. */
export const exactly: SameNumber = Object.is;

/** What `tolerance` allows; without one, nothing. Throws `invalid-options`, naming `option`. */
export function sameNumber(tolerance: Tolerance | undefined, option: string): SameNumber {
  if (tolerance === undefined) return exactly;
  const { absolute = 0, relative = 0 } = typeof tolerance === "number" ? { absolute: tolerance } : limits();
  for (const limit of [absolute, relative]) {
    if (!Number.isFinite(limit) || limit < 0) throw invalid(tolerance, option);
  }
  return (expected, actual) => {
    if (Object.is(expected, actual)) return true;
    const distance = Math.abs(expected - actual);
    if (!Number.isFinite(distance) || absolute + relative === 0) return false;
    return distance <= Math.max(absolute, relative * Math.max(Math.abs(expected), Math.abs(actual)));
  };

  function limits(): Exclude<Tolerance, number> {
    const given = tolerance as Exclude<Tolerance, number> | null;
    const isKnown = (name: string): boolean => name === "absolute" || name === "relative";
    if (typeof given !== "object" || given === null || !Object.keys(given).every(isKnown)) {
      throw invalid(tolerance, option);
    }
    return given;
  }
}

function invalid(tolerance: unknown, option: string): HindcastError {
  return new HindcastError(
    "invalid-options",
    `${option} is ${JSON.stringify(tolerance)}: give how far apart two numbers may be, such as 1e-9 or { relative: 1e-6 }.`,
  );
}
