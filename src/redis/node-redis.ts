/** The package `redis`: commands go through `sendCommand`, what is sent together through two methods of its own. */
import { patchGetter, type Undo } from "../ambient/patch.js";
import type { CapturedEffect, CapturedRun } from "../capture/captured-run.js";
import type { CapturedMethod, CaptureTools } from "../capture/define-capture.js";
import { errorOf, plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";
import { type ErrorClasses, plainReply, replyOf } from "./reply.js";

/** The package `redis`, or `@redis/client`. */
export interface NodeRedisModule {
  createClient(): unknown;
}

type Methods = Record<string, CapturedMethod>;
type Listener = (...input: unknown[]) => void;

const SUBSCRIBING = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] as const;
const UNSUBSCRIBING = ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"] as const;
/** Promises that open and close connections. */
const CONNECTING = ["connect", "close", "QUIT", "disconnect"] as const;

export function patchNodeRedis(module: NodeRedisModule, tools: CaptureTools): Undo[] {
  const { method, run, inside } = tools;
  const classes = module as unknown as ErrorClasses;
  // The class is to be had from a client alone: one that is never connected.
  const methods = prototypeOf(
    inside(() => module.createClient()),
    "sendCommand",
  );
  const listeners = new WeakMap<Listener, Listener>();

  const commands = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((self, input) => {
        const current = run();
        if (current === undefined) return original.apply(self, [...input]);
        const sent = (input[0] as readonly { readonly args: readonly unknown[] }[]).map(({ args }) => [
          ...args,
        ]);
        return asked(
          current,
          { name: name === "_executeMulti" ? "multi" : "pipeline", input: sent },
          classes,
          () => original.apply(self, [...input]),
        );
      }),
    );
  const connecting = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((self) => {
        const current = run();
        if (current === undefined) return original.call(self);
        let given: unknown;
        return current
          .promise({ name: name.toLowerCase(), input: [], otherwise: () => undefined }, (arrive) => {
            (original.call(self) as Promise<unknown>).then(
              (value) => {
                given = value;
                arrive({ status: "ok", value: typeof value === "string" ? value : undefined });
              },
              (error: unknown) => arrive({ status: "error", error }),
            );
          })
          .then((value) => given ?? (name === "connect" ? self : value));
      }),
    );
  const subscribing = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((self, input) => {
        const [channels, listener, ...rest] = input;
        const current = typeof listener === "function" ? run() : undefined;
        if (current === undefined) return original.apply(self, [...input]);
        let tell: ((told: readonly unknown[]) => void) | undefined;
        current.follow<readonly unknown[]>(
          { name: "message", input: [channels] },
          (next) => {
            tell = next;
          },
          (told) => {
            Reflect.apply(listener as Listener, undefined, told);
            return undefined;
          },
        );
        const heard: Listener = (...told) => tell?.(told);
        listeners.set(listener as Listener, heard);
        return asked(current, { name: name.toLowerCase(), input: [channels] }, classes, () =>
          original.call(self, channels, heard, ...rest),
        );
      }),
    );
  const unsubscribing = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((self, input) => {
        const [channels, listener, ...rest] = input;
        const heard = listeners.get(listener as Listener) ?? listener;
        const current = run();
        if (current === undefined) return original.call(self, channels, heard, ...rest);
        return asked(current, { name: name.toLowerCase(), input: [channels] }, classes, () =>
          original.call(self, channels, heard, ...rest),
        );
      }),
    );

  return [
    method(methods, "sendCommand", (original) =>
      withSelf((self, input) => {
        const current = run();
        if (current === undefined) return original.apply(self, [...input]);
        const [name, ...rest] = [...(input[0] as readonly unknown[])];
        return asked(current, { name: String(name).toLowerCase(), input: rest }, classes, () =>
          original.apply(self, [...input]),
        );
      }),
    ),
    commands("_executeMulti"),
    commands("_executePipeline"),
    ...CONNECTING.map(connecting),
    ...SUBSCRIBING.map(subscribing),
    ...UNSUBSCRIBING.map(unsubscribing),
    method(methods, "destroy", (original) =>
      withSelf((self) => {
        const destroy = (): unknown => original.call(self);
        const current = run();
        return current === undefined ? destroy() : current.effect({ name: "destroy", input: [] }, destroy);
      }),
    ),
    // Whether there is a connection depends on what other runs have done.
    ...["isOpen", "isReady"].map((name) =>
      patchGetter(
        methods,
        name,
        (original) =>
          function (this: object) {
            const read = (): unknown => original.call(this);
            const current = run();
            return current === undefined
              ? read()
              : current.effect({ name: name.toLowerCase(), input: [], otherwise: () => true }, read);
          },
      ),
    ),
  ];
}

/** What a client is asked, and answers in a promise. */
function asked(
  current: CapturedRun,
  effect: CapturedEffect,
  classes: ErrorClasses,
  perform: () => unknown,
): Promise<unknown> {
  const conversions = {
    record: { error: plainError },
    revive: { error: (plain: unknown) => errorOf(plain, classes) },
  };
  return current
    .promise({ ...effect, ...conversions }, (arrive) => {
      Promise.resolve(perform()).then(
        (reply) => arrive({ status: "ok", value: plainReply(reply) }),
        (error: unknown) => arrive({ status: "error", error }),
      );
    })
    .then((reply) => replyOf(reply, classes));
}

/** The prototype that has the method: clients are made of classes of their own. */
function prototypeOf(client: unknown, name: string): Methods {
  let owner: object = client as object;
  while (!Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object;
  return owner as Methods;
}
