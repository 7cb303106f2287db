/** Where in the program a call was made from. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** This library's own files, built or not; in a bundle they cannot be told from the program's. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The first frame of `place` outside of this library and of Node, such as `decide (/app/loan.js:12:5)`, and rather
 * one of the program than of a package it uses; undefined where there is none.
 */
export function callSite(place: { readonly stack?: string } = new Error()): string | undefined {
  const frames = framesOf(place);
  const outside = frames.filter((frame) => !frame.includes(OWN) && !/\(?node:|<anonymous>/.test(frame));
  const site = outside.find((frame) => !/[\\/]node_modules[\\/]/.test(frame)) ?? outside[0];
  return site?.trim().replace(/^at (async )?/, "");
}

function framesOf(place: { readonly stack?: string }): string[] {
  try {
    return String(place.stack).split("\n").slice(1);
  } catch {
    return []; // an `Error.prepareStackTrace` of the program's that throws
  }
}
