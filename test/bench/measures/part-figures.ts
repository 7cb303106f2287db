/** What the process that measures parts tells: what some of the work of a recorder takes by itself, whoever does it. */
import type { PayloadName } from "../payloads.js";

export interface PartFigures {
  /** Nanoseconds of the main thread: medians, by part and payload. */
  readonly parts: Readonly<Record<string, Readonly<Partial<Record<PayloadName, number>>>>>;
}
