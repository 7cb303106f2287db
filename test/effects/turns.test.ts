/** Results from outside are handed over one to a macrotask, in the order in which they came. */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { hindcast } from "hindcast";
import { replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { effectsOf, onlyCapsuleOf, storedBy } from "../record/recorded.js";

test("results that come at the same moment are handed over in turns of their own", async () => {
  const hc = hindcast({ service: "turns", capture: false });
  const releases: (() => void)[] = [];
  const gate = hc.effect(
    { name: "gate" },
    (label: string) => new Promise<string>((resolve) => releases.push(() => resolve(label))),
  );
  const seen: string[] = [];
  const branch = async (label: string): Promise<void> => {
    await gate(label);
    seen.push(label);
    // Microtasks that a result sets off have all run before the next result comes.
    for (let count = 0; count < 20; count++) await Promise.resolve();
    seen.push(`${label} done`);
  };
  const flow = hc.pipeline({ name: "flow" }, () => Promise.all(["a", "b", "c"].map(branch)));
  const pending = flow();
  await sleep(1);
  for (const release of [...releases].reverse()) release();
  await pending;
  expect(seen).toEqual(["c", "c done", "b", "b done", "a", "a done"]);
});

test("the order of the record is the order in which the program saw it, whatever the delays", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 8 }),
      async (delays) => {
        const hc = hindcast({ service: "turns", capture: false });
        const wait = hc.effect({ name: "wait" }, async (index: number) => {
          await sleep(delays[index]);
          return index;
        });
        const seen: number[] = [];
        const flow = hc.pipeline({ name: "flow" }, async () => {
          seen.length = 0;
          await Promise.all(delays.map(async (_, index) => seen.push(await wait(index))));
          return [...seen];
        });
        const order = await flow();
        const capsule = await onlyCapsuleOf(hc);
        const ended = capsule.events.filter((event) => event.kind === "effect-end");
        const effects = effectsOf(capsule);
        expect(ended.map((event) => effects[event.index]?.input[0])).toEqual(order);
        const [stored] = await storedBy(hc);
        expect(await replay(stored!, flow)).toMatchObject({
          verdict: "identical",
          outcome: { status: "ok", value: order },
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("an effect's duration is until its result came, not until it was handed over", async () => {
  const hc = hindcast({ service: "turns", capture: false });
  const arrival = sleep(2);
  const wait = hc.effect({ name: "wait" }, () => arrival);
  const flow = hc.pipeline({ name: "flow" }, () =>
    Promise.all([
      wait().then(() => {
        const until = performance.now() + 50;
        while (performance.now() < until);
      }),
      wait(),
    ]),
  );
  await flow();
  const capsule = await onlyCapsuleOf(hc);
  expect(capsule.calls[0]?.duration).toBeGreaterThan(50_000);
  for (const effect of capsule.effects) {
    expect(effect.duration).toBeGreaterThan(0);
    expect(effect.duration).toBeLessThan(45_000);
  }
});

test("runs at once do not wait for each other's turns", async () => {
  const hc = hindcast({ service: "turns", capture: false });
  const never = hc.effect({ name: "never" }, () => new Promise<never>(() => undefined));
  const wait = hc.effect({ name: "wait" }, () => sleep(1, "waited"));
  const stuck = hc.pipeline({ name: "stuck" }, () => never());
  const free = hc.pipeline({ name: "free" }, () => wait());
  void stuck();
  expect(await Promise.all([free(), free(), free()])).toEqual(["waited", "waited", "waited"]);
  expect(hc.stats().runs).toMatchObject({ started: 4, ended: 3 });
});
