/** What `request` and `get` of `node:http` are called with. */
import type http from "node:http";
import type https from "node:https";

type Options = http.RequestOptions & { readonly _defaultAgent?: http.Agent };

export interface AskedRequest {
  readonly address: string | URL | undefined;
  readonly options: Options;
  readonly callback: ((response: http.IncomingMessage) => void) | undefined;
  /** The agent that Node would take; undefined where the request makes a connection of its own. */
  readonly agent: http.Agent | undefined;
  /** What follows the response is no HTTP any more. */
  readonly opensTunnel: boolean;
  /** The headers, where they are given as a list. */
  readonly listed: readonly unknown[] | undefined;
}

/** Reads them as Node does. What it would refuse stays as it is, for Node to refuse. */
export function readRequest(module: typeof http | typeof https, input: readonly unknown[]): AskedRequest {
  const [first] = input;
  const address = isAddress(first) ? first : undefined;
  const [given, last] = address === undefined ? input : input.slice(1);
  const options = { ...(typeof given === "function" ? undefined : (given as Options)) };
  const callback = (typeof given === "function" ? given : last) as AskedRequest["callback"];
  const { headers } = options;
  return {
    address,
    options,
    callback,
    agent: agentOf(module, options),
    opensTunnel: /^connect$/i.test(options.method ?? "") || hasUpgrade(headers),
    listed: Array.isArray(headers) ? headers.flat() : undefined,
  };
}

/** The same of a request that is there already, and is about to be given a socket by its agent. */
export function readAgain(program: http.ClientRequest, options: Options): AskedRequest {
  const agent = (program as { readonly agent?: http.Agent }).agent;
  const { headers } = options;
  return {
    address: undefined,
    options: { ...options, agent },
    callback: undefined,
    agent,
    opensTunnel: /^connect$/i.test(program.method) || hasUpgrade(headers),
    listed: Array.isArray(headers) ? headers.flat() : undefined,
  };
}

/** As Node tells them from options. */
function isAddress(value: unknown): value is string | URL {
  if (typeof value === "string") return true;
  const { href, protocol, auth, path } = (value ?? {}) as Record<string, unknown>;
  return Boolean(href) && Boolean(protocol) && auth === undefined && path === undefined;
}

function agentOf(module: typeof http | typeof https, options: Options): http.Agent | undefined {
  const { agent, createConnection, _defaultAgent: usual = module.globalAgent } = options;
  if (agent === false) return new (usual.constructor as typeof http.Agent)();
  if (agent !== undefined && agent !== null) return agent as http.Agent;
  return typeof createConnection === "function" ? undefined : usual;
}

function hasUpgrade(headers: unknown): boolean {
  if (typeof headers !== "object" || headers === null) return false;
  const names: unknown[] = Array.isArray(headers) ? headers.flat() : Object.keys(headers);
  return names.some((name) => typeof name === "string" && name.toLowerCase() === "upgrade");
}
