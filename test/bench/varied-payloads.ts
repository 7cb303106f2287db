/**
 * The payloads as a service meets them: no two alike, and of no more than what such values have in common. What a
 * compressor makes of one value that is repeated says nothing. Drawn from a seed, so all machines measure the same.
 */
import { readdirSync, readFileSync } from "node:fs";
import { application, type PayloadName } from "./payloads.js";

const FIRST_NAMES =
  "Zoë Anna Luca Noah Mia Elena Samir Priya Jonas Léa Björn Chloé Mateo Aisha Viktor Nina".split(" ");
const LAST_NAMES =
  "Müller Keller Rossi Dubois Smith Okafor Nguyen Novák Garcia Weber Schmid Favre Kim Ali".split(" ");
const STREETS = "Bahnhofstrasse Seestrasse Kirchweg Hauptstrasse Rosenweg Dorfplatz Lindenweg".split(" ");
const CITIES = "Zürich Genève Bern Basel Lugano Chur Luzern Sion Winterthur".split(" ");
const PURPOSES = "vehicle renovation education holiday medical furniture business".split(" ");
const ACCOUNTS = 40;

type Draw = () => number;

/** Mulberry32. */
function drawFrom(seed: number): Draw {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const oneOf = (list: readonly string[], draw: Draw): string =>
  list[Math.floor(draw() * list.length)] as string;
const upTo = (limit: number, draw: Draw): number => Math.floor(draw() * limit);
const cents = (limit: number, draw: Draw): number => Math.round(draw() * limit * 100) / 100;
const digits = (count: number, draw: Draw): string =>
  Array.from({ length: count }, () => upTo(10, draw)).join("");
const day = (draw: Draw, year: number): string =>
  `${year}-${String(1 + upTo(12, draw)).padStart(2, "0")}-${String(1 + upTo(28, draw)).padStart(2, "0")}`;

function variedApplication(draw: Draw): Record<string, unknown> {
  const [first, last] = [oneOf(FIRST_NAMES, draw), oneOf(LAST_NAMES, draw)];
  return {
    ...application(),
    id: `application-${digits(6, draw)}`,
    applicant: `${first} ${last}`,
    email: `${first}.${last}${upTo(100, draw)}@example.com`.toLowerCase(),
    city: oneOf(CITIES, draw),
    street: `${oneOf(STREETS, draw)} ${1 + upTo(150, draw)}`,
    income: cents(150_000, draw),
    debt: cents(50_000, draw),
    employer: `${oneOf(LAST_NAMES, draw)} & ${oneOf(LAST_NAMES, draw)}`,
    employedSince: day(draw, 2000 + upTo(25, draw)),
    dependants: upTo(4, draw),
    homeowner: draw() < 0.4,
    married: draw() < 0.5,
    score: upTo(10_000, draw) / 10_000,
    requested: 1_000 * (1 + upTo(60, draw)),
    term: 12 * (1 + upTo(7, draw)),
    purpose: oneOf(PURPOSES, draw),
    channel: draw() < 0.3 ? "branch" : "online",
  };
}

/** Prose of this repository: longer than what a compressor looks back on, so that to go through it again repeats nothing. */
const prose = readdirSync("docs")
  .filter((name) => name.endsWith(".md"))
  .toSorted()
  .map((name) => readFileSync(`docs/${name}`, "utf8"))
  .join("\n");
if (prose.length < 100_000)
  throw new Error(`${prose.length} characters of prose are too few to draw prompts from`);

/** The next stretch of it with each call. */
function variedText(length: number): () => string {
  let from = 0;
  return () => {
    const repeated = prose.slice(from % prose.length) + prose.repeat(Math.ceil(length / prose.length));
    from += length;
    return Buffer.from(repeated.slice(0, length), "utf16le").toString("utf16le");
  };
}

function variedTable(draw: Draw): readonly Record<string, unknown>[] {
  const accounts = Array.from(
    { length: ACCOUNTS },
    () =>
      `CH${digits(2, draw)} 00${digits(2, draw)} ${digits(4, draw)} ${digits(4, draw)} ${digits(4, draw)} ${digits(1, draw)}`,
  );
  return Array.from({ length: 200 }, (_, row) => ({
    id: row,
    account: oneOf(accounts, draw),
    booked: day(draw, 2026),
    amount: cents(2_000, draw),
    currency: "CHF",
    cleared: draw() < 0.7,
  }));
}

/** What makes the value of each next run. */
export function variedValues(payload: PayloadName): () => unknown {
  const draw = drawFrom(4711);
  switch (payload) {
    case "object":
    case "trace":
      return () => variedApplication(draw);
    case "prompt":
      return variedText(8_000);
    case "text":
      return variedText(1_000_000);
    case "table":
      return () => variedTable(draw);
    case "tensor":
      return () => Float32Array.from({ length: 1536 }, () => (draw() + draw() + draw() - 1.5) * 0.05);
  }
}
