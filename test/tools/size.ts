/** Says what importing the library costs, and fails where that is more than it was. */
import { sizesOf } from "./entry-size.js";

/**
 * The design's budget is 12 kB; the ceiling is where it stands. It went up from 17.1 kB for streams, `fetch`, bodies and
 * noticing what is not declared, which are there at start because the first run may begin at once; and by 0.2 kB for
 * letting runs wait for each other on their way to the store. It went up to 55.5 kB for what keeps runs exact with the
 * libraries that services use: handles of live results, builders and callbacks, requests as inputs, computed work, shared
 * state, bystanders, and telemetry that is kept out of runs. All of it must be there when the first run begins.
 */
const BUDGET_BYTES = 12_000;
const CEILING_BYTES = 55_500;

const core = await sizesOf("hindcast");
const withStore = await sizesOf("hindcast, fileStore, keep");
const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(2)} kB`;
console.log(
  `size: { hindcast } ${kilobytes(core.atStart)} at start, ${kilobytes(core.later)} when first needed`,
);
console.log(
  `size: { hindcast, fileStore, keep } ${kilobytes(withStore.atStart)} at start, ${kilobytes(withStore.later)} when first needed`,
);
console.log(`size: budget ${kilobytes(BUDGET_BYTES)}, ceiling ${kilobytes(CEILING_BYTES)}`);
if (core.atStart === 0 || core.atStart > CEILING_BYTES) {
  console.error("size: { hindcast } is over its ceiling: load later what a call does not need");
  process.exitCode = 1;
}
