import type { Definition } from "./definition.js";
import type { Run } from "./run.js";

/** What stages and effects need of the instance they belong to; it is the `owner` of its runs. */
export interface Host {
  /** Begins a run with this root, or returns undefined where nothing would listen to it. */
  open(root: Definition, input: readonly unknown[]): Run | undefined;
}
