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
import { areBystanders, EXPORTS, kindOfFileIn, type PackageKind, packageOf } from "./bystander-packages.js";

/** This library's own files, built or not; in a bundle nobody can be told from anybody. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url))) + sep;
/** The library's own frames come first. */
const FRAMES = 12;
/** Of who asks the network, all are looked at. */
const ALL_FRAMES = 48;

/** How many readings are looked at before one of many must do. */
const AT_FIRST = 256;

type FileKind = Exclude<PackageKind, "other"> | "own" | "program";

/** What the code of a file is. */
const kinds = new Map<string, FileKind>();

/** What bystanders read, and how closely that is watched. */
interface Watched {
  /** Whether one has been seen to, or is known to be there. */
  seen: boolean;
  looked: number;
  /** One of so many is looked at; a power of two. Draws of chance come by the million. */
  readonly rarely: number;
}

const watch = (rarely: number): Watched => ({ seen: false, looked: 0, rarely });

/** Of what is answered at once, or by the platform itself. */
const readings: ReadonlyMap<CaptureSource, Watched> = new Map([
  ["clock", watch(64)],
  ["crypto", watch(64)],
  ["timers", watch(64)],
  ["random", watch(1024)],
]);
/** Of whatever reaches out: the network, files, drivers. */
const actions = watch(64);

/** Whether it is a bystander that is about to read `source`. */
export function isBystander(source: CaptureSource): boolean {
  const reading = readings.get(source);
  const watched = reading ?? actions;
  if (!watched.seen) {
    watched.looked += 1;
    // What has been loaded by then: at the first reading, and once more when the service has warmed up.
    if (watched.looked === 1 || watched.looked === AT_FIRST) watched.seen = areBystanders(source);
    if (!watched.seen && watched.looked > AT_FIRST && watched.looked % watched.rarely !== 0) return false;
  }
  const found =
    reading === undefined
      ? look(ALL_FRAMES, actorIn) === "bystander"
      : look(FRAMES, readerIn) === "bystander";
  if (found) watched.seen = true;
  return found;
}

/** Whether it is a bystander that posts what it has to tell to `url`, and not a program that reads something through it. */
export function isExport(url: string): boolean {
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  return EXPORTS.some((exported) => path.endsWith(exported)) && look(FRAMES, readerIn) === "bystander";
}

type Asker = "bystander" | "program";
type Frames = readonly NodeJS.CallSite[];

/** Whose code it is that asks. */
function look(limit: number, askerIn: (error: unknown, frames: Frames) => Asker): Asker {
  const { stackTraceLimit } = Error;
  const prepareStackTrace: unknown = Reflect.get(Error, "prepareStackTrace");
  // By `Reflect`, as they may be locked.
  Reflect.set(Error, "stackTraceLimit", limit);
  Reflect.set(Error, "prepareStackTrace", askerIn);
  const place: { stack?: unknown } = {};
  try {
    Error.captureStackTrace(place, look);
    return place.stack === "bystander" ? "bystander" : "program";
  } catch {
    return "program"; // no stack is left, or whoever writes stacks out has failed
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
    Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  }
}

/** The first outside of this library and of Node. */
function readerIn(_error: unknown, frames: Frames): Asker {
  for (const frame of frames) {
    switch (kindOf(frame)) {
      case "own":
      case "go-between":
        continue;
      case "program":
        return "program";
      default:
        return "bystander";
    }
  }
  return "program";
}

/** One that only writes; or one that nobody else has called. */
function actorIn(_error: unknown, frames: Frames): Asker {
  let found: Asker = "program";
  for (const frame of frames) {
    const kind = kindOf(frame);
    if (kind === "writer") return "bystander";
    if (kind === "program" || kind === "reader") return "program";
    if (kind === "wrapper") found = "bystander";
  }
  // There may be more than is seen.
  return frames.length < ALL_FRAMES ? found : "program";
}

function kindOf(frame: NodeJS.CallSite): FileKind {
  const file = frame.getFileName();
  // What is built in has none, nor has what is evaluated.
  if (typeof file !== "string") return frame.isEval() ? "program" : "own";
  let kind = kinds.get(file);
  if (kind === undefined) {
    kind = kindOfFile(file);
    kinds.set(file, kind);
  }
  return kind;
}

function kindOfFile(file: string): FileKind {
  if (file.startsWith("node:")) return "own";
  const path = file.startsWith("file:") ? pathOf(file) : file;
  if (path.startsWith(OWN)) return "own";
  const name = packageOf(path);
  const kind = name === undefined ? "other" : kindOfFileIn(name, path);
  return kind === "other" ? "program" : kind;
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}
