/** `ioredis`: each command, also of a pipeline, goes through `sendCommand`, and settles itself by the reply. */
import type { Undo } from "../ambient/patch.js";
import { captureEvents } from "../capture/captured-events.js";
import type { CapturedMethod, CaptureTools } from "../capture/define-capture.js";
import { errorOf, plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";
import { type ErrorClasses, plainReply, replyOf } from "./reply.js";

/** The class `Redis` of `ioredis`, which is what the package exports. */
export interface IoRedisModule {
  readonly prototype: { sendCommand(...input: never[]): unknown };
}

/** What the class has besides. */
interface IoRedisMembers {
  readonly Cluster?: { readonly prototype: object };
  readonly ReplyError?: unknown;
}

/** A command, which is given to `sendCommand` with a promise that it keeps by `resolve` and `reject`. */
interface Command {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly promise: Promise<unknown>;
  readonly replyEncoding?: BufferEncoding | null;
  /** How the reply is read: by what was agreed with the server when it was connected. */
  protocol?: number;
  replyMapping?: string;
  resolve: (reply: unknown) => void;
  reject: (error: unknown) => void;
}

const MESSAGES = ["message", "messageBuffer", "pmessage", "pmessageBuffer", "smessage", "smessageBuffer"];

/** What opens and closes connections. */
const CONNECTING = ["connect", "quit"] as const;

export function patchIoRedis(Redis: IoRedisModule, tools: CaptureTools): Undo[] {
  const { Cluster, ReplyError } = Redis as IoRedisMembers;
  const classes = { ReplyError };
  const prototypes = [Redis.prototype, ...(Cluster === undefined ? [] : [Cluster.prototype])];
  return prototypes.flatMap((prototype) => {
    const methods = prototype as Record<string, CapturedMethod>;
    return [
      tools.method(methods, "sendCommand", (original) => sendCommand(original, classes, tools)),
      ...CONNECTING.filter((name) => Object.hasOwn(prototype, name)).map((name) =>
        tools.method(methods, name, (original) => open(name, original, tools)),
      ),
      ...captureEvents(prototype, MESSAGES, tools),
    ];
  });
}

function sendCommand(original: CapturedMethod, classes: ErrorClasses, { run }: CaptureTools): CapturedMethod {
  return withSelf((self, input) => {
    const current = run();
    const command = input[0] as Command;
    if (current === undefined) return original.apply(self, [...input]);
    const { resolve, reject, replyEncoding } = command;
    current.start(
      {
        name: command.name.toLowerCase(),
        input: [...command.args],
        record: { error: plainError },
        revive: { error: (plain: unknown) => errorOf(plain, classes) },
      },
      (arrive) => {
        let arrived = false;
        command.resolve = (reply) => {
          const plain = plainReply(reply, replyEncoding ?? undefined);
          if (!arrived) arrive({ status: "ok", value: inContext(plain, command) });
          arrived = true;
        };
        command.reject = (error) => {
          if (!arrived) arrive({ status: "error", error });
          arrived = true;
        };
        original.apply(self, [...input]);
      },
      (outcome) => {
        if (outcome.status === "error") reject.call(command, outcome.error);
        else resolve.call(command, replyOf(outOfContext(outcome.value, command), classes));
      },
    );
    return command.promise;
  });
}

interface ReplyInContext {
  readonly reply: unknown;
  readonly protocol: number;
  readonly replyMapping: string | undefined;
}

/** Of the older protocol it is the reply alone. */
function inContext(reply: unknown, { protocol, replyMapping }: Command): unknown {
  return protocol === undefined || protocol === 2
    ? reply
    : ({ reply, protocol, replyMapping } satisfies ReplyInContext);
}

function outOfContext(recorded: unknown, command: Command): unknown {
  const { reply, protocol, replyMapping } = (recorded ?? {}) as Partial<ReplyInContext>;
  if (typeof protocol !== "number") return recorded;
  Object.assign(command, { protocol, replyMapping });
  return reply;
}

function open(name: string, original: CapturedMethod, { run }: CaptureTools): CapturedMethod {
  return withSelf((self, input) => {
    const current = run();
    if (current === undefined) return original.apply(self, [...input]);
    const callback = input.at(-1);
    return new Promise((resolve, reject) => {
      current.start(
        { name, input: [], otherwise: () => undefined },
        (arrive) => {
          (original.call(self) as Promise<unknown>).then(
            (value) => arrive({ status: "ok", value }),
            (error: unknown) => arrive({ status: "error", error }),
          );
        },
        (outcome) => {
          const failed = outcome.status === "error";
          if (typeof callback === "function") callback(failed ? outcome.error : null);
          if (!failed) resolve(outcome.value);
          else if (typeof callback === "function") resolve(undefined);
          else reject(outcome.error);
        },
      );
    });
  });
}
