/**
 * Who is told of an exchange: in the older manner by `onConnect`, `onHeaders`, `onData` …, in the newer one by
 * `onRequestStart`, `onResponseStart`, `onResponseData` … with a controller.
 */

/** Names and values in turn, as they came. */
export type RawHeaders = readonly (string | readonly string[])[];

type Told = (...input: unknown[]) => unknown;

/** A handler of the program's, or of `undici` itself. */
export type Handler = Partial<Record<HandlerMethod, Told>>;

export type HandlerMethod =
  | "onConnect"
  | "onHeaders"
  | "onData"
  | "onComplete"
  | "onError"
  | "onUpgrade"
  | "onRequestStart"
  | "onRequestUpgrade"
  | "onResponseStart"
  | "onResponseData"
  | "onResponseEnd"
  | "onResponseError"
  | "onResponseStarted";

/** What the package makes of headers. */
export type ParseHeaders = (raw: readonly unknown[]) => Record<string, unknown>;

/** Tells a handler, whichever manner it has. Each method says whether it wants to be told more. */
export class Telling {
  readonly #handler: Handler;
  readonly #parse: ParseHeaders;
  readonly #controller: Controller;

  /** `abort` and `resume` are what it may ask for. */
  constructor(handler: Handler, parse: ParseHeaders, abort: (reason: unknown) => void, resume: () => void) {
    this.#handler = handler;
    this.#parse = parse;
    this.#controller = new Controller(abort, resume);
  }

  get #isNew(): boolean {
    return typeof this.#handler.onRequestStart === "function";
  }

  connected(): void {
    const controller = this.#controller;
    if (this.#isNew) this.#handler.onRequestStart?.(controller, {});
    else this.#handler.onConnect?.((reason: unknown) => controller.abort(reason), null);
  }

  head(status: number, headers: RawHeaders, message: string): boolean {
    const raw = bytesOf(headers);
    this.#handler.onResponseStarted?.();
    if (!this.#isNew) {
      return this.#handler.onHeaders?.(status, raw, () => this.#controller.resume(), message) !== false;
    }
    this.#controller.rawHeaders = raw;
    this.#handler.onResponseStart?.(this.#controller, status, this.#parse(raw), message);
    return !this.#controller.paused;
  }

  data(chunk: Buffer): boolean {
    if (!this.#isNew) return this.#handler.onData?.(chunk) !== false;
    this.#handler.onResponseData?.(this.#controller, chunk);
    return !this.#controller.paused;
  }

  /** It has paused in the older manner, by what it returned. */
  pause(): void {
    this.#controller.pause();
  }

  end(trailers: RawHeaders): void {
    const raw = bytesOf(trailers);
    if (!this.#isNew) return void this.#handler.onComplete?.(raw);
    this.#controller.rawTrailers = raw;
    this.#handler.onResponseEnd?.(this.#controller, this.#parse(raw));
  }

  error(error: unknown): void {
    if (!this.#isNew) return void this.#handler.onError?.(error);
    this.#handler.onResponseError?.(this.#controller, error);
  }
}

class Controller {
  rawHeaders: readonly unknown[] | null = null;
  rawTrailers: readonly unknown[] | null = null;
  paused = false;
  aborted = false;
  reason: unknown = null;
  readonly #abort: (reason: unknown) => void;
  readonly #resume: () => void;

  constructor(abort: (reason: unknown) => void, resume: () => void) {
    this.#abort = abort;
    this.#resume = resume;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#resume();
  }

  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#abort(reason);
  }
}

/** What a handler of ours is told, whichever manner the package has. */
export interface Listening {
  connected(abort: (reason: unknown) => void): void;
  /** `resume` goes on after one of them has returned false. */
  head(status: number, headers: RawHeaders, message: string, resume: () => void): boolean;
  data(chunk: Uint8Array): boolean;
  end(trailers: RawHeaders): void;
  error(error: unknown): void;
}

interface RealController {
  readonly rawHeaders?: readonly unknown[] | null;
  readonly rawTrailers?: readonly unknown[] | null;
  abort(reason: unknown): void;
  pause(): void;
  resume(): void;
}

/** A handler of both manners: the package takes the one that it knows. */
export function handlerOf(listening: Listening): Handler {
  const goOn = (controller: RealController, wants: boolean): void => {
    if (!wants) controller.pause();
  };
  const methods = {
    onConnect: (abort: (reason: unknown) => void) => listening.connected(abort),
    onHeaders: (status: number, raw: readonly unknown[], resume: () => void, message: string) =>
      listening.head(status, textsOf(raw), message, resume),
    onData: (chunk: Uint8Array) => listening.data(chunk),
    onComplete: (raw: readonly unknown[] | null) => listening.end(textsOf(raw ?? [])),
    onError: (error: unknown) => listening.error(error),
    onRequestStart: (controller: RealController) => listening.connected((reason) => controller.abort(reason)),
    onResponseStart: (controller: RealController, status: number, headers: object, message?: string) => {
      const raw = controller.rawHeaders ?? Object.entries(headers).flat();
      const resume = (): void => controller.resume();
      goOn(controller, listening.head(status, textsOf(raw), message ?? "", resume));
    },
    onResponseData: (controller: RealController, chunk: Uint8Array) =>
      goOn(controller, listening.data(chunk)),
    onResponseEnd: (controller: RealController, trailers: object | null) =>
      listening.end(textsOf(controller.rawTrailers ?? Object.entries(trailers ?? {}).flat())),
    onResponseError: (_controller: RealController, error: unknown) => listening.error(error),
  };
  return methods as unknown as Handler;
}

function textsOf(raw: readonly unknown[]): RawHeaders {
  return raw.map((part) => (Array.isArray(part) ? part.map(textOf) : textOf(part)));
}

function textOf(part: unknown): string {
  return Buffer.isBuffer(part) ? part.toString("latin1") : String(part);
}

function bytesOf(headers: RawHeaders): unknown[] {
  return headers.map((part) =>
    typeof part === "string" ? Buffer.from(part, "latin1") : part.map((one) => Buffer.from(one, "latin1")),
  );
}
