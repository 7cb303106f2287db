/** Where in the program a call was made from. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** This library's own files, built or not; in a bundle they cannot be told from the program's. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url)));
/** The library's own frames come first, and are more than the ten that Node keeps by default. */
const FRAMES = 32;

/** Notes where the program is; telling it, which takes longer, can wait. */
export function markSite(): { readonly stack?: unknown } {
  const limit = Error.stackTraceLimit;
  // Not an assignment: in a process that has frozen its intrinsics that would throw.
  Reflect.set(Error, "stackTraceLimit", FRAMES);
  const mark = new Error();
  Reflect.set(Error, "stackTraceLimit", limit);
  return mark;
}

/**
 * The first frame outside of this library and of Node, such as `decide (/app/loan.js:12:5)`, and rather one of
 * the program than of a package it uses; undefined where there is none.
 */
export function siteOf(mark: { readonly stack?: unknown }): string | undefined {
  try {
    const frames = (mark.stack as string).split("\n").slice(1);
    // What is built in has no place; a context manager stands between the library and the program.
    const outside = frames.filter(
      (frame) => /:\d+\)?$/.test(frame) && !/node:|@opentelemetry/.test(frame) && !frame.includes(OWN),
    );
    const site = outside.find((frame) => !/[\\/]node_modules[\\/]/.test(frame)) ?? outside[0];
    return site?.replace(/^ *at (async )?/, "");
  } catch {
    return undefined; // an application's Error.prepareStackTrace may throw, and give what is no text
  }
}

/** Where the program is. */
export function callSite(): string | undefined {
  return siteOf(markSite());
}
