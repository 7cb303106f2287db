/** How a run, a call or an effect ended; `pending` where it did not. */
export type ReplayOutcome<Value = unknown> =
  | { readonly status: "ok"; readonly value: Value }
  | { readonly status: "error"; readonly error: unknown }
  | { readonly status: "pending" };
