/**
 * `fetch`. Within a run each exchange is an effect: the response's head is its result, and what is read
 * of the body are effects of their own, chunk by chunk, as they come.
 */
import { activeCall, detached, isSuspended, suspend } from "../stage/scopes.js";
import { passageOf } from "../streams/passage.js";
import { abortsOfBodies } from "../streams/stream-source.js";
import { isExport } from "./bystander.js";
import { bystanding, captured, nextEffect } from "./captured.js";
import { withoutCredentials } from "./credentials.js";
import { isPropagationHeader } from "./propagation-headers.js";
import { patch, resemble, type Undo } from "./patch.js";
import { SentBody } from "./sent-body.js";

type Fetch = typeof globalThis.fetch;
type Input = Parameters<Fetch>[0];
type Init = NonNullable<Parameters<Fetch>[1]>;

export function patchFetch(): Undo[] {
  return [
    patch(globalThis, "fetch", (original) =>
      resemble(function fetch(input: Input, init?: Init): Promise<Response> {
        const capture = captured("fetch");
        if (capture === undefined || (typeof input === "string" && isExport(input))) {
          const bystander = bystanding("fetch");
          if (outlivesReplay() || bystander?.conductor.replaying === true)
            return new Promise(() => undefined);
          if (bystander !== undefined) return detached(() => original(input, init));
          const exchange = original(input, init);
          // What a declared effect gives of it is read in the run.
          return isSuspended() ? knowingAbort(exchange, input, init) : exchange;
        }
        const { call, conductor } = capture;
        const effect = { ...nextEffect(call, "fetch"), asynchronous: true };
        const passage = init?.body === undefined ? undefined : passageOf(init.body);
        const body = passage?.synchronous !== false ? undefined : new SentBody(capture, effect, passage);
        let isReal = false;
        // Whatever it does (its own clock, retries and sockets) is its own business.
        const perform = (): Promise<Response> => {
          isReal = true;
          // Sent for real in a replay, the record has nothing to ask.
          const sent = body === undefined || conductor.replaying ? init : withBody(init as Init, body.stream);
          return knowingAbort(
            suspend(() => original(input, sent)),
            input,
            init,
          );
        };
        const asked = requestOf(input, init, passage?.recorded);
        const response = conductor.effect(effect, asked, perform) as Promise<Response>;
        if (body !== undefined && !(isReal && conductor.replaying)) body.await();
        return response;
      }, original),
    ),
  ];
}

/** Keeps by what the reading of the body is aborted. */
async function knowingAbort(exchange: Promise<Response>, input: Input, init?: Init): Promise<Response> {
  const response = await exchange;
  const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
  if (signal && response.body !== null) abortsOfBodies.set(response.body, signal);
  return response;
}

/** What goes on when its replay has ended reaches nothing outside, and is not answered: an error would have no reader. */
function outlivesReplay(): boolean {
  const run = activeCall()?.run;
  return run?.closed === true && run.conductor?.replaying === true && run.captures.has("fetch");
}

/** What is asked for, as it goes into the record: an address, and what is said besides. */
function requestOf(input: Input, init: Init | undefined, stream: unknown): readonly unknown[] {
  const options: Record<string, unknown> = {};
  if (input instanceof Request) {
    options["method"] = input.method;
    options["headers"] = headersOf(input.headers) ?? {};
  }
  const { method, headers, body, redirect } = init ?? {};
  if (method !== undefined) options["method"] = method;
  const said = headers === undefined ? undefined : headersOf(headers);
  if (said !== undefined) options["headers"] = said;
  if (body !== undefined && body !== null) options["body"] = stream ?? bodyOf(body);
  if (redirect !== undefined) options["redirect"] = redirect;
  return [input instanceof Request ? input.url : String(input), options];
}

/** Undefined where tracing alone has said something. */
function headersOf(headers: NonNullable<Init["headers"]>): Record<string, string> | undefined {
  const shown: Record<string, string> = {};
  let shows = false;
  let traced = false;
  try {
    for (const [name, value] of new Headers(headers)) {
      if (isPropagationHeader(name)) traced = true;
      else {
        shows = true;
        shown[name] = withoutCredentials(name, value);
      }
    }
  } catch {
    return {}; // headers that are none: fetch itself says so to the program
  }
  return traced && !shows ? undefined : shown;
}

function bodyOf(body: NonNullable<Init["body"]>): unknown {
  return body instanceof URLSearchParams ? String(body) : body;
}

/** The same options with another body; no getter of theirs is called. */
function withBody(init: Init, body: unknown): Init {
  const descriptors = Object.getOwnPropertyDescriptors(init);
  const given = { value: body, writable: true, enumerable: true, configurable: true };
  return Object.create(Object.getPrototypeOf(init) as object | null, { ...descriptors, body: given }) as Init;
}
