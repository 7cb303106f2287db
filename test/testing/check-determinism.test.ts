import { hindcast } from "hindcast";
import { checkDeterminism } from "hindcast/testing";
import { expect, test } from "vitest";

const hc = hindcast({ service: "checked", logger: { warn: () => undefined } });
const model = { name: "m", version: "1" };

test("a pipeline whose reads are captured or declared is deterministic, whichever way it ends", async () => {
  const config = hc.effect({ name: "config" }, async () => process.uptime());
  const entry = hc.pipeline({ name: "fine" }, async (x: number) => [
    x,
    Math.random(),
    Date.now(),
    await config(),
  ]);
  expect(await checkDeterminism(entry, 1)).toEqual({ deterministic: true });
  const fails = hc.pipeline({ name: "fails" }, () => {
    throw new RangeError(String(Math.random()));
  });
  expect(await checkDeterminism(fails)).toEqual({ deterministic: true });
  expect(hc.stats().runs.started).toBe(0);
});

test("the first stage that is not is named", async () => {
  const steady = hc.infer({ name: "steady", model }, (x: number) => x);
  const drifting = hc.infer({ name: "drifting", model }, (x: number) => ({ x, uptime: process.uptime() }));
  const entry = hc.pipeline({ name: "odd" }, (x: number) => drifting(steady(x)));
  const report = await checkDeterminism(entry, 1);
  expect(report).toMatchObject({ deterministic: false, stage: "drifting" });
  expect(report.deterministic ? "" : report.explanation).toContain("$.uptime");
});

test("a bare function is refused", async () => {
  await expect(checkDeterminism(() => 1)).rejects.toMatchObject({ code: "replay-entry" });
});
