import { type Hindcast, hindcast, type Store } from "hindcast";
import type { AirportHistoryReader } from "./airport-history.js";
import {
  AirportFeatures,
  CalendarFeatures,
  Decision,
  Features,
  Flight,
  ScheduledFlight,
  Score,
} from "./contracts.js";
import { airportFeatures, calendarFeatures } from "./features.js";
import type { DelayModel } from "./model.js";
import { type FlightRecords, parseFlight } from "./records.js";

/** From this chance of a delay on, passengers are told; from the higher one on, a seat on another flight is offered. */
const notifyFrom = 0.27;
const rebookFrom = 0.42;
/** The share of the passengers who are told nothing whatever the chance. */
const holdOutShare = 0.05;

export interface ServiceOptions {
  readonly store: Store;
  readonly model: DelayModel;
  readonly history: AirportHistoryReader;
  /** The version of the flights that the service is fed with. */
  readonly data: FlightRecords["data"];
}

export interface Service {
  readonly hc: Hindcast;
  /** Decides what to do about a flight before it leaves. */
  readonly decideOnFlight: (flight: ScheduledFlight) => Promise<Decision>;
}

/** Builds the service: five stages in a pipeline, every call of which leaves a capsule in the store. */
export function createService({ store, model, history: reader, data }: ServiceOptions): Service {
  const hc = hindcast({ service: "flight-delays", store });
  const history = hc.effects("history", reader, ["recent"]);

  const read = hc.ingest({ name: "read-flight", data, input: ScheduledFlight, output: Flight }, parseFlight);

  const calendar = hc.feature(
    {
      name: "calendar-features",
      data: { name: "calendar-features", version: "1" },
      input: Flight,
      output: CalendarFeatures,
    },
    calendarFeatures,
  );

  const airports = hc.feature(
    {
      name: "airport-features",
      data: { name: "airport-features", version: "1" },
      input: Flight,
      output: AirportFeatures,
    },
    async ({ origin, destination, departs }) => {
      const [from, to] = await Promise.all([
        history.recent(origin, departs),
        history.recent(destination, departs),
      ]);
      return airportFeatures(from, to);
    },
  );

  const score = hc.infer(
    {
      name: "delay-chance",
      model: { name: model.name, version: model.version, digest: model.digest },
      input: Features,
      output: Score,
    },
    (features) => ({ chance: model.predict(features) }),
  );

  const decide = hc.decide({ name: "choose-action", input: Score, output: Decision }, ({ chance }) => {
    const wanted = chance >= rebookFrom ? "rebook" : chance >= notifyFrom ? "notify" : "ignore";
    const heldOut = wanted !== "ignore" && hc.random() < holdOutShare;
    return {
      action: heldOut ? ("ignore" as const) : wanted,
      chance,
      heldOut,
      decidedAt: new Date(hc.now()).toISOString(),
    };
  });

  const decideOnFlight = hc.pipeline({ name: "flight-delay" }, async (scheduled: ScheduledFlight) => {
    const flight = read(scheduled);
    const features = { ...calendar(flight), ...(await airports(flight)) };
    return decide(score(features));
  });

  return { hc, decideOnFlight };
}
