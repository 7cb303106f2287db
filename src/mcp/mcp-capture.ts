/**
 * Clients of the Model Context Protocol, by its TypeScript SDK. Within a run each request and each notification is an
 * effect, whatever the transport: HTTP, server-sent events or a process. To connect is no part of a run.
 */
import type { Undo } from "../ambient/patch.js";
import type { Capture } from "../capture/capture.js";
import type { CapturedEffect, CapturedRun } from "../capture/captured-run.js";
import { type CapturedMethod, type CaptureTools, defineCapture } from "../capture/define-capture.js";
import { errorOf, plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";
import { HindcastError } from "../errors.js";

/** The class `Client` of `@modelcontextprotocol/sdk/client/index.js`. */
export interface McpClientClass {
  readonly prototype: { request(...input: never[]): unknown; connect(...input: never[]): unknown };
}

/** Classes of errors that a replay gives as such; `McpError` of `@modelcontextprotocol/sdk/types.js` above all. */
export type McpErrorClass = abstract new (...input: never[]) => Error;

/** Captures what clients of the SDK ask: `hindcast({ capture: { mcp: mcpCapture(Client, McpError) } })`. */
export function mcpCapture(Client: McpClientClass, ...errors: readonly McpErrorClass[]): Capture {
  if (typeof (Client as Partial<McpClientClass> | undefined)?.prototype?.request !== "function") {
    throw new HindcastError(
      "invalid-options",
      "mcpCapture(Client, McpError): give the class Client of @modelcontextprotocol/sdk/client/index.js.",
    );
  }
  const classes = Object.fromEntries(errors.map((one) => [one.name, one]));
  return defineCapture({
    name: "mcp",
    target: Client,
    preparations: ["connect"],
    patch: (tools) => patchClient(Client.prototype, classes, tools),
  });
}

type Methods = Record<string, CapturedMethod>;
type ErrorClasses = Readonly<Record<string, unknown>>;

interface AskedRequest {
  readonly method: string;
  readonly params?: unknown;
}

interface RequestOptions {
  readonly onprogress?: (progress: unknown) => void;
  readonly [option: string]: unknown;
}

/** What a client knows of its server once it is connected. */
const SERVER = ["_serverCapabilities", "_serverVersion", "_instructions", "_negotiatedProtocolVersion"];

function patchClient(prototype: object, classes: ErrorClasses, { run, method }: CaptureTools): Undo[] {
  const client = prototype as Methods;
  const protocol = ownerOf(prototype, "request");
  return [
    method(protocol, "request", (original) =>
      withSelf((self, input) => {
        const current = run();
        if (current === undefined) return original.apply(self, [...input]);
        const [{ method: name, params }, schema, options, ...rest] = input as [
          AskedRequest,
          unknown,
          RequestOptions | undefined,
        ];
        const followed = followProgress(current, name, options);
        const asked = params === undefined ? [] : [params];
        return inTurn(current, effectOf(name, asked, classes), () =>
          original.call(self, input[0], schema, followed, ...rest),
        );
      }),
    ),
    method(protocol, "notification", (original) =>
      withSelf((self, input) => {
        const current = run();
        if (current === undefined) return original.apply(self, [...input]);
        const { method: name, params } = input[0] as AskedRequest;
        const told = params === undefined ? [] : [params];
        return inTurn(current, effectOf(name, told, classes), () => original.apply(self, [...input]));
      }),
    ),
    method(ownerOf(prototype, "close"), "close", (original) =>
      withSelf((self) => {
        const current = run();
        const close = (): unknown => original.call(self);
        return current === undefined ? close() : inTurn(current, effectOf("close", [], classes), close);
      }),
    ),
    method(client, "connect", (original) =>
      withSelf((self, input) => {
        const current = run();
        if (current === undefined) return original.apply(self, [...input]);
        return connect(current, self as Record<string, unknown>, classes, () =>
          original.apply(self, [...input]),
        );
      }),
    ),
  ];
}

async function connect(
  current: CapturedRun,
  client: Record<string, unknown>,
  classes: ErrorClasses,
  perform: () => unknown,
): Promise<void> {
  const effect = { ...effectOf("connect", [], classes), otherwise: () => ({}) };
  const known = await inTurn(current, effect, async () => {
    await perform();
    return Object.fromEntries(SERVER.map((field) => [field, client[field]]));
  });
  if (current.replaying) Object.assign(client, known);
}

/** Progress is told while a request goes on, and in its turn. */
function followProgress(
  current: CapturedRun,
  name: string,
  options: RequestOptions | undefined,
): RequestOptions | undefined {
  const { onprogress } = options ?? {};
  if (onprogress === undefined) return options;
  let tell: ((progress: unknown) => void) | undefined;
  current.follow<unknown>(
    { name: "progress", input: [name], of: name },
    (next) => {
      tell = next;
    },
    (progress) => {
      onprogress(progress);
      return undefined;
    },
  );
  return { ...options, onprogress: (progress) => tell?.(progress) };
}

function effectOf(name: string, input: readonly unknown[], classes: ErrorClasses): CapturedEffect {
  return {
    name,
    input,
    record: { error: plainError },
    revive: { error: (plain: unknown) => errorOf(plain, classes) },
  };
}

function inTurn(current: CapturedRun, effect: CapturedEffect, perform: () => unknown): Promise<unknown> {
  return current.promise(effect, (arrive) => {
    Promise.resolve(perform()).then(
      (value) => arrive({ status: "ok", value }),
      (error: unknown) => arrive({ status: "error", error }),
    );
  });
}

/** The prototype that has the method. */
function ownerOf(prototype: object, name: string): Methods {
  let owner = prototype;
  while (!Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object;
  return owner as Methods;
}
