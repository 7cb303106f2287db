/**
 * Where in the program the first calls and effects began that were not as recorded. A stack costs more
 * than everything else that a replay does for an effect, so only what looks different has its stack
 * taken. In memory beside the replay's recording, and no part of a capsule.
 */
import type { EventKind } from "../capsule/capsule.js";
import { markSite, siteOf } from "../record/call-site.js";

/** What looks different may be the same after all, within a tolerance say: so a few are marked. */
const MAXIMUM_MARKS = 32;

type Mark = ReturnType<typeof markSite>;

export class CallSites {
  readonly #marks = new Map<string, Mark>();

  /** To be called where a call or an effect of the replay has just begun. */
  readonly mark = (kind: EventKind, index: number): void => {
    if (this.#marks.size < MAXIMUM_MARKS) this.#marks.set(`${kind} ${index}`, markSite());
  };

  /** Where a call or an effect of the replay began; undefined where it looked as recorded. */
  of(kind: EventKind, index: number): string | undefined {
    const mark = this.#marks.get(`${kind} ${index}`);
    return mark && siteOf(mark);
  }
}
