import type { Hindcast } from "hindcast";
import type { Mishap, ModelServer } from "./model-server.js";

/** What a program is made from. A replay makes it anew, in another process even. */
export interface Setting {
  readonly hc: Hindcast;
  /** Where the model server is, or was. */
  readonly url: string;
  /** Notes what the program has seen. */
  readonly see: (what: unknown) => void;
}

/** A program that asks a model, through a vendor's client. */
export interface Program {
  /** What befalls its requests. */
  readonly mishaps?: readonly Mishap[];
  /** What it is called with; nothing by default. */
  readonly input?: (server: ModelServer) => readonly unknown[];
  /** The root, to be wrapped. */
  readonly make: (setting: Setting) => (...input: never[]) => unknown;
}

/** The keys that the clients are given, and that no capsule may hold. */
export const SECRETS = { openai: "sk-test-oNotInAnyCapsule", anthropic: "sk-ant-test-aNotInAnyCapsule" };

/** Notes into `seen`, as plain data: the clients go on changing what they have handed out. */
export function noteInto(seen: unknown[]): Setting["see"] {
  return (what) => void seen.push(inPlainData(what));
}

export function inPlainData(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value) ?? "null");
}

type ErrorClass = abstract new (...input: never[]) => Error;

/** What can be told of an error in plain data, down to its cause; `classes` are the vendor's own. */
export function told(error: unknown, classes: readonly ErrorClass[]): unknown {
  if (!(error instanceof Error)) return String(error);
  const { status, code, requestID, type } = error as Error & Partial<Record<string, unknown>>;
  const is = classes.filter((known) => error instanceof known).map(({ name }) => name);
  const cause = error.cause === undefined ? undefined : told(error.cause, classes);
  return { is, text: String(error), status, code, requestID, type, cause };
}

/** A signal that aborts so many milliseconds after the server has had the next request. */
export function abortAfterRequest(server: ModelServer, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  void server.nextRequest().then(() => setTimeout(() => controller.abort(), milliseconds));
  return controller.signal;
}
