/**
 * One exchange of a run. The program's handler is told of it in turns; while it is recorded, another one is given to the
 * dispatcher, and what that is told goes through the run.
 *
 * Invariants
 * 1. The head of the response is the result of the effect; each chunk, the end and a failure after it are effects of
 *    their own, in the order in which they came.
 * 2. What follows is waited for only where the program wants to be told more: so a pause is kept in a replay.
 * 3. A body that is sent in pieces is read one piece at a time, and the next one when that has been sent.
 */
import { PassThrough } from "node:stream";
import { withoutCredentials } from "../ambient/credentials.js";
import { isPropagationHeader } from "../ambient/propagation-headers.js";
import type { CapturedOutcome, CapturedRun } from "../capture/captured-run.js";
import type { CaptureTools } from "../capture/define-capture.js";
import { errorOf, plainError } from "../capture/plain-error.js";
import { type Handler, handlerOf, type ParseHeaders, type RawHeaders, Telling } from "./handler.js";

export type Dispatch = (options: DispatchOptions, handler: Handler) => unknown;

/** What a dispatcher is asked for. */
export interface DispatchOptions {
  readonly origin?: string | URL | null;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: unknown;
  readonly body?: unknown;
  readonly upgrade?: unknown;
}

/** What is used of the package besides its classes. */
export interface ExchangeTools {
  readonly parseHeaders: ParseHeaders;
  readonly errors: Readonly<Record<string, unknown>>;
  readonly inside: CaptureTools["inside"];
}

interface Head {
  readonly status: number;
  readonly message: string;
  readonly rawHeaders: RawHeaders;
}

type ExchangeEvent =
  | { readonly event: "data"; readonly chunk: Uint8Array }
  | { readonly event: "end"; readonly trailers: RawHeaders };

/** What may wait to be handed over before the real response is paused. */
const AHEAD = 8;

const REQUEST = "request";

export class Exchange {
  readonly #run: CapturedRun;
  readonly #dispatch: Dispatch;
  readonly #options: DispatchOptions;
  readonly #tools: ExchangeTools;
  readonly #telling: Telling;
  readonly #pieces: PassThrough | undefined;
  readonly #arrived: CapturedOutcome<ExchangeEvent>[] = [];
  #arrive: ((outcome: CapturedOutcome<ExchangeEvent>) => void) | undefined;
  #resumeReal: (() => void) | undefined;
  #abortReal: ((reason: unknown) => void) | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  #paused = false;
  #over = false;

