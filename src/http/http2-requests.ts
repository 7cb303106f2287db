/** Requests of `node:http2` within a run: they are not captured, but noticed while recording, and refused in a replay. */
import http2 from "node:http2";
import type { Captured } from "../ambient/captured.js";
import { patch, resemble, type Undo } from "../ambient/patch.js";
import { answered, type Method, suspect } from "../ambient/undeclared.js";

const WHY = "requests of node:http2 are not captured";

/** `capturing` gives the run that asks, `refuse` throws where it is a replay. */
export function patchHttp2(
  capturing: () => Captured | undefined,
  refuse: (capture: Captured, why: string) => void,
): Undo[] {
  let sessions: Undo | undefined;
  const mustBeReal = (): void => {
    const capture = capturing();
    if (capture !== undefined) refuse(capture, WHY);
  };
  // The class is to be had from a session alone: the first that is opened.
  const follow = (session: object): void => {
    sessions ??= patch(Object.getPrototypeOf(session) as Record<"request", Method>, "request", createRequest);
  };
  const createRequest = (original: Method): Method => {
    const request: Method = function (...input) {
      mustBeReal();
      const stream = Reflect.apply(original, this, input) as http2.ClientHttp2Stream;
      const asking = suspect("an HTTP/2 stream", request);
      if (asking !== undefined) stream.once("response", () => answered(asking));
      return stream;
    };
    return resemble(request, original);
  };
  return [
    patch(http2, "connect", (original) =>
      resemble(
        function (...input: Parameters<typeof original>) {
          mustBeReal();
          const session = original(...input);
          follow(session);
          return session;
        } as typeof original,
        original,
      ),
    ),
    () => sessions?.(),
  ];
}
