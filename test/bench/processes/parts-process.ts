/**
 * What parts of a recorder's work take by themselves: they are the least that it can take, whoever does it with the means
 * of Node. Prints one line of JSON.
 */
import { crc32 } from "node:zlib";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { hindcast, memoryStore, type StoredCapsule } from "hindcast";
import { wrapIn } from "../contenders/recorder.js";
import { mainThreadClock } from "../main-thread-clock.js";
import type { PartFigures } from "../measures/part-figures.js";
import { PAYLOADS, type PayloadName, payloads } from "../payloads.js";
import { programFor } from "../programs.js";
import { median } from "../statistics.js";

const isShort = process.argv[2] === "short";
const SAMPLES = isShort ? 5 : 15;
const MILLISECONDS = isShort ? 5 : 20;

/** Nanoseconds of the main thread for one call of `work`: the median of several series. */
function timeOf(work: () => unknown): number {
  const series = (calls: number): number => {
    const begun = mainThreadClock.read();
    for (let call = 0; call < calls; call++) work();
    return (mainThreadClock.read() - begun) / calls;
  };
  series(1);
  const once = Math.max(series(3), 1);
  const calls = Math.max(1, Math.round((MILLISECONDS * 1e6) / once));
  series(calls);
  return median(Array.from({ length: SAMPLES }, () => series(calls)));
}

/** A capsule of the program with that payload. */
async function capsuleOf(payload: PayloadName): Promise<StoredCapsule> {
  const hc = hindcast({ service: "bench", store: memoryStore() });
  await programFor(payload, (name, role, body) => wrapIn(hc, name, role, body))(payloads[payload].make());
  await hc.flush();
  for await (const stored of hc.store.find()) {
    await hc.close();
    return stored;
  }
  throw new Error(`no capsule of ${payload} was stored`);
}

function spans(): Record<string, number> {
  // Handed to nobody: who takes them in batches would have too many, and drop them.
  const tracer = new BasicTracerProvider().getTracer("bench");
  const attributes = {
    "hindcast.stage.name": "decide",
    "hindcast.stage.kind": "pipeline",
    "hindcast.seed": 4_200_000_000,
    "hindcast.capsule.id": "019ab000-0000-7000-8000-000000000000",
  };
  const plain = (): unknown => tracer.startSpan("decide").end();
  const described = (): unknown => tracer.startSpan("decide", { attributes }).end();
  timeOf(plain); // until the compiler has done with it
  timeOf(described);
  return {
    "a span, started and ended": timeOf(plain),
    "a span with the attributes of a root": timeOf(described),
  };
}

const parts: Record<string, Partial<Record<PayloadName, number>>> = {};
const enter = (part: string, payload: PayloadName, nanoseconds: number): void => {
  (parts[part] ??= {})[payload] = nanoseconds;
};
for (const payload of PAYLOADS) {
  const value = payloads[payload].make();
  const { bytes } = await capsuleOf(payload);
  const target = Buffer.alloc(bytes.byteLength);
  if (payload === "prompt" || payload === "text") {
    const text = value as string;
    const room = Buffer.alloc(text.length * 3);
    enter(
      "its text as UTF-8, into memory that is there",
      payload,
      timeOf(() => room.write(text)),
    );
  }
  enter(
    "structuredClone of it",
    payload,
    timeOf(() => structuredClone(value)),
  );
  enter(
    "JSON.stringify of it",
    payload,
    timeOf(() => JSON.stringify(value)),
  );
  enter(
    "CRC-32 of its capsule",
    payload,
    timeOf(() => crc32(bytes)),
  );
  enter(
    "one copy of its capsule",
    payload,
    timeOf(() => target.set(bytes)),
  );
}
for (const [part, nanoseconds] of Object.entries(spans())) {
  for (const payload of PAYLOADS) if (payload !== "trace") enter(part, payload, nanoseconds);
}
console.log(JSON.stringify({ parts } satisfies PartFigures));
