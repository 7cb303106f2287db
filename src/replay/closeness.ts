/** How alike two values or two names are, from 0 to 1. For choosing the nearest of several, and for nothing else. */
import { firstDifference } from "./difference.js";

/** Entries that are looked at of one array or object, and places of one value: a guess need not be exact. */
const MAXIMUM_ENTRIES = 100;
const MAXIMUM_PLACES = 1_000;
const MAXIMUM_UNITS = 1_000;

/** Of objects and arrays the mean over their entries; of texts and numbers how near they are. */
export function valueCloseness(a: unknown, b: unknown): number {
  let left = MAXIMUM_PLACES;
  return closeness(a, b);

  function closeness(one: unknown, other: unknown): number {
    left -= 1;
    if (Object.is(one, other)) return 1;
    if (left <= 0) return 0;
    if (typeof one === "string" && typeof other === "string") return 0.9 * textCloseness(one, other);
    if (typeof one === "number" && typeof other === "number") return 0.9 * numberCloseness(one, other);
    if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return 0;
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return 0;
    if (!Array.isArray(one) && Object.keys(one).length === 0) {
      return firstDifference(one, other) === undefined ? 1 : 0;
    }
    const [fields, others] = [one, other] as Record<string, unknown>[] as [
      Record<string, unknown>,
      Record<string, unknown>,
    ];
    const keys = [...new Set([...Object.keys(fields), ...Object.keys(others)])].slice(0, MAXIMUM_ENTRIES);
    if (keys.length === 0) return 1;
    let sum = 0;
    for (const key of keys) {
      if (Object.hasOwn(fields, key) && Object.hasOwn(others, key))
        sum += closeness(fields[key], others[key]);
    }
    return sum / keys.length;
  }
}

function numberCloseness(a: number, b: number): number {
  const scale = Math.max(Math.abs(a), Math.abs(b));
  const distance = Math.abs(a - b);
  return Number.isFinite(distance) && scale > 0 ? Math.max(0, 1 - distance / scale) : 0;
}

/** The share of pairs of neighbouring characters that two texts have in common. */
export function textCloseness(a: string, b: string): number {
  if (a === b) return 1;
  const [pairs, others] = [pairsOf(a), pairsOf(b)];
  let total = 0;
  let common = 0;
  for (const [pair, count] of pairs) {
    total += count;
    common += Math.min(count, others.get(pair) ?? 0);
  }
  for (const count of others.values()) total += count;
  return total === 0 ? 0 : (2 * common) / total;
}

function pairsOf(text: string): Map<string, number> {
  const pairs = new Map<string, number>();
  const end = Math.min(text.length, MAXIMUM_UNITS) - 1;
  for (let index = 0; index < end; index++) {
    const pair = text.slice(index, index + 2);
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  return pairs;
}
