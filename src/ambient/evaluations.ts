/**
 * Whether the current code is the evaluation of a module that Node 20 has loaded for a run; later lines keep it out of the run
 * by its context. To find out takes a look at the stack, so it is only looked at in a macrotask in which that may be.
 */
const EVALUATION = "node:internal/modules/esm/module_job";

let expected = false;

export const evaluations = {
  /** One may come in this macrotask: `after` calls back when it is over. */
  expect(after: (callback: () => void) => unknown): void {
    if (expected) return;
    expected = true;
    after(() => {
      expected = false;
    });
  },
  /** Whether one is under way. */
  get underWay(): boolean {
    if (!expected) return false;
    const { stackTraceLimit } = Error;
    Reflect.set(Error, "stackTraceLimit", FRAMES);
    const place = { stack: "" };
    Error.captureStackTrace(place);
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
    try {
      return String(place.stack).includes(EVALUATION);
    } catch {
      return false; // whoever writes stacks out in this process has failed
    }
  },
};

/** How far up the loader may be, above what a module calls. */
const FRAMES = 64;
