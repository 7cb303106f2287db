import type { RecentLanding } from "./airport-history.js";
import type { AirportFeatures, CalendarFeatures, Flight } from "./contracts.js";

/** A flight is late when it lands more than this many minutes after its time. */
export const lateAfterMinutes = 15;

const hour = 3_600_000;
const day = 24 * hour;
/** Few flights a day are in the file: the shares start from the usual one, and six flights outweigh it. */
const usual = { late: 0.22, delay: 8, weight: 6 };

/** Computed with integer arithmetic on UTC, not with `Date` methods, which depend on the machine's zone. */
export function calendarFeatures({ departs, distance }: Flight): CalendarFeatures {
  const hourOfDay = (departs % day) / hour;
  // The epoch began on a Thursday.
  const weekday = (Math.floor(departs / day) + 4) % 7;
  return {
    hour: hourOfDay,
    hoursAfterNoon: Math.max(0, hourOfDay - 12),
    weekend: weekday === 0 || weekday === 6 ? 1 : 0,
    friday: weekday === 5 ? 1 : 0,
    distance,
  };
}

export function airportFeatures(
  origin: readonly RecentLanding[],
  destination: readonly RecentLanding[],
): AirportFeatures {
  const [from, to] = [summary(origin), summary(destination)];
  return {
    originTraffic: from.traffic,
    originLateToday: from.lateToday,
    originLate: from.late,
    originDelay: from.delay,
    destinationTraffic: to.traffic,
    destinationLateToday: to.lateToday,
    destinationLate: to.late,
    destinationDelay: to.delay,
  };
}

function summary(landings: readonly RecentLanding[]) {
  const today = landings.filter(({ hoursAgo }) => hoursAgo < 6);
  const total = today.reduce((sum, { delay }) => sum + Math.min(Math.max(delay, 0), 120), 0);
  return {
    traffic: landings.length,
    lateToday: lateShare(today),
    late: lateShare(landings),
    delay: (total + usual.delay * usual.weight) / (today.length + usual.weight),
  };
}

function lateShare(landings: readonly RecentLanding[]): number {
  const late = landings.filter(({ delay }) => delay > lateAfterMinutes).length;
  return (late + usual.late * usual.weight) / (landings.length + usual.weight);
}
