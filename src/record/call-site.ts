/** Where in the program a call was made from. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** This library's own files, built or not; in a bundle they cannot be told from the program's. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url)));

/** The first frame outside of this library and of Node, such as `decide (/app/loan.js:12:5)`; undefined where there is none. */
export function callSite(): string | undefined {
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  const site = frames.find((frame) => !frame.includes(OWN) && !/\(?node:|<anonymous>/.test(frame));
  return site?.trim().replace(/^at (async )?/, "");
}
