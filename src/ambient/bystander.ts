/**
 * Code that watches a program and is no part of it: tracing SDKs, agents, loggers, metrics. What such a *bystander*
 * reads of the clock and of chance is not the run's, and is told by the package whose code asks.
 *
 * Invariants
 * 1. It is the code that asks itself which counts, and not who has called it: the program is called by bystanders, and
 *    calls them.
 * 2. The answer depends on that code alone, so a replay gets the same one.
 * 3. To look costs microseconds. Where no bystander is known, one of many readings is looked at after a while.
 */
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { CaptureSource } from "../stage/seam.js";
import { areBystanders, isBystanderPackage, isGoBetween, packageOf } from "./bystander-packages.js";

/** This library's own files, built or not; in a bundle nobody can be told from anybody. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url))) + sep;
/** The library's own frames come first. */
const FRAMES = 8;

/** How many readings are looked at before one of many must do. */
const AT_FIRST = 256;

type Asker = "bystander" | "go-between" | "own" | "program";

/** What the code of a file is. */
const askers = new Map<string, Asker>();

/** What bystanders read, and how closely that is watched. */
interface Watched {
  /** Whether one has been seen to, or is known to be there. */
  seen: boolean;
  looked: number;
  /** One of so many is looked at; a power of two. Draws of chance come by the million. */
  readonly rarely: number;
}

const watched = new Map<CaptureSource, Watched>(
  (["clock", "crypto", "timers", "random"] as const).map((source) => [
    source,
    { seen: false, looked: 0, rarely: source === "random" ? 1024 : 64 },
  ]),
);

/** Whether it is a bystander that is about to read `source`. */
export function isBystander(source: CaptureSource): boolean {
  const watch = watched.get(source);
  if (watch === undefined) return false;
  if (!watch.seen) {
    watch.looked += 1;
    // What has been loaded by then: at the first reading, and once more when the service has warmed up.
    if (watch.looked === 1 || watch.looked === AT_FIRST) watch.seen = areBystanders(source);
    if (!watch.seen && watch.looked > AT_FIRST && watch.looked % watch.rarely !== 0) return false;
  }
  const found = asker() === "bystander";
  if (found) watch.seen = true;
  return found;
}

/** Whose code it is that asks: the first outside of this library and of Node. */
function asker(): Asker {
  const { stackTraceLimit } = Error;
  const prepareStackTrace: unknown = Reflect.get(Error, "prepareStackTrace");
  // By `Reflect`, as they may be locked.
  Reflect.set(Error, "stackTraceLimit", FRAMES);
  Reflect.set(Error, "prepareStackTrace", askerIn);
  const place: { stack?: unknown } = {};
  try {
    Error.captureStackTrace(place, asker);
    return typeof place.stack === "string" ? (place.stack as Asker) : "program";
  } catch {
    return "program"; // no stack is left, or whoever writes stacks out has failed
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
    Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  }
}

function askerIn(_error: unknown, frames: readonly NodeJS.CallSite[]): Asker {
  for (const frame of frames) {
    const file = frame.getFileName();
    if (typeof file !== "string") return "program";
    let known = askers.get(file);
    if (known === undefined) {
      known = askerOf(file);
      askers.set(file, known);
    }
    if (known === "bystander" || known === "program") return known;
  }
  return "program";
}

function askerOf(file: string): Asker {
  if (file.startsWith("node:")) return "own";
  const path = file.startsWith("file:") ? pathOf(file) : file;
  if (path.startsWith(OWN)) return "own";
  const name = packageOf(path);
  if (name === undefined) return "program";
  if (isBystanderPackage(name)) return "bystander";
  return isGoBetween(name) ? "go-between" : "program";
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}
