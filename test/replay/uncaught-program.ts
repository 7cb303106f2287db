/** Records runs whose errors nobody catches, and replays them: by a program that dies of any error of its own. */
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { hindcast } from "hindcast";
import { explain, replay } from "hindcast/replay";

const hc = hindcast({ service: "uncaught", logger: { warn: () => undefined } });
let isHarmless = false;
const fail = (name: string): void => {
  if (!isHarmless) throw new RangeError(name);
};

const PROGRAMS: Readonly<Record<string, () => unknown>> = {
  "a timer": async () => {
    setTimeout(() => fail("a timer"), 1);
    await sleep(5);
  },
  "an interval": async () => {
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 3) clearInterval(timer);
      fail("an interval");
    }, 1);
    await sleep(15);
    return ticks;
  },
  "a promise": async () => {
    void (async () => {
      await sleep(1);
      fail("a promise");
    })();
    await sleep(5);
  },
  "a promise of a stage": async () => {
    void stage();
    await sleep(5);
  },
  "a microtask": async () => {
    await sleep(1);
    queueMicrotask(() => fail("a microtask"));
    await sleep(1);
  },
  "a tick": async () => {
    await sleep(1);
    process.nextTick(() => fail("a tick"));
    await sleep(1);
  },
  "an emitter": async () => {
    await sleep(1);
    setTimeout(() => {
      if (!isHarmless) new EventEmitter().emit("error", new RangeError("an emitter"));
    }, 1);
    await sleep(5);
  },
  "after the end": () => {
    setTimeout(() => fail("after the end"), 1);
    void sleep(1).then(() => fail("after the end, a promise"));
  },
};
const stage = hc.tool({ name: "stage" }, async () => {
  await sleep(1);
  fail("a promise of a stage");
});

const roots = new Map(Object.entries(PROGRAMS).map(([name, body]) => [name, hc.pipeline({ name }, body)]));

const seen: string[] = [];
const listener = (error: unknown): void => void seen.push((error as Error).message);
process.on("uncaughtException", listener);
process.on("unhandledRejection", listener);
for (const root of roots.values()) {
  await root();
  await sleep(5);
}
process.off("uncaughtException", listener);
process.off("unhandledRejection", listener);
console.log(`recorded: ${seen.length}`);

// From here on an error that nobody catches would end the process.
await hc.flush();
for (const harmless of [false, true]) {
  for await (const capsule of hc.store.find()) {
    isHarmless = harmless;
    const { pipeline } = capsule.summary;
    const result = await replay(capsule, roots.get(pipeline) as () => unknown, { timeout: "3s" });
    await sleep(5);
    console.log(`${harmless ? "harmless" : "same"}: ${pipeline}: ${result.verdict}`);
    if (process.argv[2] === "explain") console.log(explain(result));
  }
}
isHarmless = true;
const calm = hc.pipeline({ name: "calm" }, async () => {
  setTimeout(() => fail("a timer"), 1);
  await sleep(5);
});
await calm();
await hc.flush();
for await (const capsule of hc.store.find({ pipeline: "calm" })) {
  isHarmless = false;
  console.log(`fails now: ${(await replay(capsule, calm, { timeout: "3s" })).verdict}`);
}
console.log("end");
process.exit(0);
