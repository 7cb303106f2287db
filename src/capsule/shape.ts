/** Checks of what was read, part by part. Each throws `capsule-shape`, naming the part. */
import { HindcastError } from "../errors.js";

export function misshapen(where: string): HindcastError {
  return new HindcastError(
    "capsule-shape",
    `The capsule is whole, but ${where} is not as the format says: it was written by something else. See docs/capsule-format.md.`,
  );
}

export function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw misshapen(where);
  return value as Record<string, unknown>;
}

export function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw misshapen(where);
  return value;
}

export function text(value: unknown, where: string): string {
  if (typeof value !== "string") throw misshapen(where);
  return value;
}

export function number(value: unknown, where: string): number {
  if (typeof value !== "number") throw misshapen(where);
  return value;
}

/** Milliseconds that a Date can hold. */
export function time(value: unknown, where: string): number {
  if (Number.isNaN(new Date(number(value, where)).getTime())) throw misshapen(where);
  return value as number;
}

export function integer(value: unknown, where: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw misshapen(where);
  return value as number;
}

export function index(value: unknown, size: number, where: string): number {
  const position = integer(value, where);
  if (position >= size) throw misshapen(where);
  return position;
}

export function oneOf<const T extends string>(value: unknown, choices: readonly T[], where: string): T {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) throw misshapen(where);
  return choice;
}

export function optional<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): T | undefined {
  return value === undefined || value === null ? undefined : read(value, where);
}
