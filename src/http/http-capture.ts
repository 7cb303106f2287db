/**
 * Clients of `node:http` and `node:https`. Within a run each exchange is an effect; outside of runs and
 * inside of effects, and for what telemetry sends, the originals run.
 */
import http from "node:http";
import https from "node:https";
import { bystanding, type Captured, captured } from "../ambient/captured.js";
import { patch, resemble, type Undo } from "../ambient/patch.js";
import type { Capture } from "../capture/capture.js";
import { effectNotRecorded } from "../effects/perform-effect.js";
import { activeCall, detached } from "../stage/scopes.js";
import { startExchange, takeOver } from "./exchange.js";
import { patchHttp2 } from "./http2-requests.js";
import { type AskedRequest, readAgain, readRequest } from "./request-arguments.js";

/** Captures what clients of `node:http` and `node:https` exchange: `hindcast({ capture: { http: httpCapture() } })`. */
export function httpCapture(): Capture {
  return {
    name: "http",
    patch: () => [
      ...patchModule(http),
      ...patchModule(https),
      patchAgents(http.Agent.prototype),
      ...patchHttp2(capturing, mustNotReplay),
    ],
  };
}

type HttpModule = typeof http | typeof https;
type Request = (...input: unknown[]) => http.ClientRequest;

function patchModule(module: HttpModule): Undo[] {
  const substituteOf = (original: Request, ends: boolean, request: Request): Request =>
    resemble(function (this: unknown, ...input: unknown[]): http.ClientRequest {
      const capture = capturing();
      if (capture === undefined) return passBy(() => Reflect.apply(original, this, input));
      const asked = readRequest(module, input);
      if (asked.opensTunnel) {
        mustNotReplay(capture, "it asks for a tunnel or another protocol, which is not captured");
        return Reflect.apply(original, this, input);
      }
      const started = startExchange(capture, asked, request);
      if (ends) started.end();
      return started;
    }, original);
  const { get, request } = module as unknown as Record<"get" | "request", Request>;
  return [
    patch(module, "request", () => substituteOf(request, false, request) as typeof module.request),
    patch(module, "get", () => substituteOf(get, true, request) as typeof module.get),
  ];
}

interface Agents {
  addRequest: (program: http.ClientRequest, options: AskedRequest["options"], ...more: unknown[]) => void;
}

/**
 * Requests that come here within a run have passed by the substitutes: whoever made them has a reference to the
 * platform's own functions, as instrumentations of ESM do, or has called `new ClientRequest()`.
 */
function patchAgents(agents: http.Agent): Undo {
  return patch(agents as unknown as Agents, "addRequest", (original) =>
    resemble(function (this: Agents, program, options, ...more) {
      const capture = capturing();
      if (capture === undefined)
        return passBy(() => Reflect.apply(original, this, [program, options, ...more]));
      const asked = readAgain(program, options);
      if (asked.opensTunnel) {
        mustNotReplay(capture, "it asks for a tunnel or another protocol, which is not captured");
        return Reflect.apply(original, this, [program, options, ...more]);
      }
      takeOver(program, capture, asked, (own) => new http.ClientRequest(own as http.RequestOptions));
    }, original),
  );
}

function capturing(): Captured | undefined {
  const capture = captured("http");
  if (capture !== undefined) return capture;
  const call = activeCall();
  const conductor = call?.run.conductor;
  if (call?.run.closed === true && conductor?.replaying === true && call.run.captures.has("http")) {
    mustNotReplay({ call, conductor }, "it began after the run had ended");
  }
  return undefined;
}

/** Does what is not captured. What a bystander sends belongs to no run, and is not sent in a replay. */
function passBy<T>(body: () => T): T {
  const bystander = bystanding("http");
  if (bystander === undefined) return body();
  mustNotReplay(bystander, "it is no part of the run: tracing or logging has asked for it");
  return detached(body);
}

/** A replay reaches nothing outside. */
function mustNotReplay({ call, conductor }: Captured, why: string): void {
  if (conductor.replaying) throw effectNotRecorded("http", call.definition.name, why);
}
