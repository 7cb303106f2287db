/**
 * The pools of `knex`. Within a run to be given a connection is an effect; which one that is, and whether it had to be
 * made first, is the pool's own business. What is asked through it is captured by the capture of its driver.
 */
import type { Capture } from "../capture/capture.js";
import { type CapturedMethod, type CaptureTools, defineCapture } from "../capture/define-capture.js";
import { plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";
import { HindcastError } from "../errors.js";

/** The class `Client` that all dialects of `knex` are made of: `knex.Client`. */
export interface KnexClientClass {
  readonly prototype: { acquireConnection(...input: never[]): unknown };
}

/** Inside of a client of knex. */
interface KnexClient {
  readonly driver?: { readonly Client?: new (settings: unknown) => object };
  readonly connectionSettings?: unknown;
  /** Of the server, once it has been asked. */
  version?: unknown;
}

/** Captures pools of knex: `hindcast({ capture: { pg: pgCapture(pg), knex: knexCapture(knex.Client) } })`. */
export function knexCapture(Client: KnexClientClass): Capture {
  const prototype = (Client as Partial<KnexClientClass> | undefined)?.prototype;
  if (typeof prototype?.acquireConnection !== "function") {
    throw new HindcastError("invalid-options", "knexCapture(Client): give the class knex.Client.");
  }
  return defineCapture({
    name: "knex",
    target: Client,
    patch: (tools) => {
      const methods = prototype as unknown as Record<string, CapturedMethod>;
      return [
        tools.method(methods, "acquireConnection", (original) => acquire(original, tools)),
        tools.method(methods, "releaseConnection", (original) => release(original, tools)),
      ];
    },
  });
}

/** Connections that a replay has made up. */
const standIns = new WeakSet<object>();

interface Given {
  readonly version: unknown;
}

function acquire(original: CapturedMethod, { run, inside }: CaptureTools): CapturedMethod {
  return withSelf(async (self, input) => {
    const current = run();
    if (current === undefined) return original.apply(self, [...input]);
    const client = self as KnexClient;
    let real: unknown;
    const given = await current.promise<Given>(
      { name: "acquire", input: [], record: { error: plainError } },
      (arrive) => {
        (original.apply(self, [...input]) as Promise<unknown>).then(
          (connection) => {
            real = connection;
            arrive({ status: "ok", value: { version: client.version } });
          },
          (error: unknown) => arrive({ status: "error", error }),
        );
      },
    );
    if (real !== undefined) return real;
    client.version ??= given.version;
    const { driver, connectionSettings } = client;
    const Connection = driver?.Client;
    const standIn = Connection === undefined ? {} : inside(() => new Connection(connectionSettings));
    standIns.add(standIn);
    return standIn;
  });
}

/** What a pool does when it gets a connection back is no part of the run that gives it back. */
function release(original: CapturedMethod, { inside }: CaptureTools): CapturedMethod {
  return withSelf((self, input) => {
    const [connection] = input;
    if (typeof connection === "object" && connection !== null && standIns.has(connection)) {
      return Promise.resolve();
    }
    return inside(() => original.apply(self, [...input]));
  });
}
