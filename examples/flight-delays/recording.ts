import type { AirportHistory } from "./airport-history.js";
import type { LandedFlight } from "./contracts.js";
import { scheduleOf } from "./records.js";
import type { Service } from "./service.js";

/** How many flights are decided on at the same time. */
const concurrency = 20;

/** Lets the service decide on each flight, and then learn what became of it. */
export async function recordFlights(
  { hc, decideOnFlight }: Service,
  history: AirportHistory,
  flights: readonly LandedFlight[],
  onProgress: (done: number) => void,
): Promise<void> {
  const waiting = flights[Symbol.iterator]();
  let done = 0;
  const worker = async () => {
    // The workers share one iterator, so each flight is taken once.
    for (const flight of waiting) {
      await decideOnFlight(scheduleOf(flight));
      history.learn(flight);
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await hc.flush();
}
