/**
 * The stream that a stage returns. Its items are the stage's outputs, recorded one by one as they are
 * given, and the call ends when the stream does.
 *
 * Invariants
 * 1. Nothing runs before it is asked for, and one asking reaches the stream as one asking (G1).
 * 2. Whatever the stream does runs in the scope of its stage, whoever reads it.
 * 3. Who reads the stream of a root is outside of the run: each asking is an input of the run, and has
 *    its turn. Within a run it is part of the program.
 * 4. A stream that nobody reads to its end, and that nobody can read any more, ends its call.
 */
import type { Context } from "@opentelemetry/api";
import { AsyncLocalStorage } from "node:async_hooks";
import type { Outcome } from "../stage/definition.js";
import { detached, runIn } from "../stage/scopes.js";
import type { Conductor } from "../stage/seam.js";
import type { StageCall } from "../stage/stage-call.js";
import type { Passage } from "./passage.js";
import { ABANDONED, ENDED, type Pull, type StreamMethod } from "./pull.js";

/** What `call` returned, to be passed on. `delivered`: it came in a promise that something outside has settled. */
export function stageStream(
  call: StageCall,
  context: Context,
  passage: Passage,
  delivered: boolean,
): unknown {
  const { run } = call;
  const { conductor } = run;
  let items = 0;
  let over = false;
  const end = (outcome: Outcome): void => {
    if (over) return;
    over = true;
    run.end(call, outcome, false);
  };
  const whole: Outcome = { status: "ok", value: passage.recorded };
  const settled = (outcome: Outcome): void => {
    if (outcome.status === "error") end(outcome);
    else if ((outcome.value as IteratorResult<unknown> | undefined)?.done === true) end(whole);
  };
  const ask: Pull = (method, input) => {
    const perform = (): unknown => runIn(context, () => passage.source(method, input));
    if (over) return perform();
    if (conductor === undefined || run.closed) return observe(perform, settled);
    items += 1;
    return conductor.item({ call, ordinal: items, input: [method, ...input] }, perform, settled);
  };
  conductor?.opened(call, passage.recorded, delivered);
  if (call.parent !== undefined || conductor === undefined) return passage.open(ask);
  if (passage.synchronous) {
    const abandon = (): void => {
      if (over || run.closed) return;
      items += 1;
      conductor.item({ call, ordinal: items, input: [ABANDON.method] }, () => ENDED, settled);
    };
    const stream = passage.open(readAtOnce(ask, { abandon })) as object;
    abandonings.set(stream, abandon);
    return stream;
  }
  return passage.open(readBy(new Readers(call, conductor, ask, () => end(whole))));
}

/**
 * By what the stream of a root is asked. Whoever can still ask holds this function, whatever they have dropped:
 * a response whose body is being read, a stream with a reader, what a pipe or a clone was made of. So it, and none of
 * those, is what must be gone before the stream is taken for abandoned. Made here, where nothing holds it but who asks.
 */
function readBy(readers: Readers): Pull {
  const pull: Pull = (method, input) => readers.ask(method, input);
  abandoned.register(pull, readers);
  return pull;
}

/** The same of a stream whose items come at once: who reads it is not waited for. */
function readAtOnce(ask: Pull, abandoning: Abandoning): Pull {
  const pull: Pull = (method, input) => ask(method, input);
  abandoned.register(pull, abandoning);
  return pull;
}

const abandonings = new WeakMap<object, () => void>();

/** Does with the stream of a root, whose items come at once, what happens when nobody can read it any more. */
export function abandonStream(stream: object): void {
  abandonings.get(stream)?.();
}

/** Asks where nobody records it. */
function observe(perform: () => unknown, settled: (outcome: Outcome) => void): unknown {
  let result: unknown;
  try {
    result = perform();
  } catch (error) {
    settled({ status: "error", error });
    throw error;
  }
  if (!(result instanceof Promise)) {
    settled({ status: "ok", value: result });
    return result;
  }
  return result.then(
    (value: unknown) => {
      settled({ status: "ok", value });
      return value;
    },
    (error: unknown) => {
      settled({ status: "error", error });
      throw error;
    },
  );
}

