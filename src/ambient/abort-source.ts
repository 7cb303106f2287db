import { clearTimeoutOriginal, setTimeoutOriginal } from "../originals.js";
import { captured, nextEffect } from "./captured.js";
import { patch, resemble, type Undo } from "./patch.js";

/** `AbortSignal.timeout`: its abort is handed over in its turn. */
export function patchAbortSignal(): Undo {
  return patch(AbortSignal, "timeout", (original) =>
    resemble((delay: number): AbortSignal => {
      const capture = captured("timers");
      if (capture === undefined) return original.call(AbortSignal, delay);
      const { call, conductor } = capture;
      const controller = new AbortController();
      let timer: NodeJS.Timeout | undefined;
      const giveUp = conductor.start(
        nextEffect(call, "AbortSignal.timeout", () => undefined),
        [delay],
        (arrive) => {
          timer = setTimeoutOriginal(() => arrive({ status: "ok", value: undefined }), delay).unref();
        },
        () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")),
      );
      controller.signal.addEventListener("abort", () => {
        clearTimeoutOriginal(timer);
        giveUp();
      });
      return controller.signal;
    }, original),
  );
}
