/** A service whose end is watched by `lifecycle.test.ts`: the first argument says how it ends. */
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileStore, type Hindcast, hindcast, memoryStore, type Store } from "hindcast";

const [, , how, dir = "."] = process.argv;
const say = (line: unknown): void => void writeSync(1, `${JSON.stringify(line)}\n`);

function decide(hc: Hindcast, count: number): void {
  const flow = hc.pipeline({ name: "flow" }, (value: number) => value);
  for (let index = 0; index < count; index++) flow(index);
}

const files = (): Store => fileStore({ dir });
/** A store whose answer takes a while, and which keeps no process alive meanwhile. */
const unreferenced: Store = {
  ...memoryStore(),
  append: () => new Promise((resolve) => setTimeout(resolve, 200).unref()),
};
/** What listens to signals is loaded when an instance is made. */
async function listening(): Promise<void> {
  while (process.listenerCount("SIGTERM") === 0) await sleep(5);
}
const never: Store = { ...memoryStore(), append: () => new Promise(() => undefined) };

const scenarios: Readonly<Record<string, () => Promise<void> | void>> = {
  idle() {
    hindcast({ service: "lifecycle", store: files(), shutdown: { signals: ["SIGTERM", "SIGINT"] } });
  },
  "nothing left to do"() {
    decide(hindcast({ service: "lifecycle", store: files() }), 500);
  },
  "an unreferenced store"() {
    const hc = hindcast({ service: "lifecycle", store: unreferenced });
    decide(hc, 5);
    process.on("exit", () => say(hc.stats().capsules.stored));
  },
  "a store that never answers"() {
    const hc = hindcast({ service: "lifecycle", store: never, onError: ({ source }) => say(source) });
    decide(hc, 5);
    process.on("exit", () => say(hc.stats().capsules));
  },
  async "awaits close of a store that never answers"() {
    const hc = hindcast({ service: "lifecycle", store: never });
    decide(hc, 5);
    await hc.close({ timeout: 100 });
    say("closed");
    process.exit(0);
  },
  "process.exit at once"() {
    const hc = hindcast({ service: "lifecycle", store: files(), onError: ({ source }) => say(source) });
    process.on("exit", () => say(hc.stats().capsules));
    decide(hc, 20);
    void hc.pipeline({ name: "unfinished" }, () => sleep(1_000))();
    process.exit(3);
  },
  async "close before process.exit"() {
    const hc = hindcast({ service: "lifecycle", store: files() });
    decide(hc, 20);
    await hc.close();
    process.exit(3);
  },
  async "waits for a signal"() {
    const hc = hindcast({
      service: "lifecycle",
      store: files(),
      shutdown: { signals: ["SIGTERM", "SIGINT"] },
    });
    setInterval(() => undefined, 1_000);
    await listening();
    decide(hc, 20);
    say("ready");
  },
  async "waits for a signal, and its store for ever"() {
    const hc = hindcast({
      service: "lifecycle",
      store: never,
      shutdown: { signals: ["SIGTERM"], deadline: "200ms" },
      onError: ({ source }) => say(source),
    });
    setInterval(() => undefined, 1_000);
    await listening();
    decide(hc, 20);
    say("ready");
  },
  async "waits for a signal, with two instances"() {
    const quick = hindcast({ service: "quick", shutdown: { signals: ["SIGTERM"] } });
    const inner = files();
    const store: Store = {
      ...inner,
      append: (capsules) => sleep(100).then(() => inner.append(capsules)),
    };
    const slow = hindcast({ service: "slow", store, shutdown: { signals: ["SIGTERM"] } });
    setInterval(() => undefined, 1_000);
    while (process.listenerCount("SIGTERM") < 2) await sleep(5);
    decide(quick, 1);
    decide(slow, 20);
    say("ready");
  },
  async "listens to the signal itself"() {
    const hc = hindcast({ service: "lifecycle", store: files(), shutdown: { signals: ["SIGTERM"] } });
    await listening();
    const server = setInterval(() => undefined, 1_000);
    process.once("SIGTERM", () => {
      setTimeout(() => {
        decide(hc, 5); // the last requests
        clearInterval(server);
        process.exitCode = 7;
      }, 200);
    });
    decide(hc, 20);
    say("ready");
  },
};

await scenarios[how as string]?.();
