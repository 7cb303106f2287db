/** What goes on when an effect has settled, or a run has ended. */
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { hindcast, keep } from "hindcast";
import { explain, replay } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { storedBy } from "../record/recorded.js";

describe("what an effect has begun", () => {
  function service() {
    const hc = hindcast({ service: "after", keep: [keep.sample(1)] });
    const handled: unknown[] = [];
    const handle = hc.pipeline({ name: "handle" }, async (message: unknown) => {
      handled.push(message);
      return [message, Math.random()];
    });
    const capsules = async (): Promise<number> => {
      let count = 0;
      for (const stored of await storedBy(hc)) {
        if (stored.summary.pipeline !== "handle") continue;
        count += 1;
        const result = await replay(stored, handle);
        expect(result.verdict, explain(result)).toBe("identical");
      }
      return count;
    };
    return { hc, handle, handled, capsules };
  }

  test("calls pipelines when the effect has settled, and those are runs", async () => {
    const { hc, handle, capsules } = service();
    const subscribe = hc.effect({ name: "subscribe" }, async (bus: EventEmitter) => {
      await sleep(1);
      setInterval(() => bus.emit("message", "tick"), 2).unref();
      bus.on("message", (message) => void handle(message));
    });
    const connect = hc.effect({ name: "connect" }, () => {
      setTimeout(() => void handle("connected"), 3);
    });
    const start = hc.pipeline({ name: "start" }, async (bus: EventEmitter) => {
      await subscribe(bus);
      connect();
      // Also while the run goes on.
      await sleep(20);
    });
    const bus = new EventEmitter();
    await start(bus);
    const during = await capsules();
    expect(during).toBeGreaterThan(1);
    await sleep(20);
    expect(await capsules()).toBeGreaterThan(during);
    bus.removeAllListeners();
    await hc.close();
  });

  test("belongs to the effect until that has settled", async () => {
    const { hc, handle, handled, capsules } = service();
    const inner = hc.effect({ name: "inner" }, async () => void (await handle("inner")));
    const outer = hc.effect({ name: "outer" }, async () => {
      await handle("at once");
      await inner();
      await sleep(1);
      await handle("before the end");
      setTimeout(() => void handle("after the end"), 5);
    });
    await hc.pipeline({ name: "start" }, async () => {
      await outer();
      await sleep(10);
    })();
    expect(handled).toEqual(["at once", "inner", "before the end", "after the end"]);
    expect(await capsules()).toBe(1);
    await hc.close();
  });

  test("is its own when the run ends before the effect does", async () => {
    const { hc, handle, capsules } = service();
    const bus = new EventEmitter();
    const consume = hc.effect({ name: "consume" }, async () => {
      for await (const [message] of EventEmitter.on(bus, "message") as AsyncIterable<unknown[]>) {
        await handle(message);
      }
    });
    await hc.pipeline({ name: "start" }, async () => {
      void consume();
      bus.emit("message", "inside");
      await sleep(2);
    })();
    bus.emit("message", "outside");
    await sleep(2);
    expect(await capsules()).toBe(1);
    await hc.close();
  });

  test("G5: in a replay that performs the effect, it begins no run", async () => {
    const { hc, handle, handled } = service();
    const connect = hc.effect({ name: "connect" }, async () => {
      setTimeout(() => void handle("tick"), 1);
    });
    const start = hc.pipeline({ name: "start" }, () => connect());
    await start();
    await sleep(5);
    const [stored] = (await storedBy(hc)).filter(({ summary }) => summary.pipeline === "start");
    const before = hc.stats().runs.started;
    expect((await replay(stored!, start, { effects: { connect: "live" } })).verdict).toBe("identical");
    await sleep(5);
    expect(handled).toEqual(["tick", "tick"]);
    expect(hc.stats().runs.started).toBe(before);
    await hc.close();
  });
});

/** What a program does, by timers: each step logs its number, and may start others or stop some. */
interface Step {
  readonly delay: number;
  readonly kind: "timeout" | "sleep" | "interval";
  readonly next: readonly number[];
  readonly cancels: number | undefined;
}

function play(steps: readonly Step[], started: number, log: number[]): void {
  const cancel = new Map<number, () => void>();
  const begin = (index: number): void => {
    const step = steps[index];
    if (step === undefined) return;
    const act = (): void => {
      log.push(index);
      if (step.cancels !== undefined) cancel.get(step.cancels)?.();
      for (const one of step.next) if (one > index) begin(one);
    };
    switch (step.kind) {
      case "timeout": {
        const timer = setTimeout(act, step.delay);
        return void cancel.set(index, () => clearTimeout(timer));
      }
      case "interval": {
        const timer = setInterval(() => {
          clearInterval(timer);
          act();
        }, step.delay);
        return void cancel.set(index, () => clearInterval(timer));
      }
      case "sleep":
        return void sleep(step.delay).then(act);
    }
  };
  for (let index = 0; index < started; index++) begin(index);
}

const programs = fc.array(
  fc.record({
    delay: fc.constant(0),
    kind: fc.constantFrom("timeout" as const, "interval" as const, "sleep" as const),
    next: fc.array(fc.integer({ min: 1, max: 11 }), { maxLength: 3 }),
    cancels: fc.option(fc.integer({ min: 0, max: 11 }), { nil: undefined }),
  }),
  { minLength: 4, maxLength: 12 },
);

describe("what a run leaves behind", () => {
  test("G1: goes on in the order in which it would have without the library", {
    timeout: 60_000,
  }, async () => {
    const hc = hindcast({ service: "after" });
    const left = hc.pipeline({ name: "left" }, (steps: readonly Step[], started: number, log: number[]) =>
      play(steps, started, log),
    );
    await fc.assert(
      fc.asyncProperty(programs, fc.integer({ min: 2, max: 5 }), async (steps, started) => {
        const orders = new Set<string>();
        const wrapped: number[] = [];
        left(steps, started, wrapped);
        await sleep(15);
        // Timers of one delay keep their order, however late the loop is.
        for (let round = 0; round < 4; round++) {
          const bare: number[] = [];
          play(steps, started, bare);
          await sleep(15);
          orders.add(bare.join());
        }
        expect([...orders]).toContain(wrapped.join());
      }),
      { numRuns: 40 },
    );
    await hc.close();
  });

  test("G1: what had come and waited for its turn comes before what comes later", async () => {
    const hc = hindcast({ service: "after" });
    const log: string[] = [];
    let ended: () => void = () => undefined;
    const pipeline = hc.pipeline({ name: "left" }, async () => {
      const read = hc.effect({ name: "read" }, async (name: string) => name);
      for (const name of ["a", "b", "c"]) {
        void read(name).then(async (value) => {
          log.push(value);
          await Promise.resolve();
          log.push(`${value} has gone on`);
        });
      }
      setTimeout(() => log.push("timer"), 0);
      await new Promise<void>((resolve) => {
        ended = resolve;
      });
    });
    const running = pipeline();
    process.nextTick(() => ended());
    await running;
    const until = Date.now() + 3;
    while (Date.now() < until);
    await sleep(5);
    expect(log).toEqual(["a", "a has gone on", "b", "b has gone on", "c", "c has gone on", "timer"]);
    await hc.close();
  });
});
