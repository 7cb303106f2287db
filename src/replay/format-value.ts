import { inspect } from "node:util";

/** A recorded value in one line for a person, cut to `width` columns. */
export function formatValue(value: unknown, width = 100): string {
  if (value instanceof Error) return cut(String(value), width);
  const text = inspect(value, {
    depth: 4,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 8,
    maxStringLength: width,
    compact: true,
  });
  return cut(text, width);
}

function cut(text: string, width: number): string {
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  return line.length > width ? `${line.slice(0, width - 1)}…` : line;
}
