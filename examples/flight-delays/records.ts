import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { z } from "zod";
import { type Flight, LandedFlight, type ScheduledFlight } from "./contracts.js";

const packageDirectory = dirname(dirname(createRequire(import.meta.url).resolve("vega-datasets")));
const dataFile = join(packageDirectory, "data", "flights-20k.json");
const Manifest = z.object({ version: z.string() });

/** 20,000 flights of January to March 2001 in order of departure, and the version of the data they are. */
export interface FlightRecords {
  readonly flights: readonly LandedFlight[];
  readonly data: { readonly name: string; readonly version: string; readonly digest: string };
}

/** Reads the flights from the `vega-datasets` package; throws a `ZodError` when a row breaks its contract. */
export function readRecords(): FlightRecords {
  const text = readFileSync(dataFile, "utf8");
  const manifest = Manifest.parse(JSON.parse(readFileSync(join(packageDirectory, "package.json"), "utf8")));
  const flights = z.array(LandedFlight).parse(JSON.parse(text));
  return {
    // The date's text sorts as its time does, and the sort is stable: one order on every machine.
    flights: flights.sort((one, other) => (one.date < other.date ? -1 : one.date > other.date ? 1 : 0)),
    data: {
      name: "flights-2001",
      version: manifest.version,
      digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
    },
  };
}

/** What is known of a landed flight before it leaves. */
export function scheduleOf({ date, distance, origin, destination }: LandedFlight): ScheduledFlight {
  return { date, distance, origin, destination };
}

/** Parses a row into the flight that the features are computed from. */
export function parseFlight({ date, distance, origin, destination }: ScheduledFlight): Flight {
  return { departs: departureOf(date), distance, origin, destination };
}

/** Milliseconds of the epoch. The file gives local times without a zone; they are read as UTC everywhere. */
export function departureOf(date: string): number {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0] = date.split(/[/ :]/).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute);
}
