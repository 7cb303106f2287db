/** `Date`, `performance.now` and `process.hrtime`. Within a run each reading is an effect. */
import { performance } from "node:perf_hooks";
import process from "node:process";
import type { MadeUp } from "../stage/seam.js";
import { captured, read, readFor } from "./captured.js";
import { patch, resemble, type Undo } from "./patch.js";

const startOf: MadeUp<number> = (_random, run) => run.startedAt;

export function patchClock(): Undo[] {
  const readDate = Date.now.bind(Date);
  const now = (): number => read("clock", "Date.now", [], readDate, startOf);
  return [
    patch(globalThis, "Date", (original) => createDate(original, now)),
    // What dates say that they were made by.
    patch(Date.prototype as { constructor: unknown }, "constructor", () => Date),
    patch(Object.getPrototypeOf(performance) as typeof performance, "now", (original) =>
      resemble(function (this: typeof performance): number {
        return read(
          "clock",
          "performance.now",
          [],
          () => original.call(this),
          () => 0,
        );
      }, original),
    ),
    patch(process, "hrtime", (original) => createHighResolutionTime(original)),
  ];
}

/** A `Date` that reads the clock through `now`; the dates it makes are of the original class. */
function createDate(original: DateConstructor, now: () => number): DateConstructor {
  const substitute = function (...input: unknown[]): unknown {
    // Called as a function it gives the present as text, whatever it is called with.
    if (new.target === undefined) return new original(now()).toString();
    if (input.length > 0) return Reflect.construct(original, input, new.target);
    const capture = captured("clock");
    if (capture === undefined) return Reflect.construct(original, input, new.target);
    const present = readFor(capture, "Date.now", [], () => original.now(), startOf);
    return Reflect.construct(original, [present], new.target);
  } as unknown as DateConstructor;
  resemble(substitute, original);
  Object.defineProperty(substitute, "prototype", { value: original.prototype, writable: false });
  Object.defineProperty(substitute, "now", { value: now, writable: true, configurable: true });
  return substitute;
}

function createHighResolutionTime(original: NodeJS.HRTime): NodeJS.HRTime {
  const substitute = (previous?: [number, number]): [number, number] => {
    const capture = captured("clock");
    if (capture === undefined) return original(previous);
    const [seconds, nanoseconds] = readFor(
      capture,
      "process.hrtime",
      [],
      () => original(),
      () => [0, 0] as [number, number],
    );
    if (previous === undefined) return [seconds, nanoseconds];
    const [since, part] = previous;
    const borrow = nanoseconds < part;
    return [seconds - since - (borrow ? 1 : 0), nanoseconds - part + (borrow ? 1e9 : 0)];
  };
  const bigint = (): bigint =>
    read(
      "clock",
      "process.hrtime.bigint",
      [],
      () => original.bigint(),
      () => 0n,
    );
  return Object.assign(resemble(substitute, original), { bigint });
}