interface Asking {
  readonly method: StreamMethod | typeof ABANDONED;
  readonly input: readonly unknown[];
}

interface Waiting extends Asking {
  readonly method: StreamMethod;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The name of the effect that waits for whoever reads the stream of a root. */
const READER = "stream.reader";

/**
 * Whoever reads the stream of a root. In a replay nobody does: the record asks in their place.
 *
 * Each asking is handed over once, in the order in which they came, until the run is over; those that
 * wait by then, and all later ones, reach the stream at once.
 */
class Readers {
  readonly #call: StageCall;
  readonly #conductor: Conductor;
  readonly #ask: Pull;
  readonly #end: () => void;
  readonly #waiting: Waiting[] = [];
  /** How many have been asked for and have not come. */
  #pending = 0;
  #arrive: ((outcome: Outcome) => void) | undefined;
  #isAbandoned = false;

  constructor(call: StageCall, conductor: Conductor, ask: Pull, end: () => void) {
    this.#call = call;
    this.#conductor = conductor;
    this.#ask = ask;
    this.#end = end;
    this.#await();
  }

  ask(method: StreamMethod, input: readonly unknown[]): Promise<unknown> {
    if (this.#call.run.closed && this.#waiting.length === 0) return this.#askNow(method, input);
    return new Promise((resolve, reject) => {
      // Whoever reads goes on where they were, and not in what the run is doing by then.
      this.#waiting.push({
        method,
        input,
        resolve: AsyncLocalStorage.bind(resolve),
        reject: AsyncLocalStorage.bind(reject),
      });
      this.#offer();
    });
  }

  /** Nobody can read the stream any more. What they have asked for until now still comes. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#offer();
  }

  #await(): void {
    const effect = { call: this.#call, name: READER, ordinal: this.#call.nextEffect(READER) };
    this.#conductor.start(
      effect,
      [],
      (arrive) => {
        this.#arrive = arrive;
        this.#offer();
      },
      (outcome) => {
        this.#arrive = undefined;
        if (outcome.status === "ok" && outcome.value !== undefined) this.#hand(outcome.value as Asking);
      },
    );
  }

  #offer(): void {
    const arrive = this.#arrive;
    const next = this.#waiting[0] ?? (this.#isAbandoned && this.#pending === 0 ? ABANDON : undefined);
    if (next === undefined || arrive === undefined) return;
    const { method, input } = next;
    this.#arrive = undefined;
    detached(() => arrive({ status: "ok", value: { method, input } satisfies Asking }));
  }

  #hand({ method, input }: Asking): void {
    if (method === ABANDONED) return this.#end();
    this.#answer(this.#waiting.shift(), method, input);
    if (!this.#call.run.closed) return this.#await();
    for (const waiting of this.#waiting.splice(0)) this.#answer(waiting, waiting.method, waiting.input);
  }

  #answer(waiting: Waiting | undefined, method: StreamMethod, input: readonly unknown[]): void {
    this.#pending += 1;
    const answered = (): void => {
      this.#pending -= 1;
      if (this.#isAbandoned) this.#offer();
    };
    this.#askNow(method, input).then(
      (value) => {
        waiting?.resolve(value);
        answered();
      },
      (error: unknown) => {
        waiting?.reject(error);
        answered();
      },
    );
  }

  /** A stream of a class of its own may throw at once, or give what is no promise. */
  #askNow(method: StreamMethod, input: readonly unknown[]): Promise<unknown> {
    try {
      const answered = this.#ask(method, input);
      return answered instanceof Promise ? answered : Promise.resolve(answered);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

const ABANDON: Asking = { method: ABANDONED, input: [] };

interface Abandoning {
  abandon(): void;
}

const abandoned = new FinalizationRegistry<Abandoning>((readers) => readers.abandon());
