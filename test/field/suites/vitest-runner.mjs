/** For `vitest --runner`: runs each test, with its `beforeEach` and `afterEach` hooks, as one recorded run. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createRecorder } from "./recorder.mjs";

const vitest = (file) => import(pathToFileURL(join(process.cwd(), "node_modules/vitest/dist", file)).href);
const runners = await vitest("runners.js");
const { getFn, getHooks } = await vitest("suite.js");
const Runner = runners.VitestTestRunner ?? runners.TestRunner;

export default class RecordingRunner extends Runner {
  #recorder = createRecorder();
  #hooks = new WeakMap();

  onCollected(files) {
    super.onCollected?.(files);
    for (const file of files) this.#takeHooks(file, []);
  }

  #takeHooks(suite, outer) {
    const hooks = getHooks(suite);
    const mine = [...outer, { before: hooks.beforeEach, after: hooks.afterEach, suite }];
    hooks.beforeEach = [];
    hooks.afterEach = [];
    for (const task of suite.tasks) {
      if (task.type === "suite") this.#takeHooks(task, mine);
      else this.#hooks.set(task, mine);
    }
  }

  async runTask(test) {
    const fn = getFn(test);
    const hooks = this.#hooks.get(test) ?? [];
    const body = async () => {
      const cleanups = [];
      for (const { before, suite } of hooks) {
        for (const hook of before) {
          const cleanup = await hook(test.context, suite);
          if (typeof cleanup === "function") cleanups.unshift(cleanup);
        }
      }
      try {
        await fn();
      } finally {
        for (const { after, suite } of hooks.toReversed()) {
          for (const hook of after.toReversed()) await hook(test.context, suite);
        }
        for (const cleanup of cleanups) await cleanup(test.context);
      }
    };
    await this.#recorder.wrap(test.name, body)();
  }

  async onAfterRunFiles(files) {
    await super.onAfterRunFiles?.(files);
    await this.#recorder.finish();
  }
}
