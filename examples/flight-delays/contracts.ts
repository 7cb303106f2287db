import { z } from "zod";

const AirportCode = z.string().regex(/^[A-Z0-9]{3}$/);

/** A flight as an airline announces it: a row of the data file without its outcome. */
export const ScheduledFlight = z.object({
  date: z.string().regex(/^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}$/),
  distance: z.number().int().positive(),
  origin: AirportCode,
  destination: AirportCode,
});
export type ScheduledFlight = z.infer<typeof ScheduledFlight>;

/** A row of the data file: the schedule, and how many minutes late (or, below zero, early) it was. */
export const LandedFlight = ScheduledFlight.extend({ delay: z.number().int() });
export type LandedFlight = z.infer<typeof LandedFlight>;

/** A flight as the pipeline sees it: `departs` in milliseconds of the epoch, `distance` in miles. */
export const Flight = z.object({
  departs: z.number().int(),
  distance: z.number().int().positive(),
  origin: AirportCode,
  destination: AirportCode,
});
export type Flight = z.infer<typeof Flight>;

export const CalendarFeatures = z.object({
  hour: z.number().min(0).lt(24),
  hoursAfterNoon: z.number().min(0).lt(12),
  weekend: z.number().min(0).max(1),
  friday: z.number().min(0).max(1),
  distance: z.number().positive(),
});
export type CalendarFeatures = z.infer<typeof CalendarFeatures>;

const Share = z.number().min(0).max(1);

export const AirportFeatures = z.object({
  originTraffic: z.number().int().min(0),
  originLateToday: Share,
  originLate: Share,
  originDelay: z.number(),
  destinationTraffic: z.number().int().min(0),
  destinationLateToday: Share,
  destinationLate: Share,
  destinationDelay: z.number(),
});
export type AirportFeatures = z.infer<typeof AirportFeatures>;

export const Features = CalendarFeatures.extend(AirportFeatures.shape);
export type Features = z.infer<typeof Features>;

/** The chance that the flight is more than 15 minutes late. */
export const Score = z.object({ chance: Share });
export type Score = z.infer<typeof Score>;

export const Decision = z.object({
  action: z.enum(["rebook", "notify", "ignore"]),
  chance: Share,
  /** True for the few passengers who are told nothing, so that the worth of telling can be measured. */
  heldOut: z.boolean(),
  decidedAt: z.iso.datetime(),
});
export type Decision = z.infer<typeof Decision>;