  constructor(
    run: CapturedRun,
    dispatch: Dispatch,
    options: DispatchOptions,
    handler: Handler,
    tools: ExchangeTools,
  ) {
    this.#run = run;
    this.#dispatch = dispatch;
    this.#options = options;
    this.#tools = tools;
    this.#telling = new Telling(
      handler,
      tools.parseHeaders,
      (reason) => this.#abort(reason),
      () => this.#resume(),
    );
    // The exchange says itself why it has failed.
    if (isInPieces(options.body)) this.#pieces = new PassThrough().on("error", () => undefined);
  }

  begin(): void {
    this.#run.start<Head>(
      { name: REQUEST, input: [this.#description()], ...this.#conversions() },
      (arrive) => this.#ask(arrive),
      (outcome) => this.#handHead(outcome),
    );
    this.#telling.connected();
    if (this.#pieces !== undefined) void this.#send(this.#pieces);
  }

  #conversions(): Pick<Parameters<CapturedRun["start"]>[0], "record" | "revive"> {
    return {
      record: { error: plainError },
      revive: { error: (plain: unknown) => errorOf(plain, this.#tools.errors) },
    };
  }

  #description(): Record<string, unknown> {
    const { origin, path, method, headers, body } = this.#options;
    const shown = pairsOf(headers)
      .filter(([name]) => !isPropagationHeader(name))
      .map(([name, value]) => [name, withoutCredentials(name, value)]);
    const sent = this.#pieces === undefined && body !== undefined && body !== null ? { body } : {};
    return {
      method: method ?? "GET",
      url: `${origin?.toString() ?? ""}${path ?? ""}`,
      headers: shown,
      ...sent,
    };
  }

  // The real one.

  #ask(arrive: (outcome: CapturedOutcome<Head>) => void): void {
    let answered = false;
    const handler = handlerOf({
      connected: (abort) => {
        this.#abortReal = abort;
        if (this.#aborted !== undefined) abort(this.#aborted.reason);
      },
      head: (status, rawHeaders, message, resume) => {
        if (status < 200) return true; // what is said before the response is no part of it
        this.#resumeReal = resume;
        answered = true;
        arrive({ status: "ok", value: { status, message, rawHeaders } });
        return true;
      },
      data: (chunk) => this.#enter({ status: "ok", value: { event: "data", chunk } }),
      end: (trailers) => void this.#enter({ status: "ok", value: { event: "end", trailers } }),
      error: (error) => {
        if (answered) this.#enter({ status: "error", error });
        else arrive({ status: "error", error });
        answered = true;
      },
    });
    const { body } = this.#options;
    this.#dispatch({ ...this.#options, body: this.#pieces ?? body }, handler);
  }

  /** Whether the real one may go on. */
  #enter(outcome: CapturedOutcome<ExchangeEvent>): boolean {
    this.#arrived.push(outcome);
    this.#pump();
    return this.#arrived.length < AHEAD;
  }

  #pump(): void {
    if (this.#arrive === undefined) return;
    const first = this.#arrived.shift();
    if (first === undefined) return;
    const arrive = this.#arrive;
    this.#arrive = undefined;
    arrive(first);
    if (this.#arrived.length === 0) this.#tools.inside(() => this.#resumeReal?.());
  }

  #abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#tools.inside(() => this.#abortReal?.(reason));
    // What is told of that must be heard, also by somebody who has paused.
    this.#resume();
  }

  // What the program is told.

  #handHead(outcome: CapturedOutcome<Head>): void {
    if (outcome.status === "error") return this.#fail(outcome.error);
    const { status, message, rawHeaders } = outcome.value;
    if (!Array.isArray(rawHeaders)) return this.#answerWhole(outcome.value);
    this.#tell(() => this.#telling.head(status, rawHeaders, message));
  }

  /** A response that a replay was given a function for: it comes whole. */
  #answerWhole({ status = 200, headers = [], body = "" }: WholeResponse): void {
    this.#over = true;
    this.#telling.head(status, headers.flat(), "");
    const bytes = Buffer.from(body as string);
    if (bytes.length > 0) this.#telling.data(bytes);
    this.#telling.end([]);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#next();
  }

  /** Waits for what comes next, where the program wants it. */
  #next(): void {
    if (this.#over) return;
    if (this.#paused) return this.#telling.pause();
    this.#run.start<ExchangeEvent>(
      { name: "stream", input: [], of: REQUEST, ...this.#conversions() },
      (arrive) => {
        this.#arrive = arrive;
        this.#pump();
      },
      (outcome) => {
        if (outcome.status === "error") return this.#fail(outcome.error);
        this.#hand(outcome.value);
      },
    );
  }

  #hand(told: ExchangeEvent): void {
    this.#tell(() => {
      if (told.event === "data") return this.#telling.data(bytesOf(told.chunk));
      this.#over = true;
      this.#telling.end(told.trailers);
      return true;
    });
  }

  /** The program may pause while it is told, or abort; one that throws has aborted. */
  #tell(body: () => boolean): void {
    try {
      this.#paused = !body();
    } catch (error) {
      this.#abort(error);
      this.#over = false;
      return this.#fail(error);
    }
    this.#next();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#tools.inside(() => this.#pieces?.destroy());
    // The program's own reason, which in a replay is not the one that was recorded.
    this.#telling.error(this.#aborted === undefined ? error : this.#aborted.reason);
  }

  // What the program sends.

  async #send(pieces: PassThrough): Promise<void> {
    try {
      for await (const chunk of this.#options.body as AsyncIterable<unknown>) {
        await this.#run.promise({ name: "sent", input: [chunk], of: REQUEST }, (arrive) => {
          pieces.write(chunk, (error) =>
            arrive(error ? { status: "error", error } : { status: "ok", value: undefined }),
          );
        });
      }
      this.#tools.inside(() => pieces.end());
    } catch (error) {
      // What the program sends has failed; or the exchange has, which says so itself.
      this.#tools.inside(() => pieces.destroy(error as Error));
    }
  }
}

/** What a function gives that stands for an exchange in a replay. */
interface WholeResponse {
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
}

/** A copy that the program may have. */
function bytesOf(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

function isInPieces(body: unknown): boolean {
  if (typeof body !== "object" || body === null || ArrayBuffer.isView(body)) return false;
  return typeof (body as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === "function";
}

/** Headers as they may be given: a list of names and values in turn, of pairs, an iterable of pairs, an object. */
function pairsOf(headers: unknown): [string, unknown][] {
  if (typeof headers !== "object" || headers === null) return [];
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    const pairs: [string, unknown][] = [];
    for (let at = 0; at + 1 < headers.length; at += 2) pairs.push([String(headers[at]), headers[at + 1]]);
    return pairs;
  }
  const isIterable = typeof (headers as Partial<Iterable<unknown>>)[Symbol.iterator] === "function";
  const pairs = isIterable ? [...(headers as Iterable<[unknown, unknown]>)] : Object.entries(headers);
  return pairs.map(([name, value]) => [String(name), value]);
}
