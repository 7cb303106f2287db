/** For `node --import`: has mocha run each test, with its `beforeEach` and `afterEach` hooks, as one recorded run. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { callBack, createRecorder } from "./recorder.mjs";

const require = createRequire(join(process.cwd(), "package.json"));
const Mocha = require("mocha");
const recorder = createRecorder();

function wrapSuite(suite, before, after) {
  const hooksBefore = [...before, ...suite._beforeEach.map((hook) => hook.fn)];
  const hooksAfter = [...suite._afterEach.map((hook) => hook.fn), ...after];
  suite._beforeEach = [];
  suite._afterEach = [];
  for (const test of suite.tests) {
    const { fn } = test;
    if (typeof fn !== "function") continue;
    const isPlain = hooksBefore.length + hooksAfter.length === 0 && fn.length === 0;
    const body = isPlain
      ? fn
      : async function () {
          for (const hook of hooksBefore) await callBack(hook, this);
          try {
            await callBack(fn, this);
          } finally {
            for (const hook of hooksAfter) await callBack(hook, this);
          }
        };
    test.fn = recorder.wrap(test.fullTitle(), body);
    test.async = 0;
    test.sync = true;
  }
  for (const child of suite.suites) wrapSuite(child, hooksBefore, hooksAfter);
}

const { run } = Mocha.Runner.prototype;
Mocha.Runner.prototype.run = function (ended, ...rest) {
  wrapSuite(this.suite, [], []);
  return run.call(
    this,
    (failures) => {
      void recorder.finish().then((report) => {
        console.log(`SUITE ${JSON.stringify(report)}`);
        ended?.(failures);
      });
    },
    ...rest,
  );
};
