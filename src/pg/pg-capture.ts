/**
 * The driver `pg`. Within a run each query, each reading of a cursor and each notification is an effect, and so is to be
 * given a client by a pool: which one that is, and whether it had to connect first, is the pool's own business.
 *
 * In a replay a pool gives clients of its own class that are connected to nothing.
 */
import type { Undo } from "../ambient/patch.js";
import { captureEvents } from "../capture/captured-events.js";
import type { Capture } from "../capture/capture.js";
import type { CapturedOutcome, CapturedRun } from "../capture/captured-run.js";
import { type CapturedMethod, type CaptureTools, defineCapture } from "../capture/define-capture.js";
import { plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";
import { answersOf, RAW, resultsOf, typesOf } from "./answer.js";
import { captureCursor, cursorOf } from "./cursor.js";
import type {
  Callback,
  ClientInside,
  PgClient,
  PgModule,
  PgQuery,
  PgResult,
  PoolInside,
  ResultClass,
} from "./pg-module.js";
import { askedQuery, effectOf, type Errors, errorsOf, queryInRun, type QueryConfig } from "./query.js";

/** Captures what is asked through `pg`: `hindcast({ capture: { pg: pgCapture(pg) } })`. */
export function pgCapture(pg: PgModule): Capture {
  return defineCapture({
    name: "pg",
    target: pg.Client,
    preparations: ["connect"],
    patch: (tools) => new PgPatches(pg, tools).all(),
  });
}

class PgPatches {
  readonly #pg: PgModule;
  readonly #tools: CaptureTools;
  readonly #errors: Errors;
  readonly #Result: ResultClass;
  /** Of each run that is replayed, the clients that it has been given, by their number at the server. */
  readonly #standIns = new WeakMap<object, Map<number, ClientInside>>();
  /** By pool, a client that is never connected: it has the parsers of the pool's clients. */
  readonly #typed = new WeakMap<object, PgClient>();

  constructor(pg: PgModule, tools: CaptureTools) {
    this.#pg = pg;
    this.#tools = tools;
    this.#errors = errorsOf(pg);
    // Not exported by all versions.
    const Query = pg.Query as unknown as new (config: object) => PgQuery;
    this.#Result = new Query({ text: "" })._result.constructor as ResultClass;
  }

  all(): Undo[] {
    const { Client, Pool } = this.#pg;
    const { method } = this.#tools;
    const pool = ownerOf(Pool.prototype, "connect");
    return [
      method(Client.prototype, "query", (original) => this.#clientQuery(original)),
      method(Client.prototype, "connect", (original) => this.#connect(original)),
      method(Client.prototype, "end", (original) => this.#end(original)),
      ...captureEvents(Client.prototype, ["notification", "notice"], this.#tools, plainMessage),
      method(pool, "connect", (original) => this.#acquire(original)),
      method(pool, "query", (original) => this.#poolQuery(original)),
      method(pool, "end", (original) => this.#end(original)),
    ];
  }

  // Queries.

  #clientQuery(original: CapturedMethod): CapturedMethod {
    return withSelf((self, input) => {
      const run = this.#tools.run();
      const [first] = input;
      if (run === undefined || first === null || first === undefined) return original.apply(self, [...input]);
      const client = self as PgClient;
      if (typeof (first as { submit?: unknown }).submit === "function") {
        return this.#submit(run, client, original, input);
      }
      return queryInRun(askedQuery(input), {
        run,
        errors: this.#errors,
        Result: this.#Result,
        types: typesOf(client),
        ask: (config) => original.call(client, config) as Promise<unknown>,
      });
    });
  }

  #poolQuery(original: CapturedMethod): CapturedMethod {
    return withSelf((self, input) => {
      const run = this.#tools.run();
      const [first] = input;
      const isQuery = typeof first === "string" || (typeof first === "object" && first !== null);
      if (run === undefined || !isQuery || "submit" in Object(first)) return original.apply(self, [...input]);
      const pool = self;
      return queryInRun(askedQuery(input), {
        run,
        errors: this.#errors,
        Result: this.#Result,
        types: typesOf(this.#typedClient(pool as PoolInside)),
        ask: (config) => original.call(pool, config) as Promise<unknown>,
      });
    });
  }

  #typedClient(pool: PoolInside): PgClient {
    let known = this.#typed.get(pool);
    if (known === undefined) {
      known = this.#tools.inside(() => new pool.Client(pool.options));
      this.#typed.set(pool, known);
    }
    return known;
  }

  /** A query that is an object: a cursor, a stream, a `Query`, or one that somebody else has made. */
  #submit(run: CapturedRun, client: PgClient, original: CapturedMethod, input: readonly unknown[]): unknown {
    const [submitted] = input;
    const cursor = cursorOf(submitted);
    const { inside } = this.#tools;
    if (cursor !== undefined) {
      captureCursor(cursor, this.#Result, typesOf(client), this.#errors, this.#tools);
      const effect = { name: "cursor", input: [cursor.text, cursor.values ?? []] };
      run.effect(effect, () => void inside(() => original.apply(client, [...input])));
      return submitted;
    }
    if (submitted instanceof this.#pg.Query) {
      this.#query(run, client, original, submitted as unknown as EmittingQuery, input);
      return submitted;
    }
    run.mustNotReplay("query", "it is a kind of query that is not captured");
    return original.apply(client, [...input]);
  }

  /** A `Query` tells of its rows by events. */
  #query(
    run: CapturedRun,
    client: PgClient,
    original: CapturedMethod,
    query: EmittingQuery,
    input: readonly unknown[],
  ): void {
    const callback =
      query.callback ?? (input.find((one) => typeof one === "function") as Callback | undefined);
    const config = { ...askedQuery([query]).config, rowMode: query._rowMode } as QueryConfig;
    const fail = (error: unknown): void => {
      if (callback !== undefined) callback(error);
      else query.emit("error", error);
    };
    const making = { Result: this.#Result, rowMode: query._rowMode, types: config.types ?? typesOf(client) };
    run.start(
      effectOf("query", config, this.#errors),
      (arrive) => {
        (original.call(client, { ...config, rowMode: "array", types: RAW }) as Promise<unknown>).then(
          (result) => arrive({ status: "ok", value: answersOf(result as PgResult) }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      },
      (outcome) => {
        if (outcome.status === "error") return fail(outcome.error);
        let results: unknown;
        try {
          results = resultsOf(outcome.value, making);
        } catch (error) {
          return fail(error);
        }
        for (const result of [results].flat() as PgResult[]) {
          for (const row of result.rows) query.emit("row", row, result);
        }
        callback?.(null, results);
        query.emit("end", results);
      },
    );
  }

  // Connections.

  #connect(original: CapturedMethod): CapturedMethod {
    return withSelf((self, [callback]) => {
      const run = this.#tools.run();
      if (run === undefined) return original.call(self, callback);
      const client = self as ClientInside;
      return asAsked(callback, (hand) => {
        run.start<Given>(
          { name: "connect", input: [], ...this.#errors, otherwise: () => ({ processID: 0 }) },
          (arrive) => {
            (original.call(client) as Promise<unknown>).then(
              () => arrive({ status: "ok", value: { processID: client.processID ?? 0 } }),
              (error: unknown) => arrive({ status: "error", error }),
            );
          },
          (outcome) => {
            if (outcome.status === "ok" && run.replaying) pretendConnected(client, outcome.value);
            hand(outcome.status === "error" ? outcome : { status: "ok", value: client });
          },
        );
      });
    });
  }

  #end(original: CapturedMethod): CapturedMethod {
    return withSelf((self, [callback]) => {
      const run = this.#tools.run();
      if (run === undefined) return original.call(self, callback);
      return asAsked(callback, (hand) => {
        run.start(
          { name: "end", input: [], ...this.#errors },
          (arrive) => {
            (original.call(self) as Promise<unknown>).then(
              () => arrive({ status: "ok", value: undefined }),
              (error: unknown) => arrive({ status: "error", error }),
            );
          },
          hand,
        );
      });
    });
  }

  #acquire(original: CapturedMethod): CapturedMethod {
    return withSelf((self, [callback]) => {
      const run = this.#tools.run();
      if (run === undefined) return original.call(self, callback);
      const pool = self as PoolInside;
      let real: PgClient | undefined;
      const begin = (hand: (outcome: CapturedOutcome) => void): void => {
        run.start<Given>(
          { name: "acquire", input: [], ...this.#errors },
          (arrive) => {
            (original.call(pool) as Promise<PgClient>).then(
              (client) => {
                real = client;
                arrive({ status: "ok", value: { processID: client.processID ?? 0 } });
              },
              (error: unknown) => arrive({ status: "error", error }),
            );
          },
          (outcome) => {
            if (outcome.status === "error") return hand(outcome);
            const client = real ?? this.#standIn(run, pool, outcome.value);
            this.#ownRelease(client);
            hand({ status: "ok", value: client });
          },
        );
      };
      if (typeof callback !== "function") return asAsked(undefined, begin);
      begin((outcome) => {
        const call = callback as (error: unknown, client?: unknown, release?: unknown) => void;
        if (outcome.status === "error") call(outcome.error, undefined, () => undefined);
        else call(undefined, outcome.value, (outcome.value as PgClient).release);
      });
      return undefined;
    });
  }

  /** What a pool does when it gets a client back is no part of the run that gives it back. */
  #ownRelease(client: PgClient): void {
    const { release } = client;
    if (release !== undefined) client.release = (error) => this.#tools.inside(() => release(error));
  }

  /** One and the same for one client of the recorded run. */
  #standIn(run: CapturedRun, pool: PoolInside, given: Given): ClientInside {
    const known = this.#standIns.get(run.key) ?? new Map<number, ClientInside>();
    this.#standIns.set(run.key, known);
    const client = known.get(given.processID) ?? this.#tools.inside(() => new pool.Client(pool.options));
    known.set(given.processID, client);
    pretendConnected(client, given);
    let released = false;
    client.release = () => {
      if (released) throw new Error(RELEASED_TWICE);
      released = true;
    };
    return client;
  }
}

/** What is recorded of a client. */
interface Given {
  readonly processID: number;
}

/** As `pg-pool` says it. */
const RELEASED_TWICE = "Release called on client which has already been released to the pool.";

/** A `Query` of the driver's. */
interface EmittingQuery {
  readonly callback?: Callback;
  readonly _rowMode?: string;
  emit(event: string, ...input: unknown[]): boolean;
}

function pretendConnected(client: ClientInside, given: Given): void {
  Object.assign(client, { processID: given.processID, _connecting: true, _connected: true });
}

/** A message of the driver's is of a class of its own; a notice is an error. */
function plainMessage(message: unknown): unknown {
  if (message instanceof Error) return plainError(message);
  return typeof message === "object" ? { ...message } : message;
}

/** By a callback where there is one, and in a promise else. */
function asAsked(
  callback: unknown,
  begin: (hand: (outcome: CapturedOutcome) => void) => void,
): Promise<unknown> | undefined {
  if (typeof callback === "function") {
    const call = callback as Callback;
    begin((outcome) => (outcome.status === "error" ? call(outcome.error) : call(null, outcome.value)));
    return undefined;
  }
  return new Promise((resolve, reject) => {
    begin((outcome) => (outcome.status === "error" ? reject(outcome.error) : resolve(outcome.value)));
  });
}

/** The prototype that has the method: what a package exports may be a class made of another. */
function ownerOf<Prototype extends object>(prototype: Prototype, name: string): Prototype {
  let owner: object = prototype;
  while (!Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object;
  return owner as Prototype;
}
