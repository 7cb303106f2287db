/**
 * Everything this library throws: one base, a code to switch on, and a message that says what is
 * wrong, with which name, and what to do about it.
 */
import { formatPath } from "./json-path.js";

/** What went wrong, for programs. */
export type HindcastErrorCode =
  | "invalid-options"
  | "contract-violation"
  | "contract-asynchronous"
  | "capsule-damaged"
  | "capsule-newer"
  | "capsule-shape"
  | "store-closed"
  | "store-failed"
  | "replay-entry"
  | "replay-capsule"
  | "effect-not-recorded"
  | "effect-stale"
  | "stage-not-recorded"
  | "content-not-recorded";

const BRAND = Symbol.for("hindcast.error");

/** The base of every error of this library. Compare `code`, not classes: two copies of the package have two classes. */
export class HindcastError extends Error {
  readonly code: HindcastErrorCode;

  constructor(code: HindcastErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "HindcastError";
    this.code = code;
  }
}

// On the prototype, so that one that comes back from a capsule has it too.
Object.defineProperty(HindcastError.prototype, BRAND, { value: true });

/** Whether a thrown value came from this library, whichever copy of it. */
export function isHindcastError(value: unknown): value is HindcastError {
  return typeof value === "object" && value !== null && Reflect.get(value, BRAND) === true;
}

/** One place at which a value did not meet a contract. */
export interface ContractIssue {
  /** JSON Pointer-like path of keys into the value; empty for the value itself. */
  readonly path: readonly (string | number)[];
  /** What the contract asks for, in its own words; withheld to "a valid secret" where it marks the place secret. */
  readonly expected: string;
  /** The kind of value that came: "string", "null", "array", "NaN", "missing", ... never the value. */
  readonly received: string;
}

/** A value at a boundary of a stage did not meet its contract (`mode: "enforce"`). */
export class ContractViolation extends HindcastError {
  readonly stage: string;
  readonly side: "input" | "output";
  readonly issues: readonly ContractIssue[];

  constructor(stage: string, side: "input" | "output", issues: readonly ContractIssue[]) {
    super("contract-violation", describeViolation(stage, side, issues));
    this.name = "ContractViolation";
    this.stage = stage;
    this.side = side;
    this.issues = issues;
  }
}

const SHOWN_ISSUES = 3;

function describeViolation(stage: string, side: string, issues: readonly ContractIssue[]): string {
  const shown = issues
    .slice(0, SHOWN_ISSUES)
    .map((issue) => `at ${formatPath(issue.path)} expected ${issue.expected}, received ${issue.received}`);
  const rest = issues.length > SHOWN_ISSUES ? `; and ${issues.length - SHOWN_ISSUES} more` : "";
  return `The ${side} of stage "${stage}" breaks its contract: ${shown.join("; ")}${rest}.`;
}
