import { captured } from "./captured.js";
import { patch, resemble, type Undo } from "./patch.js";

/** `Math.random`: from the stage's seeded stream, so that the seed alone reproduces it. */
export function patchRandom(): Undo {
  return patch(Math, "random", (original) =>
    resemble(() => {
      const capture = captured("random");
      return capture === undefined ? original() : capture.call.random();
    }, original),
  );
}
