import type { Definition } from "./definition.js";
import type { Run } from "./run.js";
import type { Scopes } from "./scopes.js";

/** What stages and effects need of the instance they belong to. */
export interface Host {
  readonly scopes: Scopes;
  /** Begins a run with this root, or returns undefined where nothing would listen to it. */
  open(root: Definition, input: readonly unknown[]): Run | undefined;
}
