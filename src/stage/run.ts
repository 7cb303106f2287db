import type { Context } from "@opentelemetry/api";
import type { ContractIssue } from "../errors.js";
import type { Side } from "../contract/contract.js";
import type { Definition, Outcome } from "./definition.js";
import { quiet } from "./quiet.js";
import type {
  CaptureSource,
  Conductor,
  FailureSource,
  ObservedCall,
  ObservedRun,
  RunListener,
} from "./seam.js";

/** How a run comes into being. */
export interface RunOptions {
  /** The instance it belongs to. */
  readonly owner: object;
  readonly id: string;
  readonly seed: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly definition: Definition;
  readonly listeners: readonly RunListener[];
  readonly conductor: Conductor | undefined;
  /** What is captured of its platform. */
  readonly captures: Pick<ReadonlySet<CaptureSource>, "has">;
  readonly report: (source: FailureSource, error: unknown) => void;
}

/**
 * One execution of a root. Whatever listens to it is called through here, where its failures end:
 * they are reported, and never reach the program (G2).
 */
export class Run implements ObservedRun {
  readonly owner: object;
  readonly id: string;
  readonly seed: number;
  readonly startedAt: number;
  readonly definition: Definition;
  readonly conductor: Conductor | undefined;
  readonly captures: Pick<ReadonlySet<CaptureSource>, "has">;
  trace: { readonly traceId: string; readonly spanId: string } | undefined;
  readonly #listeners: readonly RunListener[];
  readonly #report: RunOptions["report"];
  #ending: (() => void)[] | undefined;
  #calls = 0;
  #closed = false;

  constructor(options: RunOptions) {
    this.owner = options.owner;
    this.id = options.id;
    this.seed = options.seed;
    this.startedAt = options.startedAt;
    this.definition = options.definition;
    this.conductor = options.conductor;
    this.captures = options.captures;
    this.#listeners = options.listeners;
    this.#report = options.report;
  }

  /** Whether the root has settled. What still goes on in its scope is no longer part of the run. */
  get closed(): boolean {
    return this.#closed;
  }

  nextCallIndex(): number {
    return this.#calls++;
  }

  /** Tells the listeners of a call that begins; what they return is the context it runs in. */
  begin(call: ObservedCall, input: readonly unknown[], context: Context): Context {
    let current = context;
    this.#tell((listener) => {
      current = listener.callStarted(call, input, current) ?? current;
    });
    return current;
  }

  end(call: ObservedCall, outcome: Outcome, delivered: boolean): void {
    this.#tell((listener) => listener.callEnded(call, outcome, delivered));
    if (call.parent === undefined) this.#close(outcome);
  }

  violated(call: ObservedCall, side: Side, issues: readonly ContractIssue[]): void {
    this.#tell((listener) => listener.contractViolated(call, side, issues));
  }

  report(source: FailureSource, error: unknown): void {
    this.#report(source, error);
  }

  /** Calls `body` when the root has settled. */
  atEnd(body: () => void): void {
    (this.#ending ??= []).push(body);
  }

  #close(outcome: Outcome): void {
    this.#closed = true;
    const ending = this.#ending;
    this.#ending = undefined;
    if (ending !== undefined) for (const body of ending) body();
    this.#tell((listener) => listener.runEnded(this, outcome));
  }

  #tell(of: (listener: RunListener) => void): void {
    const counter = quiet;
    counter.depth += 1;
    try {
      for (const listener of this.#listeners) {
        try {
          of(listener);
        } catch (error) {
          this.#report("listener", error);
        }
      }
    } finally {
      counter.depth -= 1;
    }
  }
}
