/** What a case came to. */
export interface Finding {
  readonly outcome: "holds" | "changes" | "breaks" | "none";
  /** A word: what changed, or how it broke. */
  readonly detail: string;
}

/** Messages of the process that runs the cases. */
export type CaseMessage =
  | { readonly ready: string }
  | { readonly absent: string }
  | { readonly began: string }
  | { readonly found: Finding; readonly of: string };
