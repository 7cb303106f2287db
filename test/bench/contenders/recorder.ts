/** The library itself, in the modes that the budgets speak of. */
import { join } from "node:path";
import { fileStore, type Hindcast, hindcast, type HindcastOptions } from "hindcast";
import { LIBRARY_VERSION } from "../../../src/version.js";
import type { Contender, CreateContender } from "./contender.js";
import { registerTracing } from "./tracing.js";

/** Spans and full capture, into memory. */
export const hindcastFull: CreateContender = () => Promise.resolve(create({}, true));

/** The same, into files. */
export const hindcastFile: CreateContender = ({ directory }) =>
  Promise.resolve(
    create({ store: fileStore({ dir: join(directory, "capsules"), maximumBytes: 64 << 20 }) }, true),
  );

/** Spans, and nothing recorded. */
export const hindcastSpans: CreateContender = () => Promise.resolve(create({ keep: [] }, true));

/** Nothing recorded, and no SDK registered. */
export const hindcastOff: CreateContender = () => Promise.resolve(create({ keep: [] }, false));

function create(options: Omit<HindcastOptions, "service">, traced: boolean): Contender {
  const tracing = traced ? registerTracing() : undefined;
  const hc = hindcast({ service: "bench", ...options });
  return {
    version: LIBRARY_VERSION,
    holdsNothing: !traced,
    async flush() {
      await hc.flush();
      await tracing?.flush();
    },
    lost() {
      const { lost } = hc.stats().capsules;
      return lost.queue + lost.codec + lost.store + (tracing?.lost() ?? 0);
    },
    wrap: (name, role, body) => wrapIn(hc, name, role, body),
  };
}

export function wrapIn<F extends (value: unknown) => Promise<unknown>>(
  hc: Hindcast,
  name: string,
  role: "root" | "step" | "tool",
  body: F,
): F {
  switch (role) {
    case "root":
      return hc.pipeline({ name }, body);
    case "step":
      return hc.agent({ name }, body);
    case "tool":
      return hc.tool({ name }, body);
  }
}
