/**
 * The order of a run that is being recorded: whatever comes from outside is handed to the program
 * one result to a macrotask, and entered in the recording as it is handed over. A replay hands the
 * same results over in the same order under the same discipline, which is all that exactness takes.
 */
import type { Turns } from "../effects/turns.js";
import type { Outcome } from "../stage/definition.js";
import type { Conductor } from "../stage/seam.js";
import { isThenable } from "../stage/stage.js";
import type { Recording } from "./recording.js";

export function createRecordingConductor(recording: Recording, turns: Turns): Conductor {
  const start: Conductor["start"] = (effect, input, begin, hand) => {
    const index = recording.effectStarted(effect, input);
    recording.effectReturned(index);
    let over = false;
    begin((outcome) => {
      if (over) return;
      recording.effectArrived(index);
      turns.enqueue(() => {
        if (over) return;
        over = true;
        recording.effectEnded(index, outcome);
        hand(outcome);
      });
    });
    return () => {
      over = true;
    };
  };

  return {
    replaying: false,
    start,

    replace: () => undefined,

    undeclared: (call, source, place) => recording.askedUndeclared(call, source, place),

    settle(_call, pass) {
      // Within a turn it is a consequence of what that turn brought, and a replay will see the same.
      if (turns.open) pass(false);
      else turns.enqueue(() => pass(true));
    },

    effect(effect, input, perform) {
      const index = recording.effectStarted(effect, input);
      let result: unknown;
      try {
        result = perform();
      } catch (error) {
        recording.effectEnded(index, { status: "error", error });
        throw error;
      }
      if (!isThenable(result)) {
        recording.effectEnded(index, { status: "ok", value: result });
        return result;
      }
      recording.effectReturned(index);
      const promise = result;
      return new Promise((resolve, reject) => {
        const arrive = (outcome: Outcome): void => {
          recording.effectArrived(index);
          turns.enqueue(() => {
            recording.effectEnded(index, outcome);
            if (outcome.status === "ok") resolve(outcome.value);
            else reject(outcome.error);
          });
        };
        Promise.resolve(promise).then(
          (value) => arrive({ status: "ok", value }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      });
    },
  };
}
