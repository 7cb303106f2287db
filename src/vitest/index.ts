/**
 * `import "hindcast/vitest"` adds `expect(capsule).toReplay(entry)`: a recorded decision as a
 * regression test.
 */
import { expect } from "vitest";
import { explain } from "../replay/explain.js";
import type { CapsuleSource } from "../replay/read-capsule.js";
import { type ReplayOptions, replay } from "../replay/replay.js";
import type { AnyFunction } from "../stage/stage.js";

export interface ReplayMatchers<R = unknown> {
  /** Passes where replaying the capsule against `entry` is `identical`; fails with the explanation where it is not. */
  toReplay(entry: AnyFunction, options?: ReplayOptions): Promise<R>;
}

declare module "vitest" {
  // oxlint-disable-next-line typescript/no-explicit-any -- must be declared as Vitest declares it, to merge with it
  interface Matchers<T = any> extends ReplayMatchers<T> {}
}

expect.extend({
  async toReplay(received: CapsuleSource, entry: AnyFunction, options?: ReplayOptions) {
    const result = await replay(received, entry, options);
    return {
      pass: result.verdict === "identical",
      message: () =>
        result.verdict === "identical"
          ? `expected the capsule not to replay, but it did\n\n${explain(result)}`
          : `expected the capsule to replay\n\n${explain(result)}`,
    };
  },
});
