import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

/**
 * Prints `N passed, N failed` (and `, N skipped`) as the very last line of a run. It is written while the
 * process exits, since other reporters and the runner itself still print after the run has ended.
 */
export default class CountLine implements Reporter {
  #line: string | undefined;

  onInit(): void {
    process.once("exit", () => {
      if (this.#line !== undefined) writeSync(1, `${this.#line}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      const failedBefore = count.failed;
      for (const test of module.children.allTests()) count[test.result().state] += 1;
      // A file that cannot be loaded, or whose hook throws, fails without a failed test.
      if (module.state() === "failed" && count.failed === failedBefore) count.failed += 1;
    }
    const failed = count.failed + count.pending; // a test that never ended did not pass
    this.#line = `${count.passed} passed, ${failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ""}`;
  }
}
