/** For `node --import`: has `node:test` run each test, with its `beforeEach` and `afterEach` hooks, as one recorded run. */
import { createRequire, register } from "node:module";
import { callBack, createRecorder } from "./recorder.mjs";

const test = createRequire(import.meta.url)("node:test");
const recorder = createRecorder();
/** The suites that are being described: each has the hooks that its tests begin and end with. */
const suites = [{ before: [], after: [] }];
const hooksOf = () => suites.map((suite) => suite);

function wrapTest(original) {
  return function (...given) {
    const index = given.findIndex((one) => typeof one === "function");
    if (index === -1) return Reflect.apply(original, this, given);
    const fn = given[index];
    const title = typeof given[0] === "string" ? given[0] : fn.name;
    const hooks = hooksOf();
    given[index] = async function (context) {
      const body = async () => {
        for (const { before } of hooks) for (const hook of before) await callBack(hook, this, [context]);
        try {
          await callBack(fn, this, [context]);
        } finally {
          for (const { after } of hooks.toReversed()) {
            for (const hook of after) await callBack(hook, this, [context]);
          }
        }
      };
      await recorder.wrap(title, body)();
    };
    return Reflect.apply(original, this, given);
  };
}

function wrapSuite(original) {
  return function (...given) {
    const index = given.findIndex((one) => typeof one === "function");
    if (index === -1) return Reflect.apply(original, this, given);
    const fn = given[index];
    given[index] = function (...input) {
      suites.push({ before: [], after: [] });
      const ended = () => void suites.pop();
      const result = Reflect.apply(fn, this, input);
      if (typeof result?.then === "function") return result.then(ended);
      ended();
      return result;
    };
    return Reflect.apply(original, this, given);
  };
}

const withOptions = (wrapped, original) =>
  Object.assign(wrapped, { only: wrapped, skip: original.skip, todo: original.todo });
const recorded = withOptions(wrapTest(test), test);
const described = withOptions(wrapSuite(test.describe), test.describe);
globalThis[Symbol.for("hindcast.suites.node-test")] = Object.assign(recorded, {
  ...test,
  default: recorded,
  test: recorded,
  it: recorded,
  describe: described,
  suite: described,
  beforeEach: (hook) => void suites.at(-1).before.push(hook),
  afterEach: (hook) => void suites.at(-1).after.push(hook),
  mock: test.mock,
});
test.after(async () => {
  const report = await recorder.finish();
  if (report.tests > 0) console.log(`SUITE ${JSON.stringify(report)}`);
});

const names = Object.keys(globalThis[Symbol.for("hindcast.suites.node-test")]).filter(
  (name) => name !== "default",
);
const source = `const all = globalThis[Symbol.for("hindcast.suites.node-test")];
export default all;
${names.map((name) => `export const ${name} = all.${name};`).join("\n")}`;
const shim = `data:text/javascript,${encodeURIComponent(source)}`;
const hooks = `export const resolve = (specifier, context, next) =>
  specifier === "node:test" ? { url: ${JSON.stringify(shim)}, shortCircuit: true } : next(specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
