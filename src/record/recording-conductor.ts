/**
 * The order of a run that is being recorded: whatever comes from outside is handed to the program
 * one result to a macrotask, and entered in the recording as it is handed over. A replay hands the
 * same results over in the same order under the same discipline, which is all that exactness takes.
 */
import type { Turns } from "../effects/turns.js";
import type { Outcome } from "../stage/definition.js";
import type { Conductor, EffectCall } from "../stage/seam.js";
import { isThenable } from "../stage/stage.js";
import { effectStream } from "../streams/effect-stream.js";
import { type Passage, passageOfResult } from "../streams/passage.js";
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

  const settle = (pass: (delivered: boolean) => void): void => {
    // Within a turn it is a consequence of what that turn brought, and a replay will see the same.
    if (turns.open) pass(false);
    else turns.enqueue(() => pass(true));
  };

  /** Enters a result, and gives what the program gets of it: of a stream, one that is recorded as it is read. */
  const result = (
    effect: EffectCall,
    index: number,
    value: unknown,
    passage: Passage | undefined,
  ): unknown => {
    recording.effectEnded(index, { status: "ok", value: passage === undefined ? value : passage.recorded });
    return passage === undefined ? value : effectStream(conductor, effect, passage);
  };

  const conductor: Conductor = {
    replaying: false,
    start,

    replace: () => undefined,

    undeclared: (call, source, place) => recording.askedUndeclared(call, source, place),

    settle(_call, pass) {
      settle(pass);
    },

    opened: (call, recorded, delivered) => recording.streamOpened(call, recorded, delivered),

    item(item, perform, settled) {
      const outward = item.call.parent === undefined;
      // Who reads a root's items at once does so in a macrotask of their own.
      if (outward) turns.enter();
      const index = recording.itemStarted(item);
      const end = (outcome: Outcome, delivered: boolean): void => {
        recording.itemEnded(index, item.call, outcome, delivered);
        settled(outcome);
      };
      let result: unknown;
      try {
        result = perform();
      } catch (error) {
        end({ status: "error", error }, false);
        throw error;
      }
      if (!isThenable(result)) {
        end({ status: "ok", value: result }, false);
        return result;
      }
      recording.effectReturned(index);
      const promise = result;
      return new Promise((resolve, reject) => {
        const arrive = (outcome: Outcome): void => {
          const pass = (delivered: boolean): void => {
            end(outcome, delivered);
            if (outcome.status === "ok") resolve(outcome.value);
            else reject(outcome.error);
          };
          // Who reads the stream of a root is outside: there is no order for them to keep.
          if (outward) pass(false);
          else settle(pass);
        };
        Promise.resolve(promise).then(
          (value) => arrive({ status: "ok", value }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      });
    },

    effect(effect, input, perform) {
      const index = recording.effectStarted(effect, input);
      let performed: unknown;
      try {
        performed = perform();
      } catch (error) {
        recording.effectEnded(index, { status: "error", error });
        throw error;
      }
      if (!isThenable(performed)) return result(effect, index, performed, passageOfResult(effect, performed));
      recording.effectReturned(index);
      const promise = performed;
      return new Promise((resolve, reject) => {
        const arrive = (outcome: Outcome): void => {
          recording.effectArrived(index);
          // Before its turn: a stream may fail while it waits, with nobody else to hear of it.
          const passage = outcome.status === "ok" ? passageOfResult(effect, outcome.value) : undefined;
          turns.enqueue(() => {
            if (outcome.status === "ok") return resolve(result(effect, index, outcome.value, passage));
            recording.effectEnded(index, outcome);
            reject(outcome.error);
          });
        };
        Promise.resolve(promise).then(
          (value) => arrive({ status: "ok", value }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      });
    },
  };
  return conductor;
}
