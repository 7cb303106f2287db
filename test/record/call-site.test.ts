import { hindcast } from "hindcast";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { siteOf } from "../../src/record/call-site.js";
import { onlyCapsuleOf } from "./recorded.js";

const stack = (...frames: string[]) => ({
  stack: ["Error", ...frames.map((frame) => `    at ${frame}`)].join("\n"),
});

test("the first frame with a place that is neither the library's, nor Node's, nor a context manager's", () => {
  const skipped = [
    `markSite (${new URL("../../src/record/call-site.ts", import.meta.url).pathname}:15:16)`,
    "NoopContextManager.with (/app/node_modules/@opentelemetry/api/src/context/NoopContextManager.ts:20:15)",
    "new Promise (<anonymous>)",
    "Array.map (<anonymous>)",
    "async Promise.all (index 0)",
    "process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "AsyncLocalStorage.run (node:async_hooks:346:14)",
  ];
  expect(siteOf(stack(...skipped, "async decide (/app/loan.js:12:5)"))).toBe("decide (/app/loan.js:12:5)");
  expect(siteOf(stack(...skipped, "<anonymous> (/app/loan.ts:1:2)"))).toBe("<anonymous> (/app/loan.ts:1:2)");
  expect(siteOf(stack(...skipped, "file:///app/loan.js:3:9"))).toBe("file:///app/loan.js:3:9");
  expect(siteOf(stack(...skipped))).toBeUndefined();
});

test("a stack that is no text, or that cannot be had, has no site", () => {
  expect(siteOf({ stack: [] })).toBeUndefined();
  expect(siteOf({})).toBeUndefined();
  const throwing = {
    get stack(): unknown {
      throw new Error("no");
    },
  };
  expect(siteOf(throwing)).toBeUndefined();
});

test("G7: the place of a stage that something undeclared woke is told, behind all the frames of the library", async () => {
  const hc = hindcast({ service: "s", capture: { timers: false }, logger: { warn: () => undefined } });
  const inner = hc.decide({ name: "inner" }, () => 1);
  const outer = hc.tool({ name: "outer" }, async () => {
    await wait(2);
    return inner();
  });
  await hc.pipeline({ name: "p" }, () => outer())();
  const messages = (await onlyCapsuleOf(hc)).replayable.reasons.map(({ message }) => message);
  expect(messages.join()).toMatch(/Stage "inner" began at .*call-site\.test\.ts:\d+:\d+\)? because/);
});
