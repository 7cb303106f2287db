/**
 * Messages that the program sends to itself, by a channel both ports of which are in this thread: schedulers do. A message
 * comes in a macrotask of its own, so that one which a run has sent is an effect: it is handed over in its turn, and sent
 * again in a replay.
 *
 * Invariants
 * 1. A port gets its messages in the order in which they were sent, whoever sent them.
 * 2. A channel of which a port has gone to another thread is left alone: its messages come from outside.
 * 3. What waits for a turn that never comes, as the run is over, comes then.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import threads, { MessagePort } from "node:worker_threads";
import { setImmediateOriginal } from "../originals.js";
import { captured } from "./captured.js";
import { type Method, nextComputation } from "./computed.js";
import { patch, resemble, type Undo } from "./patch.js";
import { neverSuspected, suspectedAgain } from "./undeclared.js";

const MESSAGE = "message";
/** What the platform calls with each message, on all lines of Node. */
const DISPATCH = Symbol.for("nodejs.internal.kHybridDispatch");

/** A message that has been sent, until it is taken. */
interface Sent {
  /** Called when it has come; undefined where no run has sent it. */
  readonly arrive: (() => void) | undefined;
  /** Gives it to the program, once it has come. */
  take?: () => void;
  /** Whether its turn has come. */
  due: boolean;
}

interface Inbox {
  readonly peer: MessagePort;
  /** Sent to this port, and not come yet. */
  readonly onTheWay: Sent[];
  /** Come, and not taken yet: the first waits for its turn. */
  readonly come: Sent[];
}

/** Of ports whose other end is in this thread. */
const inboxes = new WeakMap<object, Inbox>();

type Ports = Record<string | symbol, Method>;

export function patchMessages(): Undo[] {
  const methods = MessagePort.prototype as unknown as Ports;
  if (methods[DISPATCH] === undefined) return [];
  const Channel = new Proxy(threads.MessageChannel, {
    construct(target, input: unknown[], made: new () => unknown) {
      const channel = Reflect.construct(target, input, made) as threads.MessageChannel;
      follow(channel);
      return channel;
    },
  });
  return [
    patch(threads, "MessageChannel", () => Channel),
    patch(globalThis, "MessageChannel", () => Channel),
    patch(methods, "postMessage", createPost),
    patch(methods, DISPATCH, createDispatch),
    patch(threads, "receiveMessageOnPort", (original) =>
      resemble((port: threads.MessagePort) => {
        const received = original(port);
        if (received !== undefined) inboxes.get(port)?.onTheWay.shift();
        return received;
      }, original),
    ),
  ];
}

function follow({ port1, port2 }: threads.MessageChannel): void {
  inboxes.set(port1, { peer: port2, onTheWay: [], come: [] });
  inboxes.set(port2, { peer: port1, onTheWay: [], come: [] });
  for (const port of [port1, port2]) neverSuspected(port);
}

/** One of its ports goes to another thread. */
function letGo(port: unknown): void {
  const inbox = port instanceof MessagePort ? inboxes.get(port) : undefined;
  if (inbox === undefined) return;
  for (const one of [port as MessagePort, inbox.peer]) {
    inboxes.delete(one);
    suspectedAgain(one);
  }
}

function createPost(original: Method): Method {
  return resemble<Method>(function (...input) {
    transferred(input[1]).forEach(letGo);
    const inbox = inboxes.get(this as object);
    const far = inbox && inboxes.get(inbox.peer);
    if (far === undefined) return Reflect.apply(original, this, input);
    const send = (sent: Sent): unknown => {
      const result = Reflect.apply(original, this, input);
      far.onTheWay.push(sent);
      return result;
    };
    const capture = captured("timers");
    if (capture === undefined) return send({ arrive: undefined, due: true });
    const { call, conductor } = capture;
    let result: unknown;
    const giveOut = (sent: Sent): void => {
      sent.due = true;
      takeDue(far);
    };
    let sent: Sent | undefined;
    conductor.start(
      nextComputation(call, "MessagePort.message"),
      [],
      (arrive) => {
        sent = { arrive: () => arrive({ status: "ok", value: undefined }), due: false };
        result = send(sent);
      },
      () => sent && giveOut(sent),
    );
    call.run.atEnd(() => sent && giveOut(sent));
    return result;
  }, original);
}

function transferred(given: unknown): readonly unknown[] {
  if (Array.isArray(given)) return given;
  const { transfer } = (given ?? {}) as { readonly transfer?: unknown };
  return Array.isArray(transfer) ? transfer : [];
}

function createDispatch(original: Method): Method {
  return resemble<Method>(function (...input) {
    const inbox = input[1] === MESSAGE ? inboxes.get(this as object) : undefined;
    const sent = inbox?.onTheWay.shift();
    if (inbox === undefined || sent === undefined) return Reflect.apply(original, this, input);
    if (sent.due && inbox.come.length === 0) return Reflect.apply(original, this, input);
    // Taken in the context in which the platform gives it.
    const inContext = AsyncLocalStorage.snapshot();
    sent.take = () => inContext(() => void Reflect.apply(original, this, input));
    inbox.come.push(sent);
    sent.arrive?.();
    return undefined;
  }, original);
}

/** Gives the program what has come, up to the first that waits for its turn. */
function takeDue(inbox: Inbox): void {
  const { come } = inbox;
  for (let first = come[0]; first?.due === true; first = come[0]) {
    come.shift();
    let taken = false;
    try {
      first.take?.();
      taken = true;
    } finally {
      // What the program throws is its own, and keeps nothing from coming.
      if (!taken && come[0]?.due === true) setImmediateOriginal(takeDue, inbox);
    }
  }
}
