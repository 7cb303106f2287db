/** The scope of a run rides in the OpenTelemetry context, whether or not someone carries that. */
import { context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { hindcast } from "hindcast";
import { afterEach, expect, test } from "vitest";
import { activeCall } from "../../src/stage/scopes.js";
import { callTree, capsulesOf } from "../record/recorded.js";
import { registerContextManager, unregisterTracing } from "../telemetry/tracing.js";

afterEach(unregisterTracing);

const KEY = createContextKey("the application's own");

function program() {
  const hc = hindcast({ service: "scopes" });
  const inner = hc.tool({ name: "inner" }, async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return [hc.current()?.id, context.active().getValue(KEY)];
  });
  const outer = hc.pipeline({ name: "outer" }, async (between?: () => void) => {
    await Promise.resolve();
    between?.();
    await Promise.resolve();
    return [[hc.current()?.id, context.active().getValue(KEY)], await inner()];
  });
  return { hc, inner, outer };
}

const TREE = ["outer", "outer > inner"];

test("without a context manager", async () => {
  const { hc, outer } = program();
  const [[first], [second]] = (await outer()) as [[string], [string]];
  const capsules = await capsulesOf(hc);
  expect(capsules.map(callTree)).toEqual([TREE]);
  expect([first, second]).toEqual([capsules[0]?.id, capsules[0]?.id]);
  expect(hc.current()).toBeUndefined();
});

test("with a context manager: the application's context goes through", async () => {
  registerContextManager();
  const { hc, outer } = program();
  const seen = await context.with(ROOT_CONTEXT.setValue(KEY, "mine"), () => outer());
  const capsules = await capsulesOf(hc);
  expect(capsules.map(callTree)).toEqual([TREE]);
  const id = capsules[0]?.id;
  expect(seen).toEqual([
    [id, "mine"],
    [id, "mine"],
  ]);
});

test("with a context manager that is registered while a run goes on", async () => {
  const { hc, outer } = program();
  await outer(registerContextManager);
  await outer();
  expect((await capsulesOf(hc)).map(callTree)).toEqual([TREE, TREE]);
});

test("with a context manager registered between runs: later runs see the application's context", async () => {
  const { hc, outer } = program();
  await outer();
  registerContextManager();
  const seen = await context.with(ROOT_CONTEXT.setValue(KEY, "mine"), () => outer());
  expect((await capsulesOf(hc)).map(callTree)).toEqual([TREE, TREE]);
  expect(seen.map(([, value]) => value)).toEqual(["mine", "mine"]);
});

test("with a context manager that is taken away while a run goes on: the call is fine", async () => {
  registerContextManager();
  const { hc, outer } = program();
  const [, [, value]] = (await outer(() => context.disable())) as [[string], [string, unknown]];
  expect(value).toBeUndefined();
  expect(hc.stats().runs.started).toBe(hc.stats().runs.ended);
});

test("a context that the application sets within a run keeps the run's scope", async () => {
  registerContextManager();
  const hc = hindcast({ service: "scopes" });
  const inner = hc.tool({ name: "inner" }, () => context.active().getValue(KEY));
  const outer = hc.pipeline({ name: "outer" }, () =>
    context.with(context.active().setValue(KEY, "set within"), () => inner()),
  );
  expect(outer()).toBe("set within");
  expect((await capsulesOf(hc)).map(callTree)).toEqual([TREE]);
});

test.each([["without", false] as const, ["with", true] as const])(
  "what a run leaves behind does not leak into code outside of it, %s a context manager",
  async (_word, registered) => {
    if (registered) registerContextManager();
    const { hc, outer } = program();
    const pending = outer();
    expect(hc.current()).toBeUndefined();
    await pending;
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(hc.current()).toBeUndefined();
  },
);

test("G8: a pipeline that starts itself again from a timer does not hold on to the runs before it", async () => {
  const hc = hindcast({ service: "poller" });
  const outers: unknown[] = [];
  const done = new Promise<void>((resolve) => {
    const poll = hc.pipeline({ name: "poll" }, async () => {
      await Promise.resolve();
      outers.push(activeCall()?.outer);
      setTimeout(() => (outers.length < 5 ? void poll() : resolve()), 1);
    });
    void poll();
  });
  await done;
  expect(outers).toEqual([undefined, undefined, undefined, undefined, undefined]);
  await hc.close();
});
