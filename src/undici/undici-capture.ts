/**
 * The package `undici`: its `fetch`, `request`, `stream` and `pipeline`, agents, pools and clients. All of them ask a
 * dispatcher, and that is where each exchange becomes an effect. (The `fetch` of Node itself is captured already.)
 */
import type { Undo } from "../ambient/patch.js";
import type { Capture } from "../capture/capture.js";
import { type CapturedMethod, type CaptureTools, defineCapture } from "../capture/define-capture.js";
import { withSelf } from "../capture/with-self.js";
import { type Dispatch, type DispatchOptions, Exchange, type ExchangeTools } from "./exchange.js";
import type { Handler, ParseHeaders } from "./handler.js";

/** What is used of the package `undici`. */
export interface UndiciModule {
  readonly Agent: { readonly prototype: object };
  readonly errors: object;
  readonly util: object;
}

/** Captures what is exchanged through `undici`: `hindcast({ capture: { undici: undiciCapture(undici) } })`. */
export function undiciCapture(undici: UndiciModule): Capture {
  return defineCapture({
    name: "undici",
    target: undici.Agent,
    patch: (tools) => patchDispatchers(undici, tools),
  });
}

function patchDispatchers({ Agent, errors, util }: UndiciModule, tools: CaptureTools): Undo[] {
  const exchangeTools: ExchangeTools = {
    parseHeaders: (util as { readonly parseHeaders: ParseHeaders }).parseHeaders,
    errors: errors as Readonly<Record<string, unknown>>,
    inside: tools.inside,
  };
  // The class that all dispatchers are made of.
  const prototype = ownerOf(Agent.prototype, "dispatch");
  return [
    tools.method(prototype, "dispatch", (original) => dispatch(original, exchangeTools, tools)),
    tools.method(prototype, "close", (original) => end("close", original, tools)),
    tools.method(prototype, "destroy", (original) => end("destroy", original, tools)),
  ];
}

function dispatch(
  original: CapturedMethod,
  exchangeTools: ExchangeTools,
  { run }: CaptureTools,
): CapturedMethod {
  return withSelf((self, input) => {
    const current = run();
    const [options, handler] = input as [DispatchOptions | undefined, Handler | undefined];
    if (current === undefined || typeof options !== "object" || typeof handler !== "object") {
      return original.apply(self, [...input]);
    }
    if (options.method === "CONNECT" || options.upgrade) {
      current.mustNotReplay("request", "it asks for a tunnel or another protocol, which is not captured");
      return original.apply(self, [...input]);
    }
    const real: Dispatch = (asked, told) => original.call(self, asked, told);
    new Exchange(current, real, options, handler, exchangeTools).begin();
    return true;
  });
}

/** A dispatcher that is closed waits for its connections. */
function end(name: string, original: CapturedMethod, { run }: CaptureTools): CapturedMethod {
  return withSelf((self, input) => {
    const current = run();
    if (current === undefined) return original.apply(self, [...input]);
    const callback = input.at(-1);
    const [reason] = input;
    const perform = (): Promise<unknown> =>
      (typeof reason === "function" || reason === undefined
        ? original.call(self)
        : original.call(self, reason)) as Promise<unknown>;
    const begin = (resolve: (value: unknown) => void, reject: (error: unknown) => void): void => {
      current.start(
        { name, input: [] },
        (arrive) => {
          perform().then(
            () => arrive({ status: "ok", value: null }),
            (error: unknown) => arrive({ status: "error", error }),
          );
        },
        (outcome) => (outcome.status === "ok" ? resolve(outcome.value) : reject(outcome.error)),
      );
    };
    if (typeof callback !== "function") return new Promise(begin);
    begin(
      (value) => callback(null, value) as unknown,
      (error) => callback(error, null) as unknown,
    );
    return undefined;
  });
}

/** The prototype that has the method. */
function ownerOf(prototype: object, name: string): Record<string, CapturedMethod> {
  let owner = prototype;
  while (!Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object;
  return owner as Record<string, CapturedMethod>;
}
