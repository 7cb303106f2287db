import type { Undo } from "../ambient/patch.js";

/**
 * Captures what runs read through a module that the library does not know by itself: an HTTP client, a driver of a
 * database. It is given to `hindcast({ capture })` under its name; `defineCapture` of `hindcast/capture` makes one.
 */
export interface Capture {
  /** Such as `pg`: its key in `hindcast({ capture })`, and what a capsule lists as captured. */
  readonly name: string;
  /** What it patches. Captures of one name that patch the same thing are patched once. */
  readonly target?: object | undefined;
  /**
   * Patches. Called when the first instance with this capture is made; what it returns is called, last first, when
   * the last of them has been closed.
   */
  readonly patch: () => readonly Undo[];
}
