/**
 * What the service knows of each airport: how late its latest flights were. This is state outside a run (it
 * grows while the service works), so the pipeline reads it through a declared effect, and a capsule holds what
 * was read. Its answers depend on when they are asked for; nothing in a replay may ask again.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { LandedFlight } from "./contracts.js";
import { departureOf } from "./records.js";

const minute = 60_000;
const hour = 60 * minute;
const windowHours = 48;

/** One landed flight at an airport: how many hours ago, and how many minutes late. */
export interface RecentLanding {
  readonly hoursAgo: number;
  readonly delay: number;
}

/** The part of the history that the pipeline reads. */
export interface AirportHistoryReader {
  /** The landings of the 48 hours before `at` (milliseconds of the epoch), newest first. */
  recent(airport: string, at: number): Promise<readonly RecentLanding[]>;
}

interface Landing {
  readonly at: number;
  readonly delay: number;
}

export class AirportHistory implements AirportHistoryReader {
  readonly #landings = new Map<string, Landing[]>();

  /** Answers after 0 to 2 ms, as a cache on the local network would; so answers overtake each other. */
  async recent(airport: string, at: number): Promise<readonly RecentLanding[]> {
    const latency = Math.floor(Math.random() * 3);
    if (latency > 0) await wait(latency);
    return this.recentNow(airport, at);
  }

  /** The same at once: for the training, which asks 40,000 times. */
  recentNow(airport: string, at: number): readonly RecentLanding[] {
    const recent: RecentLanding[] = [];
    const landings = this.#landings.get(airport) ?? [];
    for (let index = landings.length - 1; index >= 0; index--) {
      const landing = landings[index];
      if (landing === undefined || landing.at < at - windowHours * hour) break;
      // A flight that is still in the air has no outcome yet, even where the file tells it.
      if (landing.at > at) continue;
      recent.push({ hoursAgo: Math.round((at - landing.at) / (hour / 10)) / 10, delay: landing.delay });
    }
    return recent;
  }

  /** Takes note of a flight's outcome, at both of its airports. */
  learn(flight: LandedFlight): void {
    const landing = { at: landingOf(flight), delay: flight.delay };
    this.#add(flight.origin, landing);
    this.#add(flight.destination, landing);
  }

  #add(airport: string, landing: Landing): void {
    const landings = this.#landings.get(airport) ?? [];
    this.#landings.set(airport, landings);
    let index = landings.length;
    while (index > 0 && (landings[index - 1]?.at ?? 0) > landing.at) index--;
    landings.splice(index, 0, landing);
    // Twice the window: flights are learnt out of order, and a question may be about an earlier time.
    while ((landings[0]?.at ?? landing.at) < landing.at - 2 * windowHours * hour) landings.shift();
  }
}

/** Stands in for the history in a replay, where it must not be asked: every call rejects. */
export const absentHistory: AirportHistoryReader = {
  async recent(airport) {
    throw new Error(`the history of ${airport} was asked for live; a replay must take it from the capsule`);
  },
};

/** The file has no landing times: half an hour on the ground, 450 miles an hour, and the delay. */
function landingOf({ date, distance, delay }: LandedFlight): number {
  return departureOf(date) + (30 + distance / 7.5 + delay) * minute;
}
